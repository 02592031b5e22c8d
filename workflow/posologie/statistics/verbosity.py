"""The table of verbosity: whether judges and people favour long answers, and what judges say at matched length."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posologie.running.commands import run
from posologie.statistics.agreement import interval_of_agreement
from posologie.statistics.correlations import partial_spearman, spearman
from posologie.statistics.intervals import Interval
from posologie.statistics.judged import without_score
from posologie.statistics.ratings import (
    POOLED,
    Estimated,
    RatedSet,
    Rater,
    effective_clusters,
    read_rated,
    scopes_of,
)
from posologie.statistics.spec import AgreementSpec
from posologie.statistics.tables import Latex, agreement_command, write_table

COLUMNS = (
    "set", "judge", "statistic", "generator", "n", "clusters", "excluded", "silent", "value", "low", "high", "level",
    "interval", "support", "note",
)  # fmt: skip
BINS = 5
EXTRAPOLATED = "extrapolated: the models have few answers of one length"
NO_COMMON_LENGTH = "no length that all have in common"
LATEX = Latex(
    "Answer length and scores, over the rated answers.",
    index=("set", "judge", "generator"),
    across=("statistic",),
    digits=2,
)


def main(argv: list[str]) -> None:
    """Write the table."""
    command = agreement_command("posologie.statistics.verbosity", __doc__ or "", argv)
    rows = [row for name in command.spec.sets for row in _rows(Path(command.results), name, command.spec)]
    write_table(command.table, COLUMNS, rows, LATEX)


def length_bins(words: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return [answer], the fifth of the length distribution over all answers that each answer lies in."""
    edges = np.quantile(words, np.linspace(0, 1, BINS + 1)[1:-1])
    bins: NDArray[np.int64] = np.searchsorted(edges, words, side="left")
    return bins


