"""The table of raters: how far people agree among themselves, judges among themselves, and what a judge can reach."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import krippendorff
import numpy as np
from numpy.typing import NDArray

from posologie.running.commands import run
from posologie.statistics.agreement import interval_of_agreement
from posologie.statistics.correlations import pearson
from posologie.statistics.intervals import Interval
from posologie.statistics.judged import PANEL
from posologie.statistics.ratings import Estimated, RatedSet, effective_clusters, read_rated
from posologie.statistics.spec import AgreementSpec
from posologie.statistics.tables import Latex, agreement_command, write_table

COLUMNS = (
    "set", "raters_kind", "statistic", "rater", "scale", "raters", "ratings", "n", "clusters", "value", "low", "high",
    "level", "interval", "note",
)  # fmt: skip
LATEX = Latex(
    "Agreement among people and among judges.",
    index=("set", "raters_kind", "statistic", "rater"),
    show=("raters", "n", "value"),
    digits=2,
)
Scale = Literal["nominal", "ordinal"]
_FEWEST = 3
"""Answers that two raters must share for a correlation of theirs."""


def main(argv: list[str]) -> None:
    """Write the table."""
    command = agreement_command("posologie.statistics.raters", __doc__ or "", argv)
    rows: list[dict[str, Any]] = []
    for name in command.spec.sets:
        rated = read_rated(command.results, name, command.spec)
        draws = rated.clusters_drawn(command.spec.statistics.replicates, command.spec.statistics.seed)
        rows.extend(_people_rows(rated, draws, command.spec))
        rows.extend(_judge_rows(rated, draws, command.spec))
    write_table(command.table, COLUMNS, rows, LATEX)


def alpha(ratings: NDArray[np.float64], scale: Scale, draws: NDArray[np.int64]) -> Estimated:
    """Return Krippendorff's α (Krippendorff 2019, chapter 12) and its value in draws of answers.

    The chance-corrected agreement of any number of raters, where each may have rated some of the answers alone.

    Args:
        ratings: [rater, answer], NaN where there is none.
        scale: `nominal` or `ordinal`, how far two values are apart.
        draws: [draw, answer], how often each answer occurs.
    """
    values = np.unique(ratings[~np.isnan(ratings)])
    counts = np.stack([(ratings == value).sum(axis=0) for value in values], axis=1)

    def of(times: NDArray[np.int64]) -> float:
        held = np.repeat(counts, times, axis=0)
        held = held[held.sum(axis=1) > 1]
        if not len(held) or np.count_nonzero(held.sum(axis=0)) < 2:
            return float("nan")  # no two ratings of one answer, or one value throughout
        return float(krippendorff.alpha(value_counts=held, value_domain=values, level_of_measurement=scale))

    if len(values) < 2:
        return Estimated(float("nan"), np.full(len(draws), np.nan))
    return Estimated(of(np.ones(len(counts), dtype=np.int64)), np.array([of(times) for times in draws]))


def ceiling(ratings: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [draw], the correlation with the mean rating of a judge that knows what people have in common.

    The square root of the reliability of a mean of k raters, by Spearman and Brown (1910) from the mean correlation of
    two of them: no judge can be expected to correlate higher with these people's mean.

    Args:
        ratings: [rater, answer], NaN where there is none.
        weights: [draw, answer].
    """
    pairs = []
    for place, first in enumerate(ratings):
        for second in ratings[place + 1 :]:
            both = ~np.isnan(first) & ~np.isnan(second)
            if both.sum() >= _FEWEST:
                pairs.append(pearson(first[both], second[both], weights[:, both]))
    if not pairs:
        return np.full(len(weights), np.nan)
    mean = np.mean(pairs, axis=0)
    raters = np.mean((~np.isnan(ratings)).sum(axis=0))
    reliability = raters * mean / (1 + (raters - 1) * mean)
    return np.sqrt(np.where(reliability > 0, reliability, np.nan))


def _people_rows(rated: RatedSet, draws: NDArray[np.float64], spec: AgreementSpec) -> Iterator[dict[str, Any]]:
    people = {name: ratings for name, ratings in rated.people.items() if (~np.isnan(ratings)).any()}
    if len(people) < 2:
        return
    stacked = np.stack(list(people.values()))
    shared = (~np.isnan(stacked)).sum(axis=0) > 1
    if not shared.any():
        return
    scale: Scale = "nominal" if np.isin(stacked[~np.isnan(stacked)], (0.0, 1.0)).all() else "ordinal"
    row = partial(_row, rated=rated, kind="people", scale=scale, ratings=stacked, spec=spec)
    yield row(statistic="alpha", rater="", estimated=alpha(stacked, scale, draws.astype(int)))
    ones = np.ones((1, stacked.shape[1]))
    estimated = Estimated(float(ceiling(stacked, ones)[0]), ceiling(stacked, draws))
    yield row(statistic="ceiling", rater="", estimated=estimated)
    for name, own in people.items():
        others = np.stack([ratings for other, ratings in people.items() if other != name])
        known = ~np.isnan(own) & (~np.isnan(others)).any(axis=0)
        if known.sum() < _FEWEST:
            continue
        mean = np.nanmean(others[:, known], axis=0)
        point = float(pearson(own[known], mean, ones[:, known])[0])
        estimated = Estimated(point, pearson(own[known], mean, draws[:, known]))
        yield row(statistic="against_others", rater=name, estimated=estimated, known=known)


def _judge_rows(rated: RatedSet, draws: NDArray[np.float64], spec: AgreementSpec) -> Iterator[dict[str, Any]]:
    """Yield α among all judges, and among those of the panel; a judge that gives no verdict has no rating."""
    judges = {rater.name.removeprefix("judge:"): rater for rater in rated.raters if rater.kind == "judge"}
    judges.pop(PANEL, None)
    groups: Mapping[str, Sequence[str]] = {"judges": list(judges), **({PANEL: spec.panel} if spec.panel else {})}
    for kind, names in groups.items():
        if len(names) > 1:
            labels = np.stack([np.where(judges[name].silent, np.nan, judges[name].score) for name in names])
            if ((~np.isnan(labels)).sum(axis=0) > 1).any():
                estimated = alpha(labels, "nominal", draws.astype(int))
                yield _row(
                    rated=rated,
                    kind=kind,
                    statistic="alpha",
                    rater="",
                    scale="nominal",
                    ratings=labels,
                    estimated=estimated,
                    spec=spec,
                )


def _row(
    *,
    rated: RatedSet,
    kind: str,
    statistic: str,
    rater: str,
    scale: str,
    ratings: NDArray[np.float64],
    estimated: Estimated,
    spec: AgreementSpec,
    known: NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    inside = (~np.isnan(ratings)).sum(axis=0) > 1 if known is None else known
    effective = effective_clusters(rated.group[inside], np.ones(int(inside.sum())))
    interval = interval_of_agreement(estimated, effective, spec.statistics)
    if statistic == "ceiling" and np.isnan(estimated.point):
        interval = Interval(None, None, "none", "undefined: these people have nothing in common")
    return {
        "set": rated.name,
        "raters_kind": kind,
        "statistic": statistic,
        "rater": rater,
        "scale": scale,
        "raters": len(ratings),
        "ratings": int((~np.isnan(ratings[:, inside])).sum()),
        "n": int(inside.sum()),
        "clusters": len(np.unique(rated.group[inside])),
        "value": None if np.isnan(estimated.point) else estimated.point,
        **interval.columns(spec.statistics.level),
    }


if __name__ == "__main__":
    run(main)
