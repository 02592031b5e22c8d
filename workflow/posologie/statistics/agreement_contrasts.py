"""The table of differences between correlations with people: between judges, and of the chosen judge with metrics."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posologie.running.commands import run
from posologie.statistics.agreement import interval_of_agreement
from posologie.statistics.correlations import CORRELATIONS, pearson, steiger_p, zou_interval
from posologie.statistics.intervals import bootstrap_p, defined_draws, holm
from posologie.statistics.judged import silence_note
from posologie.statistics.ratings import (
    POOLED,
    WITHIN,
    Estimated,
    RatedSet,
    Rater,
    effective_clusters,
    read_rated,
)
from posologie.statistics.spec import AgreementSpec
from posologie.statistics.tables import Latex, agreement_command, write_table

COLUMNS = (
    "set", "left", "right", "generator", "statistic", "n", "clusters", "silent_left", "silent_right", "left_value",
    "right_value",
    "value", "low", "high", "level", "interval", "p_bootstrap", "p_holm", "p_steiger", "zou_low", "zou_high", "note",
)  # fmt: skip
LATEX = Latex(
    "Differences between correlations with people (Pearson, all answers).",
    index=("set", "left", "right"),
    where={"generator": ("pooled",), "statistic": ("pearson",)},
    show=("value", "p_bootstrap", "p_holm", "p_steiger"),
    digits=3,
)


def main(argv: list[str]) -> None:
    """Write the table; Holm's correction is over the pairs of one set, statistic and scope."""
    command = agreement_command("posologie.statistics.agreement_contrasts", __doc__ or "", argv)
    rows: list[dict[str, Any]] = []
    for name in command.spec.sets:
        rated = read_rated(command.results, name, command.spec)
        draws = rated.draws(command.spec.statistics.replicates, command.spec.statistics.seed)
        for left, right in pairs_of(rated, command.spec.chosen):
            rows.extend(_pair_rows(rated, left, right, draws, command.spec))
    for statistic, scope, name in dict.fromkeys((row["statistic"], row["generator"], row["set"]) for row in rows):
        family = [
            row
            for row in rows
            if (row["statistic"], row["generator"], row["set"]) == (statistic, scope, name)
            and row["p_bootstrap"] is not None
        ]
        for row, adjusted in zip(family, holm(np.array([row["p_bootstrap"] for row in family])), strict=True):
            row["p_holm"] = float(adjusted)
    write_table(command.table, COLUMNS, rows, LATEX)


def pairs_of(rated: RatedSet, chosen: str | None) -> Iterator[tuple[Rater, Rater]]:
    """Yield every pair of judges, and the chosen judge with every metric."""
    judges = [rater for rater in rated.raters if rater.kind == "judge"]
    yield from itertools.combinations(judges, 2)
    for judge in judges:
        if chosen is not None and judge.name == f"judge:{chosen}":
            yield from ((judge, rater) for rater in rated.raters if rater.kind == "metric")


def _pair_rows(
    rated: RatedSet, left: Rater, right: Rater, draws: NDArray[np.float64], spec: AgreementSpec
) -> Iterator[dict[str, Any]]:
    settings = spec.statistics
    included = ~left.excluded & ~right.excluded
    effective = effective_clusters(rated.group[included], rated.weight[included])
    for name, statistic in CORRELATIONS.items():
        both = [
            rated.estimates(statistic, rated.human, rater.score, included=included, draws=draws)
            for rater in (left, right)
        ]
        for scope in (POOLED, WITHIN):
            if scope not in both[0] or scope not in both[1]:
                continue
            first, second = both[0][scope], both[1][scope]
            difference = Estimated(first.point - second.point, first.draws - second.draws)
            interval = interval_of_agreement(difference, effective, settings)
            defined = defined_draws(difference.draws)
            shown = not np.isnan(difference.point)
            row = {
                "set": rated.name,
                "left": left.name,
                "right": right.name,
                "generator": scope,
                "statistic": name,
                "n": int(included.sum()),
                "clusters": len(np.unique(rated.group[included])),
                "left_value": None if np.isnan(first.point) else first.point,
                "right_value": None if np.isnan(second.point) else second.point,
                "value": difference.point if shown else None,
                **interval.columns(settings.level),
                "p_bootstrap": bootstrap_p(defined) if shown and len(defined) else None,
                "p_holm": None,
                "p_steiger": None,
                "zou_low": None,
                "zou_high": None,
            }
            row["silent_left"], row["silent_right"] = left.silent_in(included), right.silent_in(included)
            mute = next((rater for rater in (left, right) if rater.too_silent_in(included)), None)
            if mute is not None:
                silence = silence_note(int(mute.silent[included].sum()), int(included.sum()))
                note = f"{mute.name.removeprefix('judge:')}: {silence}"
                row |= {"value": None, "low": None, "high": None, "interval": "none", "p_bootstrap": None, "note": note}
                row |= {f"{side}_value": None for side, rater in (("left", left), ("right", right)) if rater is mute}
            elif name == "pearson" and scope == POOLED and shown:
                row |= _parametric(
                    left.score[included], right.score[included], first.point, second.point, settings.level
                )
            yield row


def _parametric(
    left: NDArray[np.float64], right: NDArray[np.float64], first: float, second: float, level: float
) -> dict[str, float]:
    """Return Steiger's p-value and Zou's interval, where they are defined."""
    between = float(pearson(left, right, np.ones((1, len(left))))[0])
    if len(left) <= 3 or max(abs(first), abs(second), abs(between)) >= 1 - 1e-12:
        return {}
    low, high = zou_interval(first, second, between, len(left), level)
    return {"p_steiger": steiger_p(first, second, between, len(left)), "zou_low": low, "zou_high": high}


if __name__ == "__main__":
    run(main)
