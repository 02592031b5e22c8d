"""The table of leakage: what the tested items that a mix trained on do to its scores, and how many they are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posologie.records import layout
from posologie.records.files import read_parquet
from posologie.running.commands import run
from posologie.screening.population import TWINS
from posologie.statistics.draws import cluster_sums
from posologie.statistics.entries import single_entries
from posologie.statistics.estimates import Resampled
from posologie.statistics.intervals import interval_of
from posologie.statistics.scored import Measure, ScoredSuite
from posologie.statistics.spec import LeakageTableSpec
from posologie.statistics.suites import scored_suites
from posologie.statistics.tables import Latex, table_arguments, write_table

COLUMNS = (
    "suite", "tasks", "metric", "decoding", "model", "backbone", "mix", "seed", "statistic", "items", "similarity",
    "n", "clusters", "unit", "value", "low", "high", "level", "interval", "note",
)  # fmt: skip
LATEX = Latex(
    "Scores of each mix on all tested items, without those that it trained on, and on those alone, in percent.",
    index=("suite", "model"),
    where={"statistic": ("score",)},
    across=("items",),
)
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Similarities from which leaked items are counted, so that a reader sees what the threshold does."""


def main(argv: list[str]) -> None:
    """Write the table."""
    options = table_arguments("posologie.statistics.leakage", __doc__ or "").parse_args(argv)
    spec = LeakageTableSpec.from_json(options.spec)
    rows: list[dict[str, Any]] = []
    for suite in spec.suites:
        for measured, scored in scored_suites(options.results, suite, spec, lambda measure: True):
            measure = Measure(measured.metric, measured.decoding)
            if measure in scored.values:
                rows.extend(_rows(Path(options.results), scored, measure, spec))
    write_table(options.table, COLUMNS, rows, LATEX)


def leaked_items(root: Path, mix: str, seed: str, suite: str) -> dict[str, float]:
    """Return the tested items that a mix repeats, with the largest similarity of a near twin; 1 for all other twins.

    The mix's draw is that of its training seed, or the only one where all trainings share it.
    """
    file = root / layout.leakage(mix, int(seed), suite)
    if not file.is_file():
        [file] = sorted((root / "leakage" / mix).glob(f"seed-*/{suite}.parquet"))
    table = read_parquet(file, columns=["matched", "place", "kind", "similarity"])
    similarities: dict[str, float] = {}
    for row in table.to_pylist():
        if row["place"] == "test" and row["kind"] in TWINS:
            similarity = row["similarity"] if row["kind"] == "near" else 1.0
            similarities[row["matched"]] = max(similarity, similarities.get(row["matched"], 0.0))
    return similarities


def _rows(root: Path, scored: ScoredSuite, measure: Measure, spec: LeakageTableSpec) -> Iterator[dict[str, Any]]:
    resampled = Resampled(scored, spec.statistics)
    values = scored.over_variants(measure, "original")
    entries = single_entries(scored.models)
    base_of = {entry.backbone: entry for entry in entries if entry.kind == "base"}
    for entry in entries:
        if entry.kind != "mix":
            continue
        leaked = leaked_items(root, entry.mix, entry.seed, scored.suite)
        inside = np.array([item in leaked for item in scored.item.tolist()], dtype=bool)
        head = {
            **{"suite": scored.suite, "tasks": "+".join(sorted(set(scored.task.tolist())))},
            **{"metric": measure.metric, "decoding": measure.decoding},
            **{"model": entry.model, "backbone": entry.backbone, "mix": entry.mix, "seed": entry.seed},
        }
        own = values[entry.members[0]]
        statistics = {"score": own}
        if entry.backbone in base_of:
            statistics["gain"] = own - values[base_of[entry.backbone].members[0]]
        for statistic, column in statistics.items():
            for row in _compared(resampled, column, inside, statistic):
                yield head | row
        yield from (head | row for row in _curve(scored, leaked, spec.similarity))


def _compared(
    resampled: Resampled, column: NDArray[np.float64], inside: NDArray[np.bool_], statistic: str
) -> Iterator[dict[str, Any]]:
    """Yield the mean over all items, without leaked ones, over leaked ones alone, and all − without leaked.

    All come from one set of cluster draws, so that the difference is as paired as its two sides are.
    """
    defined = ~np.isnan(column)
    value = np.where(defined, column, 0.0)
    masks = (defined & inside, defined & ~inside)
    columns = np.stack([array for mask in masks for array in (value * mask, mask.astype(float))], axis=1)
    sums = cluster_sums(resampled.clusters, columns)
    point = sums.total().sum(axis=0)[:, None]
    draws = sums.weighted(resampled.counts).sum(axis=0)
    extents = {
        name: (int(mask.sum()), len(np.unique(resampled.clusters.of_item[mask])))
        for name, mask in {
            "all": defined,
            "without_leaked": masks[1],
            "leaked": masks[0],
            "difference": defined,
        }.items()
    }
    sides = [_means(totals) for totals in (point, draws)]
    for name, (count, clusters) in extents.items():
        mean, replicates = float(sides[0][name][0]), sides[1][name]
        share = statistic == "score" and name != "difference"
        row: dict[str, Any] = {
            "statistic": statistic,
            "items": name,
            "similarity": None,
            "n": count,
            "clusters": clusters,
        }
        row |= {"unit": "%" if share else "points", "level": resampled.settings.level}
        if np.isnan(mean):
            yield row | {"value": None, "low": None, "high": None, "interval": "none", "note": "no such item"}
            continue
        interval = interval_of(mean, replicates, clusters, resampled.settings, is_share=share)
        low, high = (None if bound is None else 100 * bound for bound in (interval.low, interval.high))
        yield row | {"value": 100 * mean, "low": low, "high": high, "interval": interval.method, "note": interval.note}


def _means(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    leaked, count, rest, others = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        means = {"all": (leaked + rest) / (count + others), "without_leaked": rest / others, "leaked": leaked / count}
    return means | {"difference": means["all"] - means["without_leaked"]}


def _curve(scored: ScoredSuite, leaked: dict[str, float], looked_from: float | None) -> Iterator[dict[str, Any]]:
    """Yield the number of tested items that the mix repeats, by the least similarity at which a near twin counts.

    Nothing is known below the similarity from which near twins were searched for, so nothing is counted there.
    """
    similarities = np.array([leaked[item] for item in scored.item.tolist() if item in leaked])
    least = 1.0 if looked_from is None else looked_from
    for threshold in THRESHOLDS:
        known = threshold >= least - 1e-9
        count = int((similarities >= threshold - 1e-9).sum()) if known else None
        row: dict[str, Any] = {
            "statistic": "leaked_items",
            "items": "leaked",
            "similarity": threshold,
            "n": len(scored.item),
        }
        row |= {"value": count, "unit": "items", "interval": "none"}
        row["note"] = "" if known else f"near twins were searched for from {least:g} on"
        yield row | dict.fromkeys(("clusters", "low", "high", "level"))


if __name__ == "__main__":
    run(main)
