"""What the mix that came out best is worth: an estimate and an interval that know that it was chosen."""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from posologie.statistics.crossed import NOTHING, Array
from posologie.statistics.simultaneous import Family, t_score

_STEPS = 40
"""Halvings of the search for the tails."""


class Corrected(NamedTuple):
    """The corrected value of the chosen one, with its interval; both bounds are None where nothing varies."""

    value: float
    low: float | None
    high: float | None


def corrected_best(found: Family, covariance: Array, level: float) -> Corrected:
    """Return an estimate and an interval for the mean behind the highest value.

    The estimate is the empirical Bayes one (Efron and Morris 1973), which choosing does not bias (Efron 2011): the
    value, drawn towards the mean of all mixes by the part of their spread that noise explains.

    The interval reaches down as far as the largest of all errors may lie above its mean, and up as far as one error may
    lie below: what was chosen errs upwards at least as far as the true best does, because it came out above it. Both
    tails are as large as they may be for the level to hold where all means are equal and where one stands alone.

    Args:
        found: the mixes' values.
        covariance: [mix, mix], of the values.
        level: of the interval.
    """
    value, count = found.estimated.value, len(found.estimated.value)
    chosen = int(np.argmax(value))
    if found.estimated.variance[chosen] <= NOTHING:
        return Corrected(float(value[chosen]), None, None)
    mean = float(value.mean())
    spread = float(((value - mean) ** 2).sum()) / (count - 1)
    noise = float(np.trace(covariance) - covariance.sum() / count) / (count - 1)
    drawn = mean + max(0.0, 1 - noise / spread) * (float(value[chosen]) - mean) if spread > 0 else mean
    down, up = _reaches(found, chosen, level)
    error, df = float(found.estimated.error[chosen]), found.estimated.df[chosen]
    low, high = (float(value[chosen] + sign * t_score(np.asarray(z), df) * error) for sign, z in ((-1, down), (1, up)))
    return Corrected(min(max(drawn, low), high), low, high)


def _reaches(found: Family, chosen: int, level: float) -> tuple[float, float]:
    """Return how far the interval reaches down and up, in z-scores."""
    ordered = np.sort(found.scores.max(axis=0))
    own = np.sort(found.scores[chosen])
    draws = len(ordered)

    def reaches(tail: float) -> tuple[float, float]:
        alone = -float(ndtri(tail))
        largest = float(np.interp((1 - tail) * (draws - 1), np.arange(draws), ordered))  # the quantile of sorted draws
        return max(largest, alone), alone

    low, high = (1 - level) / 2, 1 - level
    for _ in range(_STEPS):
        tail = (low + high) / 2
        down, up = reaches(tail)
        equal = tail + np.searchsorted(ordered, -up) / draws
        single = max(1 - np.searchsorted(own, down) / draws, float(ndtr(-down))) + tail
        low, high = (tail, high) if max(equal, single) <= 1 - level else (low, tail)
    return reaches(low)
