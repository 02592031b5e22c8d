"""Exchange rates: how many items of one component do the work of one item of another.

A rate is the ratio of two effects that are estimated together. Its interval is Fieller's (1954), which has three cases:
a range, all numbers but a range, or all numbers. The last two are named as such: where the effect below the line may be
none, no number of its items is sure to do the work.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from posologie.running.errors import InputError
from posologie.surface.runs import Array, Runs, Surface

Case = Literal["bounded", "outside", "everywhere", "none"]

_NORMAL = 1e6
_POINTS = 1001
_ROUNDING = 1e-9


class Rate(NamedTuple):
    """A rate with the set of values that the data do not rule out.

    Attributes:
        value: the ratio of the estimates; NaN where there is none.
        case: `bounded`: from `low` to `high`; `outside`: at most `low` or at least `high`; `everywhere`: any number;
            `none`: no number that the doses reach.
        low, high: of the case; infinite where a side is open.
        level: confidence.
        ranges: all intervals of the set, where it is not one.
    """

    value: float
    case: Case
    low: float
    high: float
    level: float
    ranges: tuple[tuple[float, float], ...] = ()

    def covers(self, rate: float) -> bool:
        """Say whether a rate is in the set."""
        if self.ranges:
            return any(low <= rate <= high for low, high in self.ranges)
        if self.case == "bounded":
            return self.low <= rate <= self.high
        return self.case == "everywhere" or (self.case == "outside" and (rate <= self.low or rate >= self.high))

    def text(self) -> str:
        """Return the set in words: `1.2 to 4.5`, `unbounded: at least 3.1, or at most -8`, `unbounded: any number`."""
        if self.case == "none":
            return "no dose that was tested"
        if self.case == "everywhere":
            return "unbounded: any number"
        if self.case == "outside":
            return f"unbounded: at least {_short(self.high)}, or at most {_short(self.low)}"
        if len(self.ranges) > 1:
            return " or ".join(_range(low, high) for low, high in self.ranges)
        return _range(self.low, self.high)


def _short(number: float) -> str:
    return f"{number:.3g}" if abs(number) < 1000 else f"{number:,.0f}"


def _range(low: float, high: float) -> str:
    if np.isinf(high):
        return f"unbounded: at least {_short(low)}"
    return f"{_short(low)} to {_short(high)}"


def fieller(top: float, bottom: float, covariance: Array, df: float, level: float = 0.95) -> Rate:
    """Return the ratio top / bottom with Fieller's set (1954), all r with |top − r bottom| ≤ t × its standard error.

    Args:
        covariance: [2, 2], of top and bottom.
    """
    t2 = float(stdtrit(min(df, _NORMAL), (1 + level) / 2)) ** 2
    # The set is where leading r² − 2 half r + constant ≤ 0: between its roots, outside them, or everywhere.
    leading = bottom**2 - t2 * covariance[1, 1]
    half = top * bottom - t2 * covariance[0, 1]
    constant = top**2 - t2 * covariance[0, 0]
    value = top / bottom if bottom != 0 else float("nan")
    within = half**2 - leading * constant
    if leading > 0:  # then the roots are real: the ratio of the estimates itself is in the set
        root = np.sqrt(max(within, 0.0))
        return Rate(value, "bounded", float((half - root) / leading), float((half + root) / leading), level)
    if leading == 0 or within <= 0:
        return Rate(value, "everywhere", -np.inf, np.inf, level)
    root = np.sqrt(within)
    low, high = sorted((float((half - root) / leading), float((half + root) / leading)))
    return Rate(value, "outside", low, high, level)


class Effects(NamedTuple):
    """What one more item of each component does at one point, in points of the score.

    Attributes:
        components: names.
        value: [component].
        covariance: [component, component].
        df: degrees of freedom.
        step: number of items over which the effect was taken.
    """

    components: tuple[str, ...]
    value: Array
    covariance: Array
    df: float
    step: float

    def rate(self, of: str, into: str, level: float = 0.95) -> Rate:
        """Return how many items of `into` do the work of one item of `of`.

        Raises:
            InputError: for a name that is no component.
        """
        places = [place_of(self.components, name) for name in (of, into)]
        value, covariance = self.value[places], self.covariance[np.ix_(places, places)]
        return fieller(float(value[0]), float(value[1]), covariance, self.df, level)

    def interval(self, component: str, level: float = 0.95) -> tuple[float, float, float]:
        """Return the effect of one item and the bounds of its interval."""
        place = place_of(self.components, component)
        half = float(stdtrit(min(self.df, _NORMAL), (1 + level) / 2) * np.sqrt(self.covariance[place, place]))
        return float(self.value[place]), float(self.value[place]) - half, float(self.value[place]) + half


def place_of(components: Sequence[str], name: str) -> int:
    """Return the place of a component.

    Raises:
        InputError: for a name that is none.
    """
    if name not in components:
        raise InputError(f"unknown component '{name}'; choose one of {', '.join(components)}")
    return list(components).index(name)


def effects_at(
    surface: Surface, counts: Array, *, fixed_size: bool = False, sized: bool = True, fraction: float = 0.02
) -> Effects:
    """Return what one more item of each component does where a mix has `counts` items.

    The effects are differences over a step of `fraction` of the whole mix: to both sides where the mix holds enough, or
    upwards alone. Without `fixed_size` the mix grows by the items. With it the others make room in proportion (Cox's
    direction, 1971), and one item stands for 1/n of the shares.

    Args:
        counts: [component], numbers of items.
        sized: the surface knows sizes; otherwise only effects at a fixed size exist.

    Raises:
        InputError: where the mix is empty, or a growing mix is asked of a surface without sizes.
    """
    size = float(counts.sum())
    if size <= 0 or (counts < 0).any():
        raise InputError("exchange rates: expected numbers of items of at least 0, some of them above 0")
    if not (sized or fixed_size):
        raise InputError("exchange rates: these runs have one size; ask for rates at a fixed size")
    step, width = fraction * size, len(counts)
    points, sizes, weights = [], [], np.zeros((width, 2 * width))
    for place in range(width):
        back = step if counts[place] >= step else 0.0
        for side, moved in enumerate((step, -back)):
            own = counts.astype(float)
            own[place] += moved
            points.append(own / own.sum())
            sizes.append(size if fixed_size else float(own.sum()))
            weights[place, 2 * place + side] = (1 - 2 * side) / (step + back)
    moments = surface.moments(np.array(points), np.array(sizes) if sized else None)
    return Effects(
        surface.components, weights @ moments.mean, weights @ moments.covariance @ weights.T, surface.df, step
    )


def trade(
    surface: Surface, counts: Array, of: str, into: str, instead_of: str, *, sized: bool = True, fraction: float = 0.02,
    level: float = 0.95,
) -> Rate:  # fmt: skip
    """Return the rate at a fixed size along two edges: items of `into` that do the work of one of `of`, for a third.

    Both take the place of the same number of items of `instead_of`. Positive effects are not asked for: a rate below 0
    means that one of the two helps and the other hurts.

    Raises:
        InputError: where the mix holds less of `instead_of` than the step takes, or the three are not different.
    """
    names = surface.components
    places = [place_of(names, name) for name in (of, into, instead_of)]
    if len(set(places)) < 3:
        raise InputError("a rate at a fixed size along edges needs three different components")
    size = float(counts.sum())
    step = fraction * size
    if counts[places[2]] < step:
        raise InputError(
            f"exchange rates: the mix holds {counts[places[2]]:g} items of {instead_of}, fewer than {step:g}"
        )
    points = [counts / size]
    for place in places[:2]:
        own = counts.astype(float)
        own[place] += step
        own[places[2]] -= step
        points.append(own / size)
    moments = surface.moments(np.array(points), np.full(3, size) if sized else None)
    weights = np.array([[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]])
    value, covariance = weights @ moments.mean, weights @ moments.covariance @ weights.T
    return fieller(float(value[0]), float(value[1]), covariance, surface.df, level)


class Curve(NamedTuple):
    """Runs of a study in which the number of items of one component grows, on the same rest.

    Attributes:
        component: what grows.
        rest: [component], numbers of items of the others, which stay.
        doses: [run], rising.
        places: [run], of the runs.
    """

    component: str
    rest: tuple[float, ...]
    doses: Array
    places: NDArray[np.int64]


def curves_of(runs: Runs) -> list[Curve]:
    """Return the dose–response curves among some runs: additive sweeps, and size sweeps of one component.

    Raises:
        InputError: where sizes are not known.
    """
    if runs.sizes is None:
        raise InputError("dose–response curves: expected the numbers of items of the runs")
    counts = np.rint(runs.shares * runs.sizes[:, None])
    curves = []
    for place, component in enumerate(runs.components):
        by_rest: dict[tuple[float, ...], list[int]] = {}
        for run, row in enumerate(counts):
            by_rest.setdefault(tuple(float(count) for count in np.delete(row, place)), []).append(run)
        for rest, own in sorted(by_rest.items()):
            doses = counts[own, place]
            if len(set(doses)) == len(doses) >= 2:
                order = np.argsort(doses)
                whole = (*rest[:place], 0.0, *rest[place:])
                curves.append(Curve(component, whole, doses[order], np.array(own, dtype=np.int64)[order]))
    return curves


def horizontal_rate(runs: Runs, of: Curve, into: Curve, dose: float, level: float = 0.95) -> Rate:
    """Return how many items of `into` do the work of one item of `of`, by the distance between two curves at a dose.

    The curves are linear between tested doses. A rate r is in the set if into(r × dose) − of(dose), a known combination
    of scores, cannot be distinguished from 0 (a test inverted as in Fieller's). Only tested doses are considered: a set
    that reaches the largest dose is open there.

    Args:
        dose: number of items of `of`, within its tested doses.

    Raises:
        InputError: where the curves have another rest, or the dose lies outside.
    """
    if of.rest != into.rest:
        raise InputError(f"curves of {of.component} and {into.component}: expected the same items apart from the dose")
    if not max(of.doses[0], _ROUNDING) <= dose <= of.doses[-1]:
        raise InputError(f"dose {dose:g} of {of.component}: expected one from {of.doses[0]:g} to {of.doses[-1]:g}")
    least, most = into.doses[0] / dose, into.doses[-1] / dose
    rates = np.unique(np.concatenate([np.linspace(least, most, _POINTS), into.doses / dose]))
    linear = _interpolation(into, rates * dose, len(runs)) - _interpolation(of, np.array([dose]), len(runs))
    seeds = np.zeros(len(runs)) if runs.seed_variance is None else runs.seed_variance / runs.seeds
    gap = linear @ runs.score
    of_seeds = linear**2 @ seeds
    variance = np.einsum("pr,rs,ps->p", linear, runs.items, linear) + of_seeds
    # Satterthwaite's degrees of freedom: the variance of items is known, that of seeds is estimated.
    with np.errstate(divide="ignore", invalid="ignore"):
        df = runs.seed_df * (variance / of_seeds) ** 2 if runs.seed_df else np.full(len(rates), np.inf)
    critical = stdtrit(np.minimum(np.where(np.isnan(df), np.inf, df), _NORMAL), (1 + level) / 2)
    excess = np.abs(gap) - critical * np.sqrt(variance)
    ranges = _ranges(rates, excess, open_end=True)
    crossing = _crossings(rates, gap)
    value = crossing[0] if crossing else float("nan")
    if not ranges:
        return Rate(value, "none", np.nan, np.nan, level)
    return Rate(value, "bounded", ranges[0][0], ranges[-1][1], level, tuple(ranges))


def _interpolation(curve: Curve, doses: Array, count: int) -> Array:
    """Return [dose, run], the weights of the runs in the linear interpolation of a curve."""
    weights = np.zeros((len(doses), count))
    upper = np.clip(np.searchsorted(curve.doses, doses, side="right"), 1, len(curve.doses) - 1)
    low, high = curve.doses[upper - 1], curve.doses[upper]
    fraction = (doses - low) / (high - low)
    rows = np.arange(len(doses))
    weights[rows, curve.places[upper - 1]] += 1 - fraction
    weights[rows, curve.places[upper]] += fraction
    return weights


def _ranges(rates: Array, excess: Array, *, open_end: bool) -> list[tuple[float, float]]:
    """Return the intervals in which the excess is at most 0, by linear interpolation of its zeros."""
    inside = excess <= 0
    ranges: list[tuple[float, float]] = []
    start: float | None = None
    for place, within in enumerate(inside):
        if within and start is None:
            start = float(rates[place]) if place == 0 else _zero(rates, excess, place - 1)
        if not within and start is not None:
            ranges.append((start, _zero(rates, excess, place - 1)))
            start = None
    if start is not None:
        ranges.append((start, np.inf if open_end else float(rates[-1])))
    return ranges


def _zero(rates: Array, values: Array, place: int) -> float:
    left, right = float(values[place]), float(values[place + 1])
    fraction = left / (left - right) if left != right else 0.5
    return float(rates[place] + fraction * (rates[place + 1] - rates[place]))


def _crossings(rates: Array, gap: Array) -> list[float]:
    if len(gap) and gap[0] == 0:
        return [float(rates[0])]
    return [_zero(rates, gap, int(place)) for place in np.flatnonzero(gap[:-1] * gap[1:] <= 0)]
