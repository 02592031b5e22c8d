"""Confidence intervals and p-values beside those of the crossed model.

Intervals come from the crossed model, from bootstrap draws where there is none, and from Wilson's formula for shares;
p-values from McNemar's test and from bootstrap draws, with Holm's correction for several of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtri

from posologie.statistics.crossed import NOTHING, Estimated, share_interval, t_interval, wilson_bounds
from posologie.statistics.estimates import Extent
from posologie.statistics.spec import Statistics


@dataclass(frozen=True)
class Interval:
    """An interval with the name of its method; `low` and `high` are None where there is none."""

    low: float | None
    high: float | None
    method: str
    note: str = ""

    def columns(self, level: float) -> dict[str, Any]:
        """Return the columns that an interval has in a table: low, high, level, interval, note."""
        return {"low": self.low, "high": self.high, "level": level, "interval": self.method, "note": self.note}


def estimate_columns(
    value: float | None,
    interval: Interval,
    rests_on: Extent,
    unit: str,
    level: float,
    *,
    notes: Sequence[str] = (),
    largest: float = np.inf,
) -> dict[str, Any]:
    """Return the columns that every estimate has: n, clusters, unit, value, low, high, level, interval, note.

    Args:
        value, interval: as computed; with the unit `%` they are shown a hundred times as large. No value is None.
        rests_on: the items and clusters that they rest on.
        notes: further notes, beside that of the interval.
        largest: the largest value that the scores allow: the interval is cut there, on both sides.
    """
    scale = 100 if unit == "%" else 1
    return {
        "n": rests_on.items,
        "clusters": rests_on.clusters,
        "unit": unit,
        "value": None if value is None else value * scale,
        "low": None if interval.low is None else max(interval.low, -largest) * scale,
        "high": None if interval.high is None else min(interval.high, largest) * scale,
        "level": level,
        "interval": interval.method,
        "note": "; ".join(note for note in (interval.note, *notes) if note),
    }


TOO_SMALL = "n too small"
SPARSE = "few right or wrong answers"
UNDEFINED = "undefined in some draws"
CONSTANT = "the same in every draw"
_MOST_UNDEFINED = 0.01
"""Draws without a single item of a rare kind say nothing; up to this share of them is left out."""


def defined_draws(replicates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the draws in which the value is defined; none of them if more than 1 % are undefined."""
    undefined = np.isnan(replicates)
    if not undefined.any():
        return replicates
    defined = replicates[~undefined]
    return defined if len(defined) >= (1 - _MOST_UNDEFINED) * len(replicates) else defined[:0]


def are_constant(draws: NDArray[np.float64]) -> bool:
    """Say whether draws differ by no more than rounding."""
    low, high = float(draws.min()), float(draws.max())
    return high - low <= 1e-12 * max(abs(low), abs(high), 1e-3)


def percentile(replicates: NDArray[np.float64], level: float) -> tuple[float, float]:
    """Return the percentile interval (Efron and Tibshirani 1993, section 13.3)."""
    low, high = quantiles(replicates, ((1 - level) / 2, (1 + level) / 2))
    return low, high


def quantiles(values: NDArray[np.float64], shares: Sequence[float]) -> list[float]:
    """Return the quantiles of values without NaN, interpolated as by `numpy.quantile`, in half of its time."""
    places = [share * (len(values) - 1) for share in shares]
    below = [int(place) for place in places]
    above = [min(place + 1, len(values) - 1) for place in below]
    ordered = np.partition(values, sorted({*below, *above}))
    return [
        float(ordered[low] + (place - low) * (ordered[high] - ordered[low]))
        for place, low, high in zip(places, below, above, strict=True)
    ]


def wilson(share: float, effective: float, level: float) -> tuple[float, float]:
    """Return Wilson's score interval (Wilson 1927).

    For a mean of scores between 0 and 1 it is conservative, because their variance is at most p(1 − p), and with the
    number of clusters in the place of n it is conservative for any correlation inside clusters.

    Args:
        effective: number of equal independent clusters.
    """
    z2 = ndtri((1 + level) / 2) ** 2
    low, high = wilson_bounds(np.asarray(share), np.asarray(1 / effective), z2)
    return max(0.0, float(low)), min(1.0, float(high))


