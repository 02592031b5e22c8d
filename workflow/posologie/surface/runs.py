"""The runs that a surface is fitted to, and the interface of every surface: the two central types of this package.

Runs that others made are read from a table of shares and one of scores, a row per run, as RegMix and Olmix write them.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from posologie.records.files import read_csv
from posologie.running.errors import InputError

Array = NDArray[np.float64]

_ROUNDING = 1e-6


@dataclass(frozen=True)
class Runs:
    """Scores of mixes that were trained, with everything that is known of their errors.

    Attributes:
        names: of the mixes, each once.
        components: names of the columns of `shares`, two or more.
        shares: [run, component], shares of the components; each row sums to 1.
        sizes: [run], numbers of items trained on; None where all are alike or not known.
        score: [run], in the unit of its table (points for shares), turned so that more is better.
        items: [run, run], covariance of the scores over draws of items, for the means over seeds as they are. All runs
            answered the same items, so its off-diagonal is large and cancels in differences. Zeros where not known.
        seeds: [run], how many adapters each score is the mean of.
        seed_variance: of one adapter, net of items; None where no mix was repeated, and the fit has to estimate it.
        seed_df: degrees of freedom of `seed_variance`; 0 where it is None.
        spread: [run], sample variances of the scores of each mix's adapters, net of items, with `seeds` − 1 degrees of
            freedom; NaN where there is one adapter. None where not known. They show whether noise depends on the mix.
    """

    names: tuple[str, ...]
    components: tuple[str, ...]
    shares: Array
    sizes: Array | None
    score: Array
    items: Array
    seeds: NDArray[np.int64]
    seed_variance: float | None = None
    seed_df: float = 0.0
    spread: Array | None = None

    def __post_init__(self) -> None:
        """Check shapes and sums.

        Raises:
            InputError: where a shape does not fit or shares are no shares, with the run's name.
        """
        runs, width = len(self.names), len(self.components)
        if self.shares.shape != (runs, width) or self.score.shape != (runs,) or self.items.shape != (runs, runs):
            raise InputError(f"runs: shares {self.shares.shape}, scores {self.score.shape} for {runs} names")
        for name, row in zip(self.names, self.shares, strict=True):
            if row.min() < -_ROUNDING or abs(row.sum() - 1) > _ROUNDING:
                raise InputError(f"run {name}: shares {row.tolist()}; expected none below 0, and a sum of 1")

    def __len__(self) -> int:
        return len(self.names)

    def only(self, selected: Sequence[int] | NDArray[np.int64]) -> "Runs":
        """Return some of the runs, in the order given."""
        places = np.asarray(selected, dtype=np.int64)
        return Runs(
            names=tuple(self.names[place] for place in places),
            components=self.components,
            shares=self.shares[places],
            sizes=None if self.sizes is None else self.sizes[places],
            score=self.score[places],
            items=self.items[np.ix_(places, places)],
            seeds=self.seeds[places],
            seed_variance=self.seed_variance,
            seed_df=self.seed_df,
            spread=None if self.spread is None else self.spread[places],
        )


class Moments(NamedTuple):
    """What a surface says of the expected scores of some mixes, before any seed is drawn.

    Attributes:
        mean: [point].
        covariance: [point, point].
    """

    mean: Array
    covariance: Array


class Surface(Protocol):
    """A fitted surface: a Gaussian posterior of the expected score at every mix."""

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the columns of shares."""
        ...

    @property
    def df(self) -> float:
        """Degrees of freedom of the intervals, which are Student's; infinite where the variance is known."""
        ...

    @property
    def run_variance(self) -> float:
        """What one more adapter of a mix adds to its score: the variance of seeds."""
        ...

    def moments(self, shares: Array, sizes: Array | None = None) -> Moments:
        """Return the posterior at [point, component] shares, at [point] sizes where the surface knows sizes."""
        ...


_KEYS = ("index", "run", "name", "mix", "id")
_SIZES = ("size", "items")
_SEEDS = "seeds"
_FILE_ROUNDING = 0.02
"""Shares in files are rounded: RegMix's, of three decimals, sum to 1 ± 0.005."""
_SAME = 0.005  # how far the mean of item scores may be from the metric, in its standard deviations over runs


