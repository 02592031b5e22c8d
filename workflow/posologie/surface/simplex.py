"""The mixes that a study may choose from: shares that sum to 1, within bounds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from posologie.running.errors import InputError
from posologie.statistics.draws import generator
from posologie.surface.forms import products_of, scheffe_terms
from posologie.surface.runs import Array

SCHEFFE = {"linear": 1, "quadratic": 2, "special_cubic": 3}
"""Degree of each of Scheffé's models (1958; special cubic 1963): products of up to so many different components."""

_ROUNDING = 1e-9
_SWEEPS = 60
_MOST_VERTICES = 14


@dataclass(frozen=True)
class Bounds:
    """All mixes whose shares lie within bounds.

    Attributes:
        components: names, two or more.
        low, high: [component], bounds that can all be reached (Piepel 1983); `bounds_of` tightens them.
    """

    components: tuple[str, ...]
    low: Array
    high: Array

    @property
    def is_whole(self) -> bool:
        """Whether nothing is excluded: the whole simplex."""
        return bool((self.low <= _ROUNDING).all() and (self.high >= 1 - _ROUNDING).all())

    @property
    def is_simplex(self) -> bool:
        """Whether the lower bounds alone shape it, so that it is a smaller simplex (Kurotori 1966)."""
        return bool((self.high >= 1 - self.low.sum() + self.low - _ROUNDING).all())

    def contain(self, shares: Array, slack: float = _ROUNDING) -> NDArray[np.bool_]:
        """Return [point], whether mixes [point, component] lie within the bounds."""
        return np.asarray(((shares >= self.low - slack) & (shares <= self.high + slack)).all(axis=-1))

    @cached_property
    def centre(self) -> Array:
        """[component], a mix inside: between the lower and the upper bounds, as far as the sum of 1 allows."""
        room = self.high - self.low
        mix: Array = self.low + room * (1 - self.low.sum()) / max(room.sum(), _ROUNDING)
        return mix

    @cached_property
    def vertices(self) -> Array:
        """[vertex, component], the extreme mixes: all components but one at a bound (McLean and Anderson 1966).

        Raises:
            InputError: beyond 14 components with upper bounds, which may have too many.
        """
        count = len(self.components)
        if self.is_simplex:
            return np.asarray(self.low + (1 - self.low.sum()) * np.eye(count))
        if count > _MOST_VERTICES:
            raise InputError(
                f"{count} components with upper bounds: expected at most {_MOST_VERTICES}, or lower bounds alone"
            )
        sides = np.array(list(product((0, 1), repeat=count - 1)), dtype=bool)
        blocks = []
        for free in range(count):
            others = [place for place in range(count) if place != free]
            points = np.empty((len(sides), count))
            points[:, others] = np.where(sides, self.high[others], self.low[others])
            points[:, free] = 1 - points[:, others].sum(axis=1)
            blocks.append(points[self.contain(points)])
        return np.unique(np.concatenate(blocks).round(12), axis=0)[::-1]

    def draws(self, count: int, seed: int) -> Array:
        """Return [count, component], mixes drawn evenly from the region.

        Of a simplex by Dirichlet(1, …, 1); else by moves between pairs of components (Gibbs; each move draws evenly
        from the segment inside the bounds), all draws side by side from the centre.
        """
        numbers = generator(seed, "mixes", ",".join(self.components))
        width = len(self.components)
        if self.is_simplex:
            return np.asarray(self.low + (1 - self.low.sum()) * numbers.dirichlet(np.ones(width), count))
        shares = np.tile(self.centre, (count, 1))
        for _ in range(_SWEEPS):
            order = numbers.permutation(width)
            for first, second in zip(order, np.roll(order, 1), strict=True):
                both = shares[:, first] + shares[:, second]
                low = np.maximum(self.low[first], both - self.high[second])
                high = np.minimum(self.high[first], both - self.low[second])
                shares[:, first] = low + (high - low) * numbers.random(count)
                shares[:, second] = both - shares[:, first]
        return shares


