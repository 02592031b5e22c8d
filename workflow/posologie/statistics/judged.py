"""Verdicts of judges: replies without one, and several judges as a panel.

What a missing verdict would have been is unknown. Up to 2 % of them count as "not equivalent", which moves a share by
at most two points; beyond that there is no score, but bounds: the score if every missing verdict were "not equivalent",
and if every one were "equivalent" (Manski 1989; Horowitz and Manski 2000). Where statistics have no such bounds, as
correlations, they have no value.

The verdict of a panel is that of the majority. Judges of several families have errors of their own, and their majority
is nearer to people than most of them alone (Verga et al. 2024, "Replacing judges with juries", arXiv 2404.18796).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posologie.statistics.intervals import Interval

MOST_SILENT = 0.02
"""Share of replies without a verdict up to which they count as "not equivalent"."""

BOUNDS = "bounds"
"""Name of the interval that holds a share whatever the missing verdicts are, and its sampling error."""


def is_too_silent(silent: int, answers: int) -> bool:
    """Say whether too many replies are without a verdict for a score."""
    return silent > MOST_SILENT * answers


def silence_note(silent: int, answers: int) -> str:
    """Return the note of a number that is missing or known only within bounds."""
    return f"{silent} of {answers} replies without a verdict"


def without_score(silent: int, answers: int) -> Interval:
    """Return the empty interval of a value without bounds, when too many verdicts are missing."""
    return Interval(None, None, "none", silence_note(silent, answers))


def bounds_of(lower: tuple[float, Interval], upper: tuple[float, Interval], silent: int, answers: int) -> Interval:
    """Return the interval from the lower end of the lower bound's interval to the upper end of the upper bound's.

    It holds the whole range of values that the missing verdicts allow, with at least the level of the two intervals
    (Horowitz and Manski 2000, section 4). Where a bound has no interval of its own, the bound itself stands.

    Args:
        lower, upper: value and interval if every missing verdict were the one that lowers, or raises, the value.
    """
    low = lower[0] if lower[1].low is None else lower[1].low
    high = upper[0] if upper[1].high is None else upper[1].high
    notes = [
        silence_note(silent, answers),
        *dict.fromkeys(interval.note for _, interval in (lower, upper) if interval.note),
    ]
    return Interval(low, high, BOUNDS, "; ".join(notes))


def filled(score: NDArray[np.float64], silent: NDArray[np.bool_], value: float) -> NDArray[np.float64]:
    """Return [answer], the scores with this value where the verdict is missing."""
    return np.where(silent, value, score)


PANEL = "panel"
"""Name of the panel among the judges."""


@dataclass(frozen=True)
class Majority:
    """What a panel says of each answer.

    Attributes:
        label: [answer], 1 where more than half of the verdicts are "equivalent", else 0.
        share: [answer], share of "equivalent" among the verdicts; 0 without any.
        silent: [answer], whether no judge of the panel gave a verdict.
    """

    label: NDArray[np.float64]
    share: NDArray[np.float64]
    silent: NDArray[np.bool_]


def majority(labels: NDArray[np.float64], silent: NDArray[np.bool_]) -> Majority:
    """Return the verdicts of a panel; a judge without a verdict has no vote.

    Args:
        labels, silent: [judge, answer].
    """
    votes = (~silent).sum(axis=0)
    share = np.divide((labels * ~silent).sum(axis=0), votes, out=np.zeros(labels.shape[1]), where=votes > 0)
    return Majority((share > 0.5).astype(float), share, votes == 0)