def read_runs(
    ratios: Path,
    metrics: Path,
    weights: Mapping[str, float],
    *,
    lower_is_better: bool = False,
    lower: Collection[str] = (),
    items: Path | None = None,
) -> Runs:
    """Return the runs of two files, scored by a weighted sum of metrics.

    The first column of both names the run if it is called index, run, name, mix or id; otherwise rows belong together
    in their order. Of `ratios`, all other columns are shares, but for `size` or `items` (numbers of items) and `seeds`.
    Of `metrics`, `{metric}_se` is the standard error of a metric, which is taken as independent between runs. Rows with
    equal shares are repeated runs of a mix.

    Args:
        weights: metric → weight.
        lower_is_better: all metrics are turned round.
        lower: metrics that are turned round.
        items: a table with the columns run, item, score and, where items hang together, group: scores of the one metric
            by item, whose covariance between runs takes the place of standard errors.

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
    count = len(next(iter(shared.values())))
    if any(len(values) != count for values in scored.values()):
        raise InputError(f"{metrics}: {len(next(iter(scored.values())))} rows; expected one for each of {count} runs")
    components = [name for name in shared if name not in (*_SIZES, _SEEDS)]
    if len(components) < 2:
        raise InputError(f"{ratios}: {len(components)} columns of shares; expected two or more")
    shares = np.column_stack([shared[name] for name in components])
    labels = names or [str(1 + row) for row in range(count)]
    for number, (label, row) in enumerate(zip(labels, shares, strict=True), start=2):
        if row.min() < 0 or abs(row.sum() - 1) > _FILE_ROUNDING:
            raise InputError(
                f"{ratios}: row {number}, run {label}: shares sum to {row.sum():g}; expected 1, and none below 0"
            )
    signs = {name: -1.0 if lower_is_better or name in lower else 1.0 for name in weights}
    if unknown := [name for name in lower if name not in weights]:
        raise InputError(f"no metric '{unknown[0]}' to be lower; choose one of {', '.join(weights)}")
    score, variance = _score(metrics, scored, {name: signs[name] * weight for name, weight in weights.items()})
    size = next((shared[name] for name in _SIZES if name in shared), None)
    seeds = shared.get(_SEEDS, np.ones(count))
    if seeds.min() < 1 or np.any(seeds != np.rint(seeds)):
        number = 2 + int(np.argmax((seeds < 1) | (seeds != np.rint(seeds))))
        raise InputError(f"{ratios}: row {number}, column 'seeds': expected a whole number from 1")
    runs = Runs(
        tuple(labels),
        tuple(_short(components)),
        shares / shares.sum(axis=1, keepdims=True),
        sizes=None if size is None or np.ptp(size) == 0 else size,
        score=score,
        items=np.diag(variance),
        seeds=np.rint(seeds).astype(np.int64),
    )
    if items is None:
        return runs
    if len(weights) != 1:
        raise InputError(f"{items}: item scores of one metric; {len(weights)} metrics were named")
    name, weight = next(iter(weights.items()))
    return with_items(runs, items, signs[name] * weight)


def metrics_in(metrics: Path) -> list[str]:
    """Return the names of the metrics of a file."""
    return [name for name in _table(metrics)[1] if not name.endswith("_se")]


def size_in(ratios: Path) -> float | None:
    """Return the number of items of the runs, if the file says it and all have the same."""
    shared = _table(ratios)[1]
    size = next((shared[name] for name in _SIZES if name in shared), None)
    return float(size[0]) if size is not None and np.ptp(size) == 0 else None


def with_items(runs: Runs, path: Path, weight: float) -> Runs:
    """Return runs with the covariance of their scores over draws of items.

    Items, or their groups, are the units that were drawn. The covariance of means is that of the sums by group about
    the mean, over the number of items squared (the linearised ratio of Cochran 1977, section 9.3).

    Raises:
        InputError: where an item lacks a run, or the means are not the metric's.
    """
    columns, rows = read_csv(path)
    if missing := [column for column in ("run", "item", "score") if column not in columns]:
        raise InputError(f"{path}: no column '{missing[0]}'; expected run, item, score")
    places = {column: columns.index(column) for column in ("run", "item", "score")}
    group = columns.index("group") if "group" in columns else places["item"]
    numbers = {name: place for place, name in enumerate(runs.names)}
    by_item: dict[str, Array] = {}
    groups: dict[str, str] = {}
    for number, cells in enumerate(rows, start=2):
        if cells[places["run"]] not in numbers:
            continue
        item = cells[places["item"]]
        scores = by_item.setdefault(item, np.full(len(runs), np.nan))
        scores[numbers[cells[places["run"]]]] = weight * _number(path, cells[places["score"]], number, "score")
        groups[item] = cells[group]
    if not by_item:
        raise InputError(f"{path}: no rows of the runs; expected the names of the runs in the column 'run'")
    scores = np.array(list(by_item.values()))
    if np.isnan(scores).any():
        row, run = (int(index[0]) for index in np.nonzero(np.isnan(scores)))
        raise InputError(f"{path}: item {list(by_item)[row]} has no score of run {runs.names[run]}")
    means = scores.mean(axis=0)
    far = np.abs(means - runs.score) > _SAME * max(float(np.std(runs.score)), 1e-12)
    if far.any():
        run = int(np.argmax(far))
        raise InputError(
            f"{path}: the mean over items of run {runs.names[run]} is {means[run] / weight:g}, its metric "
            f"{runs.score[run] / weight:g}; expected item scores of the same metric, in the same unit"
        )
    order = {name: place for place, name in enumerate(dict.fromkeys(groups.values()))}
    if len(order) < 2:
        raise InputError(f"{path}: one group of items; expected two or more")
    sums = np.zeros((len(order), len(runs)))
    np.add.at(sums, [order[groups[item]] for item in by_item], scores - means)
    factor = len(order) / (len(order) - 1) / len(scores) ** 2
    return replace(runs, items=factor * sums.T @ sums)


def _score(metrics: Path, scored: Mapping[str, Array], weights: Mapping[str, float]) -> tuple[Array, Array]:
    columns = [name for name in scored if not name.endswith("_se")]
    for name in weights:
        if name not in columns:
            raise InputError(f"{metrics}: no metric '{name}'; choose one of {', '.join(columns)}")
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
    values_by_column = {}
    for place, column in enumerate(columns):
        if named and place == 0:
            continue
        values = [_number(path, row[place], number, column) for number, row in enumerate(rows, start=2)]
        values_by_column[column.strip()] = np.array(values)
    if not values_by_column:
        raise InputError(f"{path}: no columns beside the names of the runs")
    return names, values_by_column


def _number(path: Path, cell: str, row: int, column: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{path}: row {row}, column '{column}': '{cell}' is not a number")
    return value


def _short(names: list[str]) -> list[str]:
    """Return names without a beginning that all share, up to its last `_`, `/`, `.` or `:`."""
    shared = names[0]
    for name in names:
        while not name.startswith(shared):
            shared = shared[:-1]
    end = max(shared.rfind(mark) for mark in "_/.:") + 1
    return [name[end:] for name in names] if all(len(name) > end for name in names) else names
