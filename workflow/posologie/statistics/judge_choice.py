"""The table of the choice of a judge: which one the rule would take, how surely, and at what correlation."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posologie.commands import run
from posologie.statistics.agreement import interval_of_agreement
from posologie.statistics.agreement_measures import pearson
from posologie.statistics.agreement_scopes import Estimated, effective_clusters
from posologie.statistics.latex import Latex
from posologie.statistics.ratings import RatedSet, read_rated
from posologie.statistics.spec import AgreementSpec
from posologie.statistics.table_command import agreement_command
from posologie.statistics.table_files import write_table

COLUMNS = (
    "set", "judge", "n", "clusters", "excluded", "value", "low", "high", "level", "interval",
    "chosen_share", "by_rule", "configured", "corrected", "note",
)  # fmt: skip
MISMATCH = "the configured judge is not the one that the rule chooses"


@dataclass(frozen=True)
class Choice:
    """What the rule "take the judge with the highest correlation" does under resampling.

    Attributes:
        shares: [judge], how often each is chosen, of the draws in which a judge has a correlation; ties are shared out;
            NaN if there is no such draw.
        corrected: mean correlation, on the clusters that a draw leaves out, of the judge chosen in that draw; NaN if it
            is never defined.
    """

    shares: NDArray[np.float64]
    corrected: float


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
    human: NDArray[np.float64], scores: NDArray[np.float64], draws: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], Choice]:
    """Return each judge's correlation, [judge, draw] its correlation in the draws, and the choice under resampling.

    The correlation of the best of several judges is too high, because the best luck is chosen with the best judge. In
    every draw the clusters that were not drawn are new to the choice: the mean of the chosen judge's correlation on
    them estimates what the rule gives on new questions (out-of-bag: Breiman 1996; Efron and Tibshirani 1997).

    Args:
        scores: [judge, answer].
        draws: [draw, answer], how often each answer occurs.
    """
    ones = np.ones((1, len(human)))
    points = np.array([float(pearson(human, score, ones)[0]) for score in scores])
    drawn = np.stack([pearson(human, score, draws) for score in scores])
    left_out = np.stack([pearson(human, score, (draws == 0).astype(float)) for score in scores])
    ranked = np.where(np.isnan(drawn), -np.inf, drawn)
    best = ranked == ranked.max(axis=0)
    weights = best / best.sum(axis=0)
    with np.errstate(invalid="ignore"):
        outside = np.where(weights > 0, weights * left_out, 0.0).sum(axis=0)
    defined = outside[~np.isnan(outside)]
    known = ~np.isnan(drawn).all(axis=0)
    shares = weights[:, known].mean(axis=1) if known.any() else np.full(len(scores), np.nan)
    return points, drawn, Choice(shares, float(defined.mean()) if len(defined) else float("nan"))


def _rows(rated: RatedSet, spec: AgreementSpec) -> list[dict[str, Any]]:
    judges = [rater for rater in rated.raters if rater.kind == "judge"]
    kept = ~np.any([judge.excluded for judge in judges], axis=0)
    draws = rated.draws(spec.statistics.replicates, spec.statistics.seed)[:, kept]
    points, drawn, choice = choice_of(rated.human[kept], np.stack([judge.score[kept] for judge in judges]), draws)
    by_rule = None if np.isnan(points).all() else int(np.nanargmax(points))
    rows = []
    for place, judge in enumerate(judges):
        configured = spec.chosen is not None and judge.name == f"judge:{spec.chosen}"
        interval = interval_of_agreement(
            Estimated(points[place], drawn[place]), effective_clusters(rated.group[kept]), spec.statistics
        )
        notes = [interval.note] if interval.note else []
        if configured and by_rule is not None and place != by_rule:
            notes.append(MISMATCH)
        rows.append(
            {
                "set": rated.name,
                "judge": judge.name.removeprefix("judge:"),
                "n": int(kept.sum()),
                "clusters": len(np.unique(rated.group[kept])),
                "excluded": int((~kept).sum()),
                "value": None if np.isnan(points[place]) else float(points[place]),
                "low": interval.low,
                "high": interval.high,
                "level": spec.statistics.level,
                "interval": interval.method,
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
