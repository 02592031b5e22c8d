"""The table of the choice of a judge: which one the rule would take, how surely, and at what correlation."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from posologie.running.commands import run
from posologie.statistics.agreement import interval_of_agreement
from posologie.statistics.correlations import pearson
from posologie.statistics.intervals import Interval
from posologie.statistics.judged import PANEL, without_score
from posologie.statistics.ratings import Estimated, RatedSet, effective_clusters, read_rated
from posologie.statistics.spec import AgreementSpec
from posologie.statistics.tables import Latex, agreement_command, write_table

COLUMNS = (
    "set", "judge", "n", "clusters", "excluded", "triples", "silent", "value", "low", "high", "level", "interval",
    "chosen_share", "by_rule", "configured", "corrected", "note",
)  # fmt: skip
MISMATCH = "the configured judge is not the one that the rule chooses"


SELECTED = "selected"
"""Name of the interval that accounts for the choice of the judge with the highest correlation."""


@dataclass(frozen=True)
class Choice:
    """What the rule "take the judge with the highest correlation" gives.

    Attributes:
        points: [judge], correlation with people.
        drawn: [judge, draw].
        shares: [judge], how often each is chosen, of the draws in which a judge has a correlation; ties are shared out;
            NaN if there is no such draw.
        corrected: mean correlation, on the clusters that a draw leaves out, of the judge chosen in that draw; NaN if it
            is never defined.
        interval: of the true correlation of the judge that is chosen; None where there is none.
    """

    points: NDArray[np.float64]
    drawn: NDArray[np.float64]
    shares: NDArray[np.float64]
    corrected: float
    interval: tuple[float, float] | None


LATEX = Latex(
    "The choice of a judge: correlation with people, how often the rule chooses it (percent), corrected correlation.",
    index=("set", "judge"),
    show=("value", "chosen_share", "corrected"),
    digits=2,
)


def main(argv: list[str]) -> None:
    """Write the table."""
    command = agreement_command("posologie.statistics.judge_choice", __doc__ or "", argv)
    rows: list[dict[str, Any]] = []
    for name in command.spec.sets if command.spec.judges else ():
        rows.extend(_rows(read_rated(command.results, name, command.spec), command.spec))
    write_table(command.table, COLUMNS, rows, LATEX)


def choice_of(
    human: NDArray[np.float64],
    scores: NDArray[np.float64],
    draws: NDArray[np.float64],
    weight: NDArray[np.float64],
    effective: float,
    level: float,
) -> Choice:
    """Return what the rule "take the judge with the highest correlation" gives, on the answers and under resampling.

    The correlation of the best of several judges is too high, because the best luck is chosen with the best judge. In
    every draw the clusters that were not drawn are new to the choice: the mean of the chosen judge's correlation on
    them estimates what the rule gives on new questions (out-of-bag: Breiman 1996; Efron and Tibshirani 1997).

    Args:
        scores: [judge, answer].
        draws: [draw, answer], how often each answer occurs, times its weight.
        weight: [answer].
        effective: number of equal clusters of answers.
        level: of the interval.
    """
    points = np.array([float(pearson(human, score, weight[None])[0]) for score in scores])
    drawn = np.stack([pearson(human, score, draws) for score in scores])
    left_out = np.stack([pearson(human, score, (draws == 0) * weight) for score in scores])
    ranked = np.where(np.isnan(drawn), -np.inf, drawn)
    best = ranked == ranked.max(axis=0)
    weights = best / best.sum(axis=0)
    with np.errstate(invalid="ignore"):
        outside = np.where(weights > 0, weights * left_out, 0.0).sum(axis=0)
    defined = outside[~np.isnan(outside)]
    known = ~np.isnan(drawn).all(axis=0)
    shares = weights[:, known].mean(axis=1) if known.any() else np.full(len(scores), np.nan)
    corrected = float(defined.mean()) if len(defined) else float("nan")
    return Choice(points, drawn, shares, corrected, selected_interval(points, drawn, effective, level))


def selected_interval(
    points: NDArray[np.float64], drawn: NDArray[np.float64], effective: float, level: float
) -> tuple[float, float] | None:
    """Return an interval for the true correlation of the judge whose correlation is the highest; None without one.

    The estimate of the best of several errs upwards at most as far as the largest error of those that may have been
    taken instead, and downwards at most as far as a single one (Benjamini, Hechtlinger and Stark 2019, "Confidence
    intervals for selected parameters"). The lower end is therefore a simultaneous bound over the judges that are less
    than three standard errors behind, and takes seven eighths of the error, because that end is the one that misses;
    the upper end is the judge's own. On Fisher's z, whose errors are nearly normal; Student's t with the number of
    clusters allows for the estimated spread.

    Args:
        points: [judge].
        drawn: [judge, draw].
    """
    able = np.flatnonzero(~np.isnan(points))
    if not len(able) or points[able].max() >= 1:
        return None
    z = np.arctanh(np.clip(drawn[able], -1 + 1e-9, 1 - 1e-9))
    z = z[:, ~np.isnan(z).any(axis=0)]
    if z.shape[1] < 0.99 * drawn.shape[1]:
        return None
    at = np.arctanh(np.clip(points[able], -1 + 1e-9, 1 - 1e-9))
    best = int(np.argmax(at))
    errors = z - z.mean(axis=1, keepdims=True)
    behind = at[best] - at <= 3 * (errors[best] - errors).std(axis=1)
    spread = float(errors[best].std())
    if spread == 0:
        return None
    alpha = 1 - level
    widening = float(stdtrit(max(effective - 1, 1), 1 - alpha / 2) / ndtri(1 - alpha / 2))
    down = float(np.quantile(errors[behind | (np.arange(len(at)) == best)].max(axis=0), 1 - 0.875 * alpha))
    up = float(ndtri(1 - 0.125 * alpha)) * spread
    return float(np.tanh(at[best] - widening * down)), float(np.tanh(at[best] + widening * up))


def _rows(rated: RatedSet, spec: AgreementSpec) -> list[dict[str, Any]]:
    judges = [rater for rater in rated.raters if rater.kind == "judge" and rater.name != f"judge:{PANEL}"]
    included = ~np.any([judge.excluded for judge in judges], axis=0)
    draws = rated.draws(spec.statistics.replicates, spec.statistics.seed)[:, included]
    mute = [judge.too_silent_in(included) for judge in judges]
    # A judge that gives too few verdicts has no correlation, and the rule cannot take it.
    scores = [
        np.zeros(int(included.sum())) if silent else judge.score[included]
        for judge, silent in zip(judges, mute, strict=True)
    ]
    effective = effective_clusters(rated.group[included], rated.weight[included])
    choice = choice_of(
        rated.human[included], np.stack(scores), draws, rated.weight[included], effective, spec.statistics.level
    )
    by_rule = None if np.isnan(choice.points).all() else int(np.nanargmax(choice.points))
    rows = []
    for place, judge in enumerate(judges):
        configured = spec.chosen is not None and judge.name == f"judge:{spec.chosen}"
        estimated = Estimated(choice.points[place], choice.drawn[place])
        interval = interval_of_agreement(estimated, effective, spec.statistics)
        if place == by_rule and choice.interval is not None and len(judges) > 1 and interval.method != "none":
            interval = Interval(*choice.interval, SELECTED)
        if mute[place]:
            interval = without_score(int(judge.silent[included].sum()), int(included.sum()))
        notes = [interval.note] if interval.note else []
        if configured and by_rule is not None and place != by_rule:
            notes.append(MISMATCH)
        rows.append(
            {
                "set": rated.name,
                "judge": judge.name.removeprefix("judge:"),
                "n": int(included.sum()),
                "clusters": len(np.unique(rated.group[included])),
                "excluded": int((~included).sum()),
                "triples": judge.triples,
                "silent": judge.silent_in(included),
                "value": None if np.isnan(choice.points[place]) else float(choice.points[place]),
                **interval.columns(spec.statistics.level),
                "chosen_share": None if np.isnan(choice.shares[place]) else 100 * float(choice.shares[place]),
                "by_rule": int(place == by_rule),
                "configured": int(configured),
                "corrected": choice.corrected if place == by_rule and not np.isnan(choice.corrected) else None,
                "note": "; ".join(notes),
            }
        )
    return rows


if __name__ == "__main__":
    run(main)
