"""The mixes of a design: lattices, centroids, mixes far apart, and those of the lowest mean prediction variance."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from posologie.running.errors import InputError
from posologie.statistics.draws import generator
from posologie.surface.forms import scheffe_terms
from posologie.surface.runs import Array
from posologie.surface.simplex import SCHEFFE, Bounds, average_products, centroids, lattice

Kind = Literal["i_optimal", "space_filling", "lattice", "centroid"]

PRIOR_SD = 10.0
"""Standard deviations of a run by which scores may differ over the region, as far as too few trainings can show."""
UNITS = (4, 12, 20, 100, 1000, 10_000, 1_000_000)
"""Parts that a whole is cut into: the plainest shares first."""

_LEVELS = 11
_FINE = (0.05, 0.01)
_FLAT_SD = 1000.0
_CANDIDATES = 2000


@dataclass(frozen=True)
class DesignProblem:
    """The problem that a design solves.

    Attributes:
        region: the mixes that may be proposed.
        model: Scheffé model of the surface: linear, quadratic or special_cubic.
        sizes: numbers of items of a mix; several add a slope over log size for each component.
        present: [mix, component], shares of the mixes that are there.
        present_sizes: [mix], their sizes; not read with one size, where all are taken as alike.
        present_runs: [mix], how many adapters each has.
        runs: adapters that each new mix gets: the study's training seeds.
    """

    region: Bounds
    model: str = "quadratic"
    sizes: tuple[int, ...] = (0,)
    present: Array = field(default_factory=lambda: np.zeros((0, 0)))
    present_sizes: Array = field(default_factory=lambda: np.zeros(0))
    present_runs: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    runs: int = 1

    def columns(self, shares: Array, sizes: Array) -> Array:
        """Return [point, term], the columns of the model at mixes [point, component] of sizes [point].

        With several sizes, z = log size from −1 to 1 and the columns xᵢ z follow (Cornell 2002, section 7.5).
        """
        terms = scheffe_terms(shares, SCHEFFE[self.model])
        if len(self.sizes) < 2:
            return terms
        low, high = np.log(min(self.sizes)), np.log(max(self.sizes))
        z = (2 * np.log(sizes) - low - high) / (high - low)
        return np.concatenate([terms, shares * z[:, None]], axis=1)

    @cached_property
    def products(self) -> Array:
        """[term, term], W: mean over the region, and over the sizes."""
        base = average_products(self.region, self.model)
        if len(self.sizes) < 2:
            return base
        count = len(self.region.components)
        z = self.columns(np.ones((len(self.sizes), count)), np.array(self.sizes, dtype=float))[:, -1]
        cross = base[:, :count]
        return np.block([[base, z.mean() * cross], [z.mean() * cross.T, (z**2).mean() * cross[:count]]])

    @cached_property
    def known(self) -> Array:
        """[term, term], what the mixes that are there say: Σ runs f f'."""
        if not len(self.present):
            return np.zeros_like(self.products)
        rows = self.columns(self.present, self.present_sizes) * np.sqrt(self.present_runs)[:, None]
        return np.asarray(rows.T @ rows)

    @property
    def unknown_terms(self) -> int:
        """How many terms of the model the mixes that are there leave open."""
        return len(self.products) - int(np.linalg.matrix_rank(self.known, tol=1e-8))

    @property
    def repeats(self) -> int:
        """Degrees of freedom of the variance of seeds that are there already."""
        return int((self.present_runs - 1).sum())

    def prior(self, deviation: float) -> Array:
        """[term, term], the precision of a prior that keeps few trainings apart (DuMouchel and Jones 1994).

        The level of the scores is open; how far they differ has this standard deviation, in those of a run.
        """
        count = len(self.region.components)
        precision = np.eye(len(self.products)) / deviation**2
        precision[:count, :count] += (1 / _FLAT_SD**4 - 1 / deviation**2) / count
        return precision

    def variance(self, information: Array) -> float:
        """Return the mean prediction variance over the region, in that of a run; infinite where it is not estimable."""
        if np.linalg.matrix_rank(information, tol=1e-8) < len(information):
            return float("inf")
        return float(np.trace(np.linalg.solve(information, self.products)))


def points_of(problem: DesignProblem, count: int, kind: Kind, seed: int, starts: int) -> tuple[Array, Array]:
    """Return the shares [mix, component] and sizes [mix] of a kind of design."""
    if kind == "i_optimal":
        return i_optimal(problem, count, seed, starts)
    if kind == "space_filling":
        shares = space_filling(problem.region, count, problem.present, seed)
    else:
        mixes = _lattice_of(problem, count) if kind == "lattice" else _centroids_of(problem.region)
        is_present = [
            bool(len(problem.present)) and np.abs(problem.present - mix).max(axis=1).min() < 1e-6 for mix in mixes
        ]
        shares = mixes[~np.array(is_present, dtype=bool)]
        if len(shares) != count:
            raise InputError(
                f"design {kind}: has {len(shares)} new mixes, but {count} may be trained"
                " besides the repeats; expected the same number, or i_optimal or space_filling, which take any"
            )
    cycle = np.array(sorted(problem.sizes, reverse=True), dtype=float)
    return shares, np.resize(cycle, len(shares))


