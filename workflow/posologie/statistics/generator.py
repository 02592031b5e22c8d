"""The table of generators: a judge's error on the answers of each model, and whether it favours some of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posologie.running.commands import run
from posologie.statistics.agreement import interval_of_agreement
from posologie.statistics.intervals import bootstrap_p, defined_draws, holm
from posologie.statistics.judged import bounds_of, filled
from posologie.statistics.ratings import POOLED, Estimated, RatedSet, Rater, effective_clusters, read_rated, scopes_of
from posologie.statistics.spec import AgreementSpec
from posologie.statistics.tables import Latex, agreement_command, write_table

COLUMNS = (
    "set", "judge", "generator", "n", "clusters", "excluded", "silent", "unit", "human", "judge_value",
    "value", "low", "high", "level", "interval", "against_others", "p_value", "p_holm", "note",
)  # fmt: skip
LATEX = Latex(
    "A judge's error by answer generator, in points.",
    index=("set", "judge", "generator"),
    show=("human", "judge_value", "value", "p_holm"),
)


def main(argv: list[str]) -> None:
    """Write the table; Holm's correction is over the generators of one set and judge."""
    command = agreement_command("posologie.statistics.generator", __doc__ or "", argv)
    rows: list[dict[str, Any]] = []
    for name in command.spec.sets:
        rated = read_rated(Path(command.results), name, command.spec)
        draws = rated.draws(command.spec.statistics.replicates, command.spec.statistics.seed)
        if rated.right is None:
            continue
        for judge in rated.raters:
            if judge.kind == "judge":
                family = list(_rows(rated, judge, rated.right, draws, command.spec))
                tested = [row for row in family if row["p_value"] is not None]
                for row, adjusted in zip(tested, holm(np.array([row["p_value"] for row in tested])), strict=True):
                    row["p_holm"] = float(adjusted)
                rows.extend(family)
    write_table(command.table, COLUMNS, rows, LATEX)


def _rows(
    rated: RatedSet, judge: Rater, right: NDArray[np.float64], draws: NDArray[np.float64], spec: AgreementSpec
) -> Iterator[dict[str, Any]]:
    included = ~judge.excluded
    error = judge.score - right
    for scope, inside in scopes_of(rated.generator, included).items():
        mean = Estimated(float(np.average(error[inside], weights=rated.weight[inside])), _mean(error, inside, draws))
        interval = interval_of_agreement(
            mean, effective_clusters(rated.group[inside], rated.weight[inside]), spec.statistics
        )
        row = {
            "set": rated.name,
            "judge": judge.name.removeprefix("judge:"),
            "generator": scope,
            "n": int(inside.sum()),
            "clusters": len(np.unique(rated.group[inside])),
            "excluded": int(judge.excluded.sum()),
            "silent": judge.silent_in(inside),
            "unit": "%",
            "human": 100 * float(np.average(right[inside], weights=rated.weight[inside])),
            "judge_value": 100 * float(np.average(judge.score[inside], weights=rated.weight[inside])),
            "value": 100 * mean.point,
            "low": None if interval.low is None else 100 * interval.low,
            "high": None if interval.high is None else 100 * interval.high,
            "level": spec.statistics.level,
            "interval": interval.method,
            "against_others": None,
            "p_value": None,
            "p_holm": None,
            "note": interval.note,
        }
        if judge.too_silent_in(inside):
            row |= _bounded(rated, judge, right, inside, draws, spec)
        elif scope != POOLED and not judge.too_silent_in(included & ~inside):
            others = included & ~inside
            defined = defined_draws(mean.draws - _mean(error, others, draws))
            row["against_others"] = 100 * (mean.point - float(np.average(error[others], weights=rated.weight[others])))
            row["p_value"] = bootstrap_p(defined) if len(defined) else None
        yield row


def _bounded(
    rated: RatedSet,
    judge: Rater,
    right: NDArray[np.float64],
    inside: NDArray[np.bool_],
    draws: NDArray[np.float64],
    spec: AgreementSpec,
) -> dict[str, Any]:
    """Return the bounds of the error of a judge that gives too few verdicts; an error that is not known is no bias."""
    ends = []
    for value in (0.0, 1.0):
        error = filled(judge.score, judge.silent, value) - right
        end = Estimated(float(np.average(error[inside], weights=rated.weight[inside])), _mean(error, inside, draws))
        ends.append(
            (
                end.point,
                interval_of_agreement(
                    end, effective_clusters(rated.group[inside], rated.weight[inside]), spec.statistics
                ),
            )
        )
    bounds = bounds_of(ends[0], ends[1], int(judge.silent[inside].sum()), int(inside.sum()))
    low, high = (None if end is None else 100 * end for end in (bounds.low, bounds.high))
    return {
        "judge_value": None,
        "value": None,
        "low": low,
        "high": high,
        "interval": bounds.method,
        "note": bounds.note,
    }


def _mean(values: NDArray[np.float64], inside: NDArray[np.bool_], draws: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = draws[:, inside]
    count = weights.sum(axis=1)
    mean: NDArray[np.float64] = np.divide(
        weights @ values[inside], count, out=np.full(len(draws), np.nan), where=count > 0
    )
    return mean


if __name__ == "__main__":
    run(main)
