"""The table of length: a judge's score of each model beside its score at matched length, over whole suites."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posologie.running.commands import run
from posologie.statistics.draws import cluster_sums
from posologie.statistics.entries import Entry, all_entries, over_members, seed_weights
from posologie.statistics.estimates import Cell, Extent, Resampled
from posologie.statistics.intervals import interval_of
from posologie.statistics.judged import MOST_SILENT, without_score
from posologie.statistics.ratings import effective_clusters
from posologie.statistics.scored import Measure, ScoredSuite
from posologie.statistics.suites import WORDS, items_of_scope, open_questions
from posologie.statistics.tables import Latex, table_command, write_table
from posologie.statistics.verbosity import (
    BINS,
    EXTRAPOLATED,
    NO_COMMON_LENGTH,
    equal_length_means,
    length_bins,
    matched_weights,
    standardised,
)

COLUMNS = (
    "suite", "scope_kind", "scope", "metric", "statistic", "model", "kind", "backbone", "mix", "seed",
    "n", "clusters", "silent", "unit", "value", "low", "high", "level", "interval", "support", "note",
)  # fmt: skip
_SHOWN = ("judge:", "judge_probability:")
LATEX = Latex(
    "Judges' scores of each model: as they are, at matched and at equal length, in percent.",
    index=("suite", "model"),
    where={
        "scope_kind": ("all",),
        "statistic": ("mean", "at_matched_length", "at_equal_length", "length_correlation"),
    },
    across=("metric", "statistic"),
)


def main(argv: list[str]) -> None:
    """Write the table."""
    command = table_command("posologie.statistics.length", __doc__ or "", argv)
    entries = all_entries(command.spec.models)
    rows: list[dict[str, Any]] = []
    for suite in command.spec.suites:
        scored = open_questions(
            command.results, suite, command.spec, lambda measure: measure == WORDS or _judged(measure), bounded=True
        )
        if scored is not None:
            resampled = Resampled(scored, command.spec.statistics)
            for measure in sorted(measure for measure in scored.values if measure.metric.startswith(_SHOWN)):
                rows.extend(_rows(resampled, measure, entries))
    write_table(command.table, COLUMNS, rows, LATEX)


def _judged(measure: Measure) -> bool:
    return measure.metric.startswith("judge")


@dataclass(frozen=True)
class _Judge:
    """A judge's scores of all answers of a suite.

    Attributes:
        measure: the score that is tabulated.
        words, score, silent: [model, item]; `silent` is 1 where there is no verdict.
        mute: [model], whether a model's answers have too few verdicts for a score.
        inside: [model, item], the fifth of length that each answer lies in.
    """

    measure: Measure
    words: NDArray[np.float64]
    score: NDArray[np.float64]
    silent: NDArray[np.float64]
    mute: NDArray[np.bool_]
    inside: NDArray[np.int64]


def _rows(resampled: Resampled, measure: Measure, entries: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    """Yield, in each scope, each model's mean, its means at matched and at equal length, and the effect of length.

    At matched length: means within fifths of the length distribution of all models' answers, weighted by the fifths'
    shares (direct standardisation), over the fifths in which every model has answers; `n` is what is left of the
    model's answers. At equal length: by regression (`posologie.statistics.verbosity.equal_length_means`), which holds
    where models differ in length. The correlation is Pearson's, of the score with the logarithm of 1 + words.
    """
    scored, settings = resampled.scored, resampled.settings
    judge = _judge_of(scored, measure)
    loud = np.flatnonzero(~judge.mute)
    items = judge.words.shape[1]
    inside = np.stack([judge.inside == place for place in range(BINS)]).astype(float)  # [bin, model, item]
    logs = np.log1p(judge.words)
    moments = np.stack([np.ones_like(logs), logs, judge.score, logs * judge.score, logs**2, judge.score**2])
    columns = np.concatenate([inside, inside * judge.score, moments])[:, loud].reshape(-1, items)
    below = resampled.denominators(np.ones(items, dtype=bool))
    sums = cluster_sums(resampled.clusters, columns.T) if len(loud) else None
    drawn_sums = None if sums is None else (sums.total()[:, :, None], sums.weighted(resampled.counts))
    weights = [seed_weights(entry, settings) for entry in entries]
    for cell, held in zip(below.cells, below.extents, strict=True):
        if cell.aggregate != "item_weighted":
            continue
        here = items_of_scope(scored, cell.scope_kind, cell.scope)
        for entry in entries:
            if judge.mute[list(entry.members)].any():
                yield from _mute_rows(resampled, cell, held, judge, entry, here)
        if drawn_sums is None:
            continue
        parts = list(cell.groups[0])
        point, draws = (
            array[parts].sum(axis=0).T.reshape(array.shape[2], -1, len(loud)) for array in drawn_sums
        )  # [draw, statistic, model]
        rest = _Rest.of(judge, loud, here, resampled.clusters.of_item)
        values_and_draws = {name: (function(point)[0], function(draws).T) for name, function in _STATISTICS.items()}
        for statistic, (values, replicates) in values_and_draws.items():
            for entry, weight in zip(entries, weights, strict=True):
                if judge.mute[list(entry.members)].any():
                    continue
                own = replace(entry, members=tuple(int(np.searchsorted(loud, member)) for member in entry.members))
                value, drawn = over_members(own, values, replicates, weight)
                yield _row(
                    resampled=resampled,
                    cell=cell,
                    held=held,
                    judge=judge,
                    statistic=statistic,
                    entry=entry,
                    value=value,
                    drawn=drawn,
                    here=here,
                    rest=rest.over(own),
                )
        slope = equal_length_means(point[:, _REGRESSION])[1][0], equal_length_means(draws[:, _REGRESSION])[1]
        yield _row(
            resampled=resampled,
            cell=cell,
            held=held,
            judge=judge,
            statistic="length_effect",
            entry=None,
            value=float(slope[0]),
            drawn=slope[1],
            here=here,
            rest=None,
        )


def _judge_of(scored: ScoredSuite, measure: Measure) -> _Judge:
    kind, _, name = measure.metric.partition(":")
    silence = Measure(f"judge_unparsable:{name}", "judged")
    words, score, silent = (scored.over_variants(source, "original") for source in (WORDS, measure, silence))
    mute = silent.sum(axis=1) > MOST_SILENT * silent.shape[1]
    mute &= kind == "judge"  # a probability needs no verdict
    return _Judge(measure, words, score, silent, mute, length_bins(words.ravel()).reshape(words.shape))


@dataclass(frozen=True)
class _Rest:
    """What the means at matched length rest on.

    Attributes:
        answers, clusters: [model], its answers in the fifths that all models have, and their clusters.
        effective: [model], the number of equal clusters that they are worth.
        support: share of all answers in these fifths.
    """

    answers: NDArray[np.int64]
    clusters: NDArray[np.int64]
    effective: NDArray[np.float64]
    support: float

    @classmethod
    def of(cls, judge: _Judge, loud: NDArray[np.int64], here: NDArray[np.bool_], cluster: NDArray[np.int64]) -> "_Rest":
        bins = judge.inside[loud][:, here]
        owner = np.repeat(np.arange(len(loud)), bins.shape[1])
        weights = matched_weights(owner, bins.ravel()).reshape(bins.shape)
        return cls(
            np.count_nonzero(weights, axis=1),
            np.array([len(np.unique(cluster[here][row > 0])) for row in weights]),
            np.array([effective_clusters(cluster[here], row) for row in weights]),
            float(np.count_nonzero(weights) / weights.size),
        )

    def over(self, entry: Entry) -> "_Rest":
        """Return the least of what an entry's models rest on."""
        members = list(entry.members)
        return _Rest(
            self.answers[members].min(keepdims=True),
            self.clusters[members].min(keepdims=True),
            self.effective[members].min(keepdims=True),
            self.support,
        )