def _lattice_of(problem: DesignProblem, count: int) -> Array:
    """Return the simplex-lattice whose number of mixes comes nearest to what may be trained, within lower bounds."""
    region, width = problem.region, len(problem.region.components)
    if not region.is_simplex:
        raise InputError("design lattice: expected lower bounds alone, which leave a simplex; with upper bounds take "
                         "i_optimal or space_filling")  # fmt: skip
    sizes = {degree: len(lattice(width, degree)) for degree in range(1, 7) if width <= 8 or degree < 3}
    total = count + sum(1 for mix in problem.present if region.contain(mix, 1e-6))
    degree = min(sizes, key=lambda tried: (abs(sizes[tried] - total), tried))
    return np.asarray(region.low + (1 - region.low.sum()) * lattice(width, degree))


def _centroids_of(region: Bounds) -> Array:
    """Return the simplex-centroid design within lower bounds; with upper ones vertices, edges' middles and the mean."""
    if region.is_simplex:
        return np.asarray(region.low + (1 - region.low.sum()) * centroids(len(region.components)))
    corners = region.vertices
    at = np.concatenate([np.isclose(corners, region.low), np.isclose(corners, region.high)], axis=1)
    edges = [
        (first, second)
        for first, second in combinations(range(len(corners)), 2)
        if (at[first] & at[second]).sum() >= len(region.components) - 2
    ]
    middles = [(corners[first] + corners[second]) / 2 for first, second in edges]
    return np.unique(np.concatenate([corners, *([middles] if middles else []), [corners.mean(axis=0)]]), axis=0)[::-1]


def space_filling(region: Bounds, count: int, present: Array, seed: int = 42) -> Array:
    """Return [count, component], mixes far from each other and from those that are there (maximin distance).

    The farthest candidate first (Kennard and Stone 1969), then each of the two nearest mixes is moved for as long as
    the least distance grows (Johnson, Moore and Ylvisaker 1990).
    """
    width = len(region.components)
    degree = next(
        (tried for tried in (24, 20, 12, 10, 6, 4) if width <= 10 and _lattice_size(width, tried) < 2000),
        2,
    )
    grid = lattice(width, degree) if width <= 20 else np.eye(width)
    pool = np.concatenate([region.vertices, grid[region.contain(grid, 1e-9)], region.draws(_CANDIDATES, seed)])
    fixed = present.reshape(-1, width)
    chosen: list[int] = []
    for _ in range(count):
        others = np.concatenate([fixed, pool[chosen]])
        chosen.append(int(_nearest(pool, others).argmax()) if len(others) else 0)
    least = _least(pool[chosen], fixed)
    improved = True
    while improved:
        improved = False
        for place in range(count):
            rest = [index for number, index in enumerate(chosen) if number != place]
            others = np.concatenate([fixed, pool[rest]])
            if not len(others):
                break
            best = int(_nearest(pool, others).argmax())
            tried = _least(pool[[*rest, best]], fixed)
            if tried > least + 1e-9:
                chosen[place], least, improved = best, tried, True
    return pool[chosen]


def _lattice_size(width: int, degree: int) -> float:
    return float(np.prod([(degree + step) / step for step in range(1, width)]))


def _nearest(points: Array, others: Array) -> Array:
    """Return [point], the distance to the nearest of the others."""
    return np.asarray(np.sqrt(((points[:, None] - others[None]) ** 2).sum(axis=2)).min(axis=1))


def _least(points: Array, fixed: Array) -> float:
    """Return the least distance between points, and between them and fixed ones."""
    among = [float(np.linalg.norm(first - second)) for first, second in combinations(points, 2)]
    return min([*among, *(_nearest(points, fixed) if len(fixed) else [])], default=np.inf)


def i_optimal(problem: DesignProblem, count: int, seed: int = 42, starts: int = 8) -> tuple[Array, Array]:
    """Return shares [count, component] and sizes [count] with the lowest mean prediction variance that is found.

    Coordinate exchange (Meyer and Nachtsheim 1995) from random starts: each mix is moved along the Cox direction of
    each component (Piepel, Cooley and Jones 2005), and between pairs of components, which reach the corners of tight
    bounds; then in finer steps. With fewer trainings than terms, the prior of `DesignProblem.prior` makes it Bayesian.
    """
    plenty = count * problem.runs >= problem.unknown_terms
    prior = problem.prior(_FLAT_SD if plenty else PRIOR_SD)
    best: tuple[float, Array, Array] | None = None
    numbers = generator(seed, "exchange", str(count))
    for start in range(starts):
        shares = problem.region.draws(count, seed + start)
        sizes = numbers.choice(np.array(problem.sizes, dtype=float), count)
        variance = _exchanged(problem, shares, sizes, prior)
        if best is None or variance < best[0] * (1 - 1e-9):
            best = (variance, shares, sizes)
    if best is None:
        raise InputError(f"starts {starts}: expected at least one")
    return best[1], best[2]