def matched_means(
    score: NDArray[np.float64], owner: NDArray[np.int64], bins: NDArray[np.int64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return [draw, generator], mean scores at one and the same length distribution, and [draw], what it rests on.

    Means within bins of length, weighted by the share of each bin among all answers (direct standardisation), over the
    bins in which every generator has an answer; NaN where there is no such bin. The second value is the share of all
    answers that lies in these bins.

    Args:
        owner: [answer], the number of its generator.
        weights: [draw, answer].
    """
    generators, places = int(owner.max()) + 1, int(bins.max()) + 1
    counts, sums = (np.zeros((len(weights), generators, places)) for _ in range(2))
    for generator in range(generators):
        for place in range(places):
            mine = (owner == generator) & (bins == place)
            counts[:, generator, place] = weights[:, mine].sum(axis=1)
            sums[:, generator, place] = weights[:, mine] @ score[mine]
    return standardised(counts, sums)


def standardised(
    counts: NDArray[np.float64], sums: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what `matched_means` does, from numbers of answers and sums of scores [draw, generator, bin]."""
    shared = (counts > 0).all(axis=1)
    shares = counts.sum(axis=1) * shared
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    total = shares.sum(axis=1)
    above = (means * shares[:, None]).sum(axis=2)
    matched = np.divide(above, total[:, None], out=np.full_like(above, np.nan), where=total[:, None] > 0)
    return matched, total / counts.sum(axis=(1, 2))


def matched_weights(owner: NDArray[np.int64], bins: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return [answer], the weight of each answer in its generator's mean at matched length; 0 where it has no part."""
    generators, places = int(owner.max()) + 1, int(bins.max()) + 1
    counts = np.zeros((generators, places))
    np.add.at(counts, (owner, bins), 1)
    shares = counts.sum(axis=0) * (counts > 0).all(axis=0)
    total = float(shares.sum())
    if total == 0:
        return np.zeros(len(owner))
    weights: NDArray[np.float64] = shares[bins] / total / counts[owner, bins]
    return weights


def equal_length_means(moments: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return [draw, generator], mean scores at equal length, and [draw], what a doubling of the length adds to a score.

    A regression of the score on the logarithm of 1 + words with one slope for all generators and a constant for each
    (analysis of covariance: Fisher 1932; Cochran 1957). A generator's mean is moved along the slope to the mean length
    of all answers. Other than means within strata of length it needs no lengths that all generators have in common, and
    where they have few it extrapolates.

    Args:
        moments: [draw, moment, generator], sums over answers of 1, x, y, xy and x², x being the logarithm and y the
            score.
    """
    count, x, y, xy, xx = np.moveaxis(moments, 1, 0)
    spread = xx - _over(x * x, count)
    within = spread.sum(axis=1)
    flat = within <= 1e-12 * np.maximum(xx.sum(axis=1), 1e-300)
    slope = np.where(flat, np.nan, _over((xy - _over(x * y, count)).sum(axis=1), np.where(flat, 1, within)))
    centre = x.sum(axis=1) / count.sum(axis=1)
    means = _over(y, count) - slope[:, None] * (_over(x, count) - centre[:, None])
    return means, slope * np.log(2)


def _over(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    divided: NDArray[np.float64] = np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0)
    return divided


def _rows(root: Path, name: str, spec: AgreementSpec) -> Iterator[dict[str, Any]]:
    rated = read_rated(root, name, spec)
    draws = rated.draws(spec.statistics.replicates, spec.statistics.seed)
    everyone = np.ones(len(rated.answer), dtype=bool)
    bins = length_bins(rated.words)
    for scope, estimated in rated.estimates(spearman, rated.words, rated.human, included=everyone, draws=draws).items():
        yield _row(rated, None, "length_human", scope=scope, included=everyone, estimated=estimated, spec=spec)
    yield from _length_rows(rated, None, rated.human, included=everyone, bins=bins, draws=draws, spec=spec)
    for judge in rated.raters:
        if judge.kind == "metric":
            continue
        included = ~judge.excluded
        for scope, estimated in rated.estimates(
            spearman, rated.words, judge.score, included=included, draws=draws
        ).items():
            yield _row(rated, judge, "length_judge", scope=scope, included=included, estimated=estimated, spec=spec)
        for scope, inside in scopes_of(rated.generator, included).items():
            three = rated.words[inside], judge.score[inside], rated.human[inside]
            point = float(partial_spearman(*three, rated.weight[None, inside])[0])
            estimated = Estimated(point, partial_spearman(*three, draws[:, inside]))
            yield _row(
                rated, judge, "length_judge_given_human", scope=scope, included=included, estimated=estimated, spec=spec
            )
        yield from _length_rows(rated, judge, judge.score, included=included, bins=bins, draws=draws, spec=spec)


def _length_rows(
    rated: RatedSet,
    judge: Rater | None,
    score: NDArray[np.float64],
    included: NDArray[np.bool_],
    bins: NDArray[np.int64],
    draws: NDArray[np.float64],
    spec: AgreementSpec,
) -> Iterator[dict[str, Any]]:
    """Yield each generator's mean score, and its means at matched and at equal length, where there are several."""
    scopes = [(scope, own) for scope, own in scopes_of(rated.generator, included).items() if scope != POOLED]
    if not scopes:
        return
    which = "judge" if judge else "human"
    known = np.any([own for _, own in scopes], axis=0)
    owner = np.argmax([own[known] for _, own in scopes], axis=0)
    arrays = score[known], owner, bins[known]
    points, support = matched_means(*arrays, rated.weight[None, known])
    matched, _ = matched_means(*arrays, draws[:, known])
    weights = np.zeros(len(known))
    weights[known] = matched_weights(owner, bins[known]) * rated.weight[known]
    logs = np.log1p(rated.words)
    columns = np.stack([np.ones_like(logs), logs, score, logs * score, logs**2])

    def moments(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([counts[:, own] @ columns[:, own].T for _, own in scopes], axis=2)

    (equal,), _ = equal_length_means(moments(rated.weight[None]))
    equal_draws, _ = equal_length_means(moments(draws))
    for place, (scope, own) in enumerate(scopes):
        count = draws[:, own].sum(axis=1)
        means = np.divide(draws[:, own] @ score[own], count, out=np.full(len(draws), np.nan), where=count > 0)
        plain = Estimated(float(np.average(score[own], weights=rated.weight[own])), means)
        yield _row(rated, judge, f"{which}_mean", scope=scope, included=included, estimated=plain, spec=spec)
        at_length = Estimated(float(points[0, place]), matched[:, place])
        rest = weights * own
        row = _row(
            rated=rated,
            judge=judge,
            statistic=f"{which}_at_matched_length",
            scope=scope,
            included=included,
            estimated=at_length,
            spec=spec,
            weights=rest,
        )
        yield row | {"support": 100 * float(support[0])}
        adjusted = Estimated(float(equal[place]), equal_draws[:, place])
        row = _row(
            rated, judge, f"{which}_at_equal_length", scope=scope, included=included, estimated=adjusted, spec=spec
        )
        if row["value"] is not None and row["interval"] != "none":
            extrapolated = effective_clusters(rated.group, rest) < spec.statistics.minimum_clusters
            row["note"] = EXTRAPOLATED if extrapolated else row["note"]
        yield row


def _row(
    rated: RatedSet,
    judge: Rater | None,
    statistic: str,
    scope: str,
    included: NDArray[np.bool_],
    estimated: Estimated,
    spec: AgreementSpec,
    weights: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """Return one row; `weights` [answer] say which answers the value rests on, where they are not all of the scope."""
    scoped = scopes_of(rated.generator, included).get(scope, included)
    inside = scoped if weights is None else scoped & (weights > 0)
    effective = effective_clusters(rated.group, (rated.weight if weights is None else weights) * inside)
    interval = interval_of_agreement(estimated, effective, spec.statistics)
    value = None if np.isnan(estimated.point) else estimated.point
    if weights is not None and not inside.any():
        interval = Interval(None, None, "none", NO_COMMON_LENGTH)
    if judge is not None and judge.too_silent_in(scoped):
        silent, answers = int(judge.silent[scoped].sum()), int(scoped.sum())
        value, interval = None, without_score(silent, answers)
    return {
        "set": rated.name,
        "judge": "" if judge is None else judge.name,
        "statistic": statistic,
        "generator": scope,
        "n": int(inside.sum()),
        "clusters": len(np.unique(rated.group[inside])),
        "excluded": int((~included).sum()),
        "silent": None if judge is None else judge.silent_in(scoped),
        "value": value,
        **interval.columns(spec.statistics.level),
        "support": None,
    }


if __name__ == "__main__":
    run(main)