def _mean(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = sums[:, 2 * BINS + 2] / sums[:, 2 * BINS]
    return mean


def _matched(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    by_bin = (np.swapaxes(array, 1, 2) for array in (sums[:, :BINS], sums[:, BINS : 2 * BINS]))
    return standardised(*by_bin)[0]


_REGRESSION = slice(2 * BINS, 2 * BINS + 5)


def _equal(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return equal_length_means(sums[:, _REGRESSION])[0]


def _correlation(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    count, x, y, xy, xx, yy = np.moveaxis(sums[:, 2 * BINS :], 1, 0)
    spread = (count * xx - x * x) * (count * yy - y * y)
    flat = spread <= 1e-18 * (count * count * np.maximum(xx, 1e-300) * np.maximum(yy, 1e-300))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(flat, np.nan, (count * xy - x * y) / np.sqrt(np.where(flat, 1, spread)))


_STATISTICS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "mean": _mean,
    "at_matched_length": _matched,
    "at_equal_length": _equal,
    "length_correlation": _correlation,
}
"""Each from sums [draw, statistic, model]: counts by bin, scores by bin, and six moments."""


def _row(
    *,
    resampled: Resampled,
    cell: Cell,
    held: Extent,
    judge: _Judge,
    statistic: str,
    entry: Entry | None,
    value: float,
    drawn: NDArray[np.float64],
    here: NDArray[np.bool_],
    rest: _Rest | None,
) -> dict[str, Any]:
    settings = resampled.settings
    undefined = bool(np.isnan(value))
    scale = 1 if statistic == "length_correlation" else 100
    matched = statistic == "at_matched_length" and rest is not None
    effective = float(rest.effective[0]) if matched and rest is not None else held.effective
    interval = interval_of(value, drawn, effective, settings, is_share=statistic == "mean")
    note = "undefined" if undefined else interval.note
    row = _empty(resampled, cell, held, judge=judge, statistic=statistic, entry=entry, here=here) | {
        "unit": "%" if scale == 100 else "",
        "value": None if undefined else value * scale,
        "low": None if interval.low is None or undefined else interval.low * scale,
        "high": None if interval.high is None or undefined else interval.high * scale,
        "interval": "none" if undefined else interval.method,
    }
    if matched and rest is not None:
        row |= {"n": int(rest.answers[0]), "clusters": int(rest.clusters[0]), "support": 100 * rest.support}
        note = NO_COMMON_LENGTH if undefined else note
    if (
        statistic == "at_equal_length"
        and rest is not None
        and rest.effective[0] < settings.minimum_clusters
        and not note
    ):
        note = EXTRAPOLATED
    return row | {"note": note}


def _mute_rows(
    resampled: Resampled, cell: Cell, held: Extent, judge: _Judge, entry: Entry, here: NDArray[np.bool_]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a model on whose answers the judge gives too few verdicts: none has a value.

    The bounds of the mean stand in the table of open questions.
    """
    replies = judge.silent[list(entry.members)][:, here]
    interval = without_score(int(replies.sum()), replies.size)
    for statistic in _STATISTICS:
        row = _empty(resampled, cell, held, judge=judge, statistic=statistic, entry=entry, here=here)
        yield row | {
            "unit": "" if statistic == "length_correlation" else "%",
            "interval": "none",
            "note": interval.note,
        }


def _empty(
    resampled: Resampled,
    cell: Cell,
    held: Extent,
    judge: _Judge,
    statistic: str,
    entry: Entry | None,
    here: NDArray[np.bool_],
) -> dict[str, Any]:
    members = list(entry.members) if entry is not None else list(np.flatnonzero(~judge.mute))
    return dict.fromkeys(COLUMNS) | {
        "suite": resampled.scored.suite,
        "scope_kind": cell.scope_kind,
        "scope": cell.scope,
        "metric": judge.measure.metric,
        "statistic": statistic,
        "model": "" if entry is None else entry.model,
        "kind": "" if entry is None else entry.kind,
        "backbone": "" if entry is None else entry.backbone,
        "mix": "" if entry is None else entry.mix,
        "seed": "" if entry is None else entry.seed,
        "n": held.items,
        "clusters": held.clusters,
        "silent": int(judge.silent[members][:, here].sum()),
        "level": resampled.settings.level,
        "note": "",
    }


if __name__ == "__main__":
    run(main)