def _exchanged(problem: DesignProblem, shares: Array, sizes: Array, prior: Array) -> float:
    """Move mixes in place for as long as the criterion falls; return it."""
    rows = scaled(problem, shares, sizes)
    information = problem.known + prior + rows.T @ rows
    value = float(np.trace(np.linalg.solve(information, problem.products)))
    for window in (None, *_FINE):
        improved = True
        while improved:
            improved = False
            for place in range(len(shares)):
                tried = _moves(shares[place], problem.region, window)
                at = np.repeat(np.array(problem.sizes, dtype=float), len(tried))
                tried = np.tile(tried, (len(problem.sizes), 1))
                moved = scaled(problem, tried, at)
                gains = _gains(information, problem.products, rows[place], moved)
                best = int(gains.argmax())
                if gains[best] > 1e-7 * value:
                    shares[place], sizes[place] = tried[best], at[best]
                    information += np.outer(moved[best], moved[best]) - np.outer(rows[place], rows[place])
                    rows[place] = moved[best]
                    value, improved = value - float(gains[best]), True
    # Anew, because the rounding errors of many exchanges add up.
    return float(np.trace(np.linalg.solve(problem.known + prior + rows.T @ rows, problem.products)))


def _gains(information: Array, products: Array, old: Array, new: Array) -> Array:
    """Return [candidate], by how much the criterion falls when one row of the design becomes another.

    By the Sherman–Morrison–Woodbury formula for M − old old' + new new': with D = M⁻¹, G = D W D and A = [[d₀₀ − 1,
    d₀₁], [d₀₁, d₁₁ + 1]], it falls by tr(A⁻¹ [[g₀₀, g₀₁], [g₀₁, g₁₁]]).
    """
    inverse = np.linalg.inv(information)
    spread = inverse @ products @ inverse
    d00, d01, d11 = old @ inverse @ old, new @ (inverse @ old), ((new @ inverse) * new).sum(axis=1)
    g00, g01, g11 = old @ spread @ old, new @ (spread @ old), ((new @ spread) * new).sum(axis=1)
    determinant = (d00 - 1) * (d11 + 1) - d01**2
    with np.errstate(divide="ignore", invalid="ignore"):
        gains = ((d11 + 1) * g00 - 2 * d01 * g01 + (d00 - 1) * g11) / determinant
    return np.where(determinant < -1e-9, gains, -np.inf)


def _moves(point: Array, region: Bounds, window: float | None) -> Array:
    """Return [candidate, component], where a mix may move: along Cox directions and between pairs of components.

    Args:
        window: steps of at most this much of a share; None takes the whole way between the bounds.
    """
    width = len(point)
    lines = []
    for component in range(width):
        rest = 1 - point[component]
        towards = point / rest if rest > 1e-9 else np.full(width, 1 / (width - 1))
        towards[component] = 0.0
        moving = towards > 1e-12
        low = max(1 - region.high[component], float((region.low[moving] / towards[moving]).max()))
        high = min(1 - region.low[component], float((region.high[moving] / towards[moving]).min()))
        if low <= high:
            others = _steps(low, high, rest, window)
            line = others[:, None] * towards
            line[:, component] = 1 - others
            lines.append(line)
    for component, partner in combinations(range(width), 2):
        both = point[component] + point[partner]
        low, high = (
            max(region.low[component], both - region.high[partner]),
            min(region.high[component], both - region.low[partner]),
        )
        if low < high:
            steps = _steps(low, high, point[component], window)
            line = np.tile(point, (len(steps), 1))
            line[:, component], line[:, partner] = steps, both - steps
            lines.append(line)
    moves = np.concatenate(lines) if lines else point[None]
    inside = moves[region.contain(moves, 1e-9)]
    return np.clip(inside, region.low, region.high) if len(inside) else point[None]


def _steps(low: float, high: float, here: float, window: float | None) -> Array:
    if window is None:
        return np.linspace(low, high, _LEVELS)
    return np.clip(here + np.linspace(-window, window, _LEVELS), low, high)


def scaled(problem: DesignProblem, shares: Array, sizes: Array) -> Array:
    """Return [mix, term], rows that count for all adapters of a mix."""
    rows: Array = problem.columns(shares, sizes) * np.sqrt(problem.runs)
    return rows


def exact(row: Array, region: Bounds, units: Sequence[int] = UNITS) -> tuple[int, ...]:
    """Return whole numbers in the ratio of the shares, as near as the first unit that keeps the bounds allows."""
    for unit in units:
        weights = np.round(row * unit).astype(np.int64)
        low = np.ceil(region.low * unit - 1e-6).astype(np.int64)
        high = np.floor(region.high * unit + 1e-6).astype(np.int64)
        weights = np.clip(weights, low, np.maximum(low, high))
        while (missing := unit - int(weights.sum())) != 0:
            step = 1 if missing > 0 else -1
            room = np.flatnonzero(weights < high) if step > 0 else np.flatnonzero(weights > low)
            if not len(room):
                break
            weights[room[int((step * (row * unit - weights))[room].argmax())]] += step
        if weights.sum() == unit and (weights >= low).all() and (weights <= high).all():
            break
    divisor = math.gcd(*(int(weight) for weight in weights))
    return tuple(int(weight) // divisor for weight in weights)
