"""What a point costs: points per unit of money, the cheapest plan to a gain, and the frontier of budget and score."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from posologie.running.errors import InputError
from posologie.surface.rates import Effects, place_of
from posologie.surface.runs import Array, Surface
from posologie.surface.suites import chance_above

_NORMAL = 1e6
_ROUNDING = 1e-9


class PerMoney(NamedTuple):
    """Points that one unit of money brings, spent on one component, with the bounds of the interval."""

    component: str
    value: float
    low: float
    high: float


def points_per_money(effects: Effects, prices: Mapping[str, float], level: float = 0.95) -> list[PerMoney]:
    """Return what a unit of money brings on each component that has a price above 0, the best first.

    Raises:
        InputError: for a price of something that is no component.
    """
    per_money = []
    for name, price in prices.items():
        place_of(effects.components, name)
        if price > 0:
            per_money.append(PerMoney(name, *(effect / price for effect in effects.interval(name, level))))
    return sorted(per_money, key=lambda effect: (-effect.value, effect.component))


class PricedMix(NamedTuple):
    """A mix with its price and what is expected of it.

    Attributes:
        shares: [component].
        size: number of items.
        cost: in the currency of the prices.
        value, low, high: expected score, or gain over the present mix, with its pointwise interval.
        chance: of reaching the demanded score; NaN where none was demanded.
    """

    shares: Array
    size: float
    cost: float
    value: float
    low: float
    high: float
    chance: float


def costs_of(
    components: Sequence[str], shares: Array, sizes: Array, prices: Mapping[str, float], owned: Array | None = None
) -> Array:
    """Return [point], what the items of each mix cost; components without a price are free, and so is what is owned.

    Args:
        owned: [component], numbers of items that are there already.

    Raises:
        InputError: for a price of something that is no component, or below 0.
    """
    price = np.zeros(len(components))
    for name, price_of_item in prices.items():
        if price_of_item < 0:
            raise InputError(f"price of {name} {price_of_item:g}: expected a number from 0")
        price[place_of(components, name)] = price_of_item
    counts = shares * sizes[:, None]
    needed = counts if owned is None else np.maximum(counts - owned, 0.0)
    costs: Array = needed @ price
    return costs


def cheapest_gain(
    surface: Surface, shares: Array, sizes: Array, costs: Array, present: tuple[Array, float | None], *,
    gain: float = 1.0, chance: float | None = None, sized: bool = True, level: float = 0.95,
) -> PricedMix | None:  # fmt: skip
    """Return the cheapest mix that is expected to score `gain` more than the present one; None where none is.

    Args:
        shares: [point, component], and `sizes` and `costs` [point], what is to choose from.
        present: shares and size of the present mix.
        chance: ask for this posterior probability of the gain instead of its expectation.
    """
    points = np.concatenate([shares, present[0][None]])
    both = np.append(sizes, present[1] or 0.0)
    moments = surface.moments(points, both if sized else None)
    more = moments.mean[:-1] - moments.mean[-1]
    variance = np.diag(moments.covariance)[:-1] + moments.covariance[-1, -1] - 2 * moments.covariance[:-1, -1]
    chances = chance_above(more - gain, variance, surface.df)
    reached = np.flatnonzero(more >= gain if chance is None else chances >= chance)
    if not len(reached):
        return None
    best = reached[np.lexsort((-more[reached], costs[reached]))[0]]
    half = _half(variance[best], surface.df, level)
    return PricedMix(
        shares[best],
        float(sizes[best]),
        float(costs[best]),
        value=float(more[best]),
        low=float(more[best] - half),
        high=float(more[best] + half),
        chance=float(chances[best]),
    )


def frontier(
    surface: Surface, shares: Array, sizes: Array, costs: Array, *, sized: bool = True, level: float = 0.95
) -> list[PricedMix]:
    """Return the mixes that no cheaper mix is expected to reach, by rising cost and expected score."""
    moments = surface.moments(shares, sizes if sized else None)
    priced: list[PricedMix] = []
    for place in np.lexsort((-moments.mean, costs)):
        if not priced or moments.mean[place] > priced[-1].value + _ROUNDING:
            value, half = float(moments.mean[place]), _half(moments.covariance[place, place], surface.df, level)
            priced.append(
                PricedMix(
                    shares[place],
                    float(sizes[place]),
                    float(costs[place]),
                    value=value,
                    low=value - half,
                    high=value + half,
                    chance=float("nan"),
                )
            )
    return priced


def _half(variance: float, df: float, level: float) -> float:
    return float(stdtrit(min(df, _NORMAL), (1 + level) / 2) * np.sqrt(max(variance, 0.0)))
