"""The table of agreement: every metric, judge and person against people, per answer generator and over all of them."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posologie.records.published import Comparison, shown
from posologie.running.commands import run
from posologie.statistics.correlations import CORRELATIONS, OF_LABELS, OF_SCORES, Statistic
from posologie.statistics.intervals import (
    CONSTANT,
    TOO_SMALL,
    UNDEFINED,
    Interval,
    are_constant,
    defined_draws,
    percentile,
)
from posologie.statistics.judged import bounds_of, without_score
from posologie.statistics.ratings import (
    WITHIN,
    Estimated,
    RatedSet,
    Rater,
    effective_clusters,
    inside_scope,
    read_rated,
)
from posologie.statistics.spec import AgreementSpec, Statistics
from posologie.statistics.tables import Latex, agreement_command, write_table

COLUMNS = (
    "set", "rater_kind", "rater", "against", "generator", "statistic",
    "n", "clusters", "excluded", "triples", "silent", "value", "low", "high", "level", "interval", "note",
    "published", "difference",
)  # fmt: skip
_FOLDS = 5
LATEX = Latex(
    "Agreement with people over all answers.",
    index=("set", "rater"),
    where={"generator": ("pooled",), "against": ("human",)},
    across=("statistic",),
    digits=2,
)


def main(argv: list[str]) -> None:
    """Write the table."""
    command = agreement_command("posologie.statistics.agreement", __doc__ or "", argv)
    rows: list[dict[str, Any]] = []
    for name in command.spec.sets:
        rated = read_rated(command.results, name, command.spec)
        draws = rated.draws(command.spec.statistics.replicates, command.spec.statistics.seed)
        for rater in rated.raters:
            rows.extend(_rater_rows(rated, rater, draws, command.spec))
        rows.extend(_people_rows(rated, draws, command.spec.statistics))
    if command.published is not None:
        for row in rows:
            _set_published(row, command.published)
    write_table(command.table, *shown(COLUMNS, rows, command.published), LATEX)


def _set_published(row: dict[str, Any], published: Comparison) -> None:
    """Set the published correlation with people and ours − theirs."""
    pooled = (row["statistic"], row["generator"], row["against"]) == ("pearson", "pooled", "human")
    value = published.agreement(row["set"], row["rater"]) if pooled else None
    row["published"] = value
    row["difference"] = None if value is None or row["value"] is None else row["value"] - value


def threshold_labels(
    score: NDArray[np.float64], right: NDArray[np.float64], group: NDArray[np.str_]
) -> NDArray[np.float64]:
    """Return [answer], labels from a score by the threshold that is most accurate on the other fifths of the groups.

    A metric gives no label of its own; a threshold that was found on the same answers would flatter it.
    """
    groups, code = np.unique(group, return_inverse=True)
    fold = code % min(_FOLDS, len(groups))
    labels = np.zeros(len(score))
    for held_out in np.unique(fold):
        others = fold != held_out
        values = np.unique(score[others])
        cuts = np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]])
        accuracies = [np.mean((score[others] >= cut) == right[others]) for cut in cuts]
        labels[fold == held_out] = score[fold == held_out] >= cuts[int(np.argmax(accuracies))]
    return labels


def _rater_rows(
    rated: RatedSet, rater: Rater, draws: NDArray[np.float64], spec: AgreementSpec
) -> Iterator[dict[str, Any]]:
    included = ~rater.excluded
    pairs: list[tuple[str, Statistic, NDArray[np.float64], NDArray[np.float64]]] = [
        (name, statistic, rated.human, rater.score) for name, statistic in CORRELATIONS.items()
    ]
    if rated.right is not None:
        label = rater.label
        if label is None:  # a metric or a probability
            label = np.zeros(len(included))
            label[included] = threshold_labels(rater.score[included], rated.right[included], rated.group[included])
        pairs += [(name, statistic, rated.right, rater.score) for name, statistic in OF_SCORES.items()]
        pairs += [(name, statistic, rated.right, label) for name, statistic in OF_LABELS.items()]
    for name, statistic, people, other in pairs:
        for scope, estimated in rated.estimates(statistic, people, other, included=included, draws=draws).items():
            row = _row(rated, scope, included, estimated, spec.statistics)
            inside = inside_scope(rated.generator, included, scope)
            if rater.too_silent_in(inside):
                row |= _bounded(rated, rater, name, scope=scope, inside=inside, draws=draws, settings=spec.statistics)
            yield row | {
                "rater_kind": rater.kind,
                "rater": rater.name,
                "against": "human",
                "statistic": name,
                "excluded": int(rater.excluded.sum()),
                "triples": None if rater.kind == "metric" else rater.triples,
                "silent": rater.silent_in(inside),
            }


def _bounded(
    rated: RatedSet,
    rater: Rater,
    name: str,
    scope: str,
    inside: NDArray[np.bool_],
    draws: NDArray[np.float64],
    settings: Statistics,
) -> dict[str, Any]:
    """Return what stands for a statistic of a judge that gives too few verdicts: bounds of the accuracy, or nothing."""
    silent, answers = int(rater.silent[inside].sum()), int(inside.sum())
    if name != "accuracy" or rated.right is None or scope == WITHIN:
        bounds = without_score(silent, answers)
    else:
        effective = effective_clusters(rated.group[inside], rated.weight[inside])
        ends = []
        for label in (1 - rated.right, rated.right):  # every missing verdict wrong, and every one right
            filled_in = np.where(rater.silent, label, rater.score)
            end = rated.estimates(OF_LABELS[name], rated.right, filled_in, included=~rater.excluded, draws=draws)[scope]
            ends.append((end.point, interval_of_agreement(end, effective, settings)))
        bounds = bounds_of(ends[0], ends[1], silent, answers)
    return {"value": None, **bounds.columns(settings.level)}


def _people_rows(rated: RatedSet, draws: NDArray[np.float64], settings: Statistics) -> Iterator[dict[str, Any]]:
    for (first, ratings), (second, others) in itertools.combinations(rated.people.items(), 2):
        shared = ~np.isnan(ratings) & ~np.isnan(others)
        if not shared.any():
            continue
        measures: Mapping[str, Statistic] = dict(CORRELATIONS)
        if np.isin(np.concatenate([ratings[shared], others[shared]]), (0.0, 1.0)).all():
            measures = {**measures, **OF_LABELS}
        for name, statistic in measures.items():
            by_scope = rated.estimates(
                statistic, np.nan_to_num(ratings), np.nan_to_num(others), included=shared, draws=draws
            )
            for scope, estimated in by_scope.items():
                yield _row(rated, scope, shared, estimated, settings) | {
                    "rater_kind": "human",
                    "rater": first,
                    "against": second,
                    "statistic": name,
                    "excluded": 0,
                    "triples": None,
                    "silent": None,
                }


def _row(
    rated: RatedSet, scope: str, included: NDArray[np.bool_], estimated: Estimated, settings: Statistics
) -> dict[str, Any]:
    inside = inside_scope(rated.generator, included, scope)
    interval = interval_of_agreement(estimated, effective_clusters(rated.group[inside], rated.weight[inside]), settings)
    return {
        "set": rated.name,
        "generator": scope,
        "n": int(inside.sum()),
        "clusters": len(np.unique(rated.group[inside])),
        "value": None if np.isnan(estimated.point) else estimated.point,
        **interval.columns(settings.level),
    }


def interval_of_agreement(estimated: Estimated, effective: float, settings: Statistics) -> Interval:
    """Return the percentile interval of an agreement statistic, or why there is none."""
    if np.isnan(estimated.point):
        return Interval(None, None, "none", "undefined: a rating is constant")
    if effective < settings.minimum_clusters:
        return Interval(None, None, "none", TOO_SMALL)
    draws = defined_draws(estimated.draws)
    if not len(draws):
        return Interval(None, None, "none", UNDEFINED)
    if are_constant(draws):
        return Interval(None, None, "none", CONSTANT)
    return Interval(*percentile(draws, settings.level), "percentile")


if __name__ == "__main__":
    run(main)