def interval_of(
    point: float,
    replicates: NDArray[np.float64],
    effective: float,
    settings: Statistics,
    *,
    is_share: bool,
    inflated: bool = False,
) -> Interval:
    """Return the interval of a value that has no crossed model, from its draws, or the one that few clusters allow.

    Args:
        effective: number of equal clusters that the value rests on.
        is_share: the value is a mean of scores between 0 and 1: it gets Wilson's interval with the design effect.
        inflated: the value cannot fall below 0 and grows with noise (a spread, an error of calibration), so that
            resampling inflates it: the percentile interval is moved by the draws' bias, and cut at 0.
    """
    few = effective < settings.minimum_clusters
    note = TOO_SMALL if few else ""
    if is_share and (few or point <= 0 or point >= 1):
        return Interval(*wilson(point, effective, settings.level), "wilson", note)
    if few:
        return Interval(None, None, "none", note)
    replicates = defined_draws(replicates)
    if not len(replicates):
        return Interval(None, None, "none", UNDEFINED)
    if are_constant(replicates):  # clusters that are all alike would make an interval of no width
        if is_share:
            return Interval(*wilson(point, effective, settings.level), "wilson", CONSTANT)
        return Interval(None, None, "none", CONSTANT)
    if inflated:
        bias = float(replicates.mean()) - point
        low, high = percentile(replicates, settings.level)
        return Interval(max(0.0, low - bias), max(0.0, high - bias), "shifted")
    if is_share:
        df, variance = np.asarray(effective - 1), np.asarray(replicates.var())
        bounds = share_interval(Estimated(np.asarray(point), variance, df), settings.level)
        return Interval(float(bounds[0]), float(bounds[1]), "wilson")
    return Interval(*percentile(replicates, settings.level), "percentile")


def score_interval(estimated: Estimated, rests_on: Extent, settings: Statistics, *, is_share: bool) -> Interval:
    """Return the interval of a mean from its crossed model.

    Args:
        estimated: one value.
        rests_on: the items and clusters that it rests on.
        is_share: the value is a mean of scores between 0 and 1: Wilson's with the design effect, or, where no cluster
            differs, with the number of equal clusters as n. Anything else gets Student's, or none where none differs.
    """
    value, varies = float(estimated.value), float(estimated.variance) > NOTHING
    if is_share:
        value = min(max(value, 0.0), 1.0)  # rounding can leave it beyond
    effective = rests_on.effective
    notes = [TOO_SMALL] if effective < settings.minimum_clusters else []
    if is_share and varies and 0 < value < 1:
        low, high = share_interval(estimated, settings.level, rests_on.items if notes else 0)
        return Interval(float(low), float(high), "wilson", "; ".join(notes))
    if not varies:
        notes += [] if is_share and value in (0, 1) else [CONSTANT]
        if is_share:
            return Interval(*wilson(value, effective, settings.level), "wilson", "; ".join(notes))
        return Interval(None, None, "none", "; ".join(notes))
    low, high = t_interval(estimated, settings.level)
    return Interval(float(low), float(high), "t", "; ".join(notes))


def mcnemar_p(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the exact two-sided p-value of McNemar's test on two vectors of 0 and 1 (McNemar 1947).

    It holds only where every item is a cluster of its own.
    """
    only_first = int(np.count_nonzero((first == 1) & (second == 0)))
    only_second = int(np.count_nonzero((first == 0) & (second == 1)))
    if only_first + only_second == 0:
        return 1.0
    # Both tails of a fair coin are alike: twice the smaller one, and 1 where the two counts are equal.
    return float(min(1.0, 2 * bdtr(min(only_first, only_second), only_first + only_second, 0.5)))


def bootstrap_p(differences: NDArray[np.float64]) -> float:
    """Return the two-sided p-value at which the percentile interval of the draws just touches 0."""
    count = len(differences)
    if not count:
        return 1.0
    tail = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    return float(min(1.0, 2 * (1 + tail) / (1 + count)))


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Holm's adjusted p-values (Holm 1979), in the order given."""
    count = len(p_values)
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * (count - np.arange(count)))
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