def bounds_of(components: Sequence[str], limits: Mapping[str, tuple[float, float]], where: str = "bounds") -> Bounds:
    """Return the bounds by the names of components; those without limits have 0 and 1.

    Raises:
        InputError: for a bound of an unknown component, one that is no share, or bounds that no mix keeps.
    """
    if len(components) < 2 or len(set(components)) < len(components):
        raise InputError(f"components {', '.join(components) or '(none)'}: expected two or more, each once")
    for name, (low, high) in limits.items():
        if name not in components:
            raise InputError(f"{where}.{name}: no such component; choose one of {', '.join(components)}")
        if not 0 <= low <= high <= 1:
            raise InputError(f"{where}.{name} = [{low:g}, {high:g}]: expected a lower and an upper share from 0 to 1")
    lower, upper = (np.array([limits.get(name, (0.0, 1.0))[side] for name in components]) for side in (0, 1))
    if lower.sum() > 1 + _ROUNDING or upper.sum() < 1 - _ROUNDING:
        what, total = ("lower", lower.sum()) if lower.sum() > 1 else ("upper", upper.sum())
        raise InputError(f"{where}: the {what} bounds sum to {total:g}, so no mix satisfies them")
    highest, lowest = 1 - (lower.sum() - lower), 1 - (upper.sum() - upper)
    return Bounds(tuple(components), np.maximum(lower, lowest), np.minimum(upper, highest))


def whole_simplex(count: int) -> Bounds:
    """Return the bounds that allow every mix of a number of components."""
    return bounds_of([str(place) for place in range(1, count + 1)], {})


def within_stock(
    bounds: Mapping[str, tuple[float, float]],
    held: Mapping[str, int],
    size: int,
    where: str = "bounds",
    epochs: Mapping[str, int] | None = None,
) -> dict[str, tuple[float, float]]:
    """Return bounds in which no component has a larger share than its items fill.

    Args:
        held: number of items of the components that are known.
        size: number of items of a mix.
        epochs: how often the items of a component may be taken; once if left out.

    Raises:
        InputError: for a component that holds less than its lowest share.
    """
    feasible = dict(bounds)
    for name, items in held.items():
        low, high = bounds.get(name, (0.0, 1.0))
        times = (epochs or {}).get(name, 1)
        most = min(high, times * items / size)
        if low > most + _ROUNDING:
            raise InputError(
                f"{where}.{name} = [{low:g}, {high:g}]: {low * size:g} of {size:,} items, but {items:,} are held and "
                f"taken {'once' if times == 1 else f'{times} times at most'}; lower the share or the size, or let them "
                "repeat (design.epochs)"
            )
        if most < high:
            feasible[name] = (low, most)
    return feasible


def lattice(count: int, degree: int) -> Array:
    """Return the {count, degree} simplex-lattice (Scheffé 1958): every share a multiple of 1 / degree."""
    bars = combinations(range(degree + count - 1), count - 1)
    edges = np.array([(-1, *chosen, degree + count - 1) for chosen in bars])
    return ((np.diff(edges, axis=1) - 1) / degree)[::-1]


def centroids(count: int) -> Array:
    """Return the simplex-centroid design (Scheffé 1963): the equal mix of every set of components."""
    sets = [chosen for size in range(1, count + 1) for chosen in combinations(range(count), size)]
    return np.array([[1 / len(chosen) if place in chosen else 0.0 for place in range(count)] for chosen in sets])


def average_products(region: Bounds, model: str, seed: int = 42, draws: int = 20_000) -> Array:
    """Return [term, term], the mean over the region of the products of a model's columns.

    On the whole simplex it is Dirichlet's integral, (q − 1)! Π aᵢ! / (q − 1 + Σ aᵢ)! for Π xᵢ^aᵢ; under bounds the mean
    over draws.
    """
    count = len(region.components)
    if not region.is_whole:
        columns = scheffe_terms(region.draws(draws, seed), SCHEFFE[model])
        return columns.T @ columns / len(columns)
    terms = products_of(count, SCHEFFE[model])
    powers = np.array([[term.count(place) for place in range(count)] for term in terms])
    both = powers[:, None] + powers[None]
    factorial = np.array([math.factorial(power) for power in range(both.max() + 1)], dtype=float)
    total = np.array([math.factorial(count - 1 + power) for power in range(both.sum(axis=2).max() + 1)], dtype=float)
    return np.asarray(math.factorial(count - 1) * factorial[both].prod(axis=2) / total[both.sum(axis=2)])
