"""The table of length: a judge's score of each model beside its score at matched length, over whole suites."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posologie.commands import run
from posologie.statistics.cells import Cell, Extent
from posologie.statistics.draws import cluster_sums
from posologie.statistics.entries import Entry, all_entries, over_members, seed_weights
from posologie.statistics.estimates import Resampled
from posologie.statistics.intervals import interval_of
from posologie.statistics.latex import Latex
from posologie.statistics.scored import Measure
from posologie.statistics.suites import WORDS, open_questions
from posologie.statistics.table_command import table_command
from posologie.statistics.table_files import write_table
from posologie.statistics.verbosity import BINS, length_bins, standardised

COLUMNS = (
    "suite", "scope_kind", "scope", "metric", "statistic", "model", "kind", "backbone", "mix", "seed",
    "n", "clusters", "unit", "value", "low", "high", "level", "interval", "note",
)  # fmt: skip
LATEX = Latex(
    "Judges' scores of each model, as they are and at matched length, in percent.",
    index=("suite", "model"),
    where={"scope_kind": ("all",)},
    across=("metric", "statistic"),
)


def main(argv: list[str]) -> None:
    """Write the table."""
    command = table_command("posologie.statistics.length", __doc__ or "", argv)
    entries = all_entries(command.spec.models)
    rows: list[dict[str, Any]] = []
    for suite in command.spec.suites:
        scored = open_questions(command.results, suite, command.spec, lambda one: one == WORDS or _judged(one))
        if scored is not None:
            resampled = Resampled(scored, command.spec.statistics)
            for measure in sorted(filter(_judged, scored.values)):
                rows.extend(_rows(resampled, measure, entries))
    write_table(command.table, COLUMNS, rows, LATEX)


def _judged(measure: Measure) -> bool:
    return measure.metric.startswith(("judge:", "judge_probability:"))


def _rows(resampled: Resampled, measure: Measure, entries: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    """Yield, in each scope, each model's mean, its mean at matched length, and its correlation with length.

    At matched length: means within fifths of the length distribution of all models' answers, weighted by the fifths'
    shares (direct standardisation), over the fifths in which every model has answers. The correlation is Pearson's, of
    the score with the logarithm of 1 + words.
    """
    scored, settings = resampled.scored, resampled.settings
    words, score = (scored.over_variants(one, "original") for one in (WORDS, measure))
    models, items = words.shape
    bins = length_bins(words.ravel()).reshape(words.shape)
    inside = np.stack([bins == place for place in range(BINS)]).astype(float)  # [bin, model, item]
    logs = np.log1p(words)
    moments = np.stack([np.ones_like(logs), logs, score, logs * score, logs**2, score**2])
    columns = np.concatenate([inside, inside * score, moments]).reshape(-1, items)
    sums = cluster_sums(resampled.clusters, columns.T)
    total, weighted = sums.total()[:, :, None], sums.weighted(resampled.counts)
    below = resampled.denominators(np.ones(items, dtype=bool))
    weights = [seed_weights(entry, settings) for entry in entries]
    for cell, held in zip(below.cells, below.extents, strict=True):
        if cell.aggregate != "item_weighted":
            continue
        parts = list(cell.groups[0])
        point, draws = (
            one[parts].sum(axis=0).T.reshape(one.shape[2], -1, models) for one in (total, weighted)
        )  # [draw, statistic, model]
        for statistic, function in _STATISTICS.items():
            values, replicates = function(point)[0], function(draws).T
            for entry, weight in zip(entries, weights, strict=True):
                value, drawn = over_members(entry, values, replicates, weight)
                yield _row(resampled, cell, held, measure, statistic, entry, value, drawn)


def _mean(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = sums[:, 2 * BINS + 2] / sums[:, 2 * BINS]
    return mean


def _matched(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    by_bin = (np.swapaxes(part, 1, 2) for part in (sums[:, :BINS], sums[:, BINS : 2 * BINS]))
    return standardised(*by_bin)[0]


def _correlation(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    count, x, y, xy, xx, yy = np.moveaxis(sums[:, 2 * BINS :], 1, 0)
    spread = (count * xx - x * x) * (count * yy - y * y)
    flat = spread <= 1e-18 * (count * count * np.maximum(xx, 1e-300) * np.maximum(yy, 1e-300))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(flat, np.nan, (count * xy - x * y) / np.sqrt(np.where(flat, 1, spread)))


_STATISTICS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "mean": _mean,
    "at_matched_length": _matched,
    "length_correlation": _correlation,
}
"""Each from sums [draw, statistic, model]: counts by bin, scores by bin, and six moments."""


def _row(
    resampled: Resampled,
    cell: Cell,
    held: Extent,
    measure: Measure,
    statistic: str,
    entry: Entry,
    value: float,
    drawn: NDArray[np.float64],
) -> dict[str, Any]:
    settings = resampled.settings
    undefined = bool(np.isnan(value))
    scale = 1 if statistic == "length_correlation" else 100
    interval = interval_of(value, drawn, held.effective, settings, is_share=statistic == "mean")
    return {
        "suite": resampled.scored.suite,
        "scope_kind": cell.scope_kind,
        "scope": cell.scope,
        "metric": measure.metric,
        "statistic": statistic,
        "model": entry.model,
        "kind": entry.kind,
        "backbone": entry.backbone,
        "mix": entry.mix,
        "seed": entry.seed,
        "n": held.items,
        "clusters": held.clusters,
        "unit": "%" if scale == 100 else "",
        "value": None if undefined else value * scale,
        "low": None if interval.low is None or undefined else interval.low * scale,
        "high": None if interval.high is None or undefined else interval.high * scale,
        "level": settings.level,
        "interval": "none" if undefined else interval.method,
        "note": "undefined" if undefined else interval.note,
    }


if __name__ == "__main__":
    run(main)
