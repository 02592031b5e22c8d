"""Read runs that others made: a table of shares and a table of scores, as RegMix and Olmix write them."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from posologie.errors import InputError
from posologie.files import read_csv
from posologie.surface.runs import Array, Runs

_KEYS = ("index", "run", "name", "mix", "id")
_SIZES = ("size", "items")
_SEEDS = "seeds"
_ROUNDING = 0.02
"""Shares in files are rounded: RegMix's, of three decimals, sum to 1 ± 0.005."""


def read_runs(
    ratios: Path, metrics: Path, weights: Mapping[str, float], *, lower_is_better: bool = False
) -> Runs:  # fmt: skip
    """Return the runs of two files, scored by a weighted sum of metrics.

    The first column of both names the run if it is called index, run, name, mix or id; otherwise rows belong together
    in their order. Of `ratios`, all other columns are shares, but for `size` or `items` (numbers of items) and `seeds`.
    Of `metrics`, `{metric}_se` is the standard error of a metric, which is taken as independent between runs.

    Args:
        weights: metric → weight.

    Raises:
        InputError: with file, row and column of what does not fit.
    """
    names, shared = _table(ratios)
    scored_names, scored = _table(metrics)
    if names is not None and scored_names is not None:
        if missing := [name for name in names if name not in set(scored_names)]:
            raise InputError(f"{metrics}: no row for run {missing[0]} of {ratios}")
        order = {name: place for place, name in enumerate(scored_names)}
        scored = {column: values[[order[name] for name in names]] for column, values in scored.items()}
    first = next(iter(shared.values()))
    count = len(first)
    if any(len(values) != count for values in scored.values()):
        raise InputError(f"{metrics}: {len(next(iter(scored.values())))} rows; expected one for each of {count} runs")
    components = [name for name in shared if name not in (*_SIZES, _SEEDS)]
    if len(components) < 2:
        raise InputError(f"{ratios}: {len(components)} columns of shares; expected two or more")
    shares = np.column_stack([shared[name] for name in components])
    labels = names or [str(1 + row) for row in range(count)]
    for label, row in zip(labels, shares, strict=True):
        if row.min() < 0 or abs(row.sum() - 1) > _ROUNDING:
            raise InputError(f"{ratios}: run {label}: shares sum to {row.sum():g}; expected 1, and none below 0")
    score, variance = _score(metrics, scored, weights)
    size = next((shared[name] for name in _SIZES if name in shared), None)
    seeds = shared.get(_SEEDS, np.ones(count))
    return Runs(
        tuple(labels),
        tuple(_short(components)),
        shares / shares.sum(axis=1, keepdims=True),
        None if size is None or np.ptp(size) == 0 else size,
        -score if lower_is_better else score,
        np.diag(variance),
        np.rint(seeds).astype(np.int64),
    )


def size_in(ratios: Path) -> float | None:
    """Return the number of items of the runs, if the file says it and all have the same."""
    shared = _table(ratios)[1]
    size = next((shared[name] for name in _SIZES if name in shared), None)
    return float(size[0]) if size is not None and np.ptp(size) == 0 else None


def _score(metrics: Path, scored: Mapping[str, Array], weights: Mapping[str, float]) -> tuple[Array, Array]:
    columns = [name for name in scored if not name.endswith("_se")]
    for name in weights:
        if name not in columns:
            raise InputError(f"{metrics}: no metric '{name}'; choose of {', '.join(columns)}")
    score = np.sum([weight * scored[name] for name, weight in weights.items()], axis=0)
    parts = [weight * scored[f"{name}_se"] for name, weight in weights.items() if f"{name}_se" in scored]
    # errors of several metrics of one run may hang together: their sum bounds the error of the sum
    variance = np.sum(np.abs(parts), axis=0) ** 2 if parts else np.zeros(len(score))
    return np.asarray(score, float), np.asarray(variance, float)


def _table(path: Path) -> tuple[list[str] | None, dict[str, Array]]:
    """Return the names of the rows, if the file has them, and its other columns."""
    columns, rows = read_csv(path)
    if not rows:
        raise InputError(f"{path}: no rows; expected one for each run")
    named = bool(columns) and columns[0].strip().lower() in _KEYS
    names = [row[0].strip() for row in rows] if named else None
    if names is not None and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: two rows for run {twice}; expected one each")
    found = {}
    for place, column in enumerate(columns):
        if named and place == 0:
            continue
        values = [_number(path, row[place], number, column) for number, row in enumerate(rows, start=2)]
        found[column.strip()] = np.array(values)
    if not found:
        raise InputError(f"{path}: no columns beside the names of the runs")
    return names, found


def _number(path: Path, cell: str, row: int, column: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{path}: row {row}, column '{column}': '{cell}' is no number")
    return value


def _short(names: list[str]) -> list[str]:
    """Return names without a beginning that all share, up to its last `_`, `/`, `.` or `:`."""
    shared = names[0]
    for name in names:
        while not name.startswith(shared):
            shared = shared[:-1]
    end = max(shared.rfind(mark) for mark in "_/.:") + 1
    return [name[end:] for name in names] if all(len(name) > end for name in names) else names
