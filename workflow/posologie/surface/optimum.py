"""The best mix as a region: which mixes cannot be told from the best, and what the chosen one is worth.

Everything here asks a surface only for the joint posterior of expected scores at candidate mixes. Draws have fixed seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtri, stdtr, stdtrit

from posologie.errors import InputError
from posologie.statistics.draws import generator
from posologie.statistics.simultaneous import Estimated, Family, z_score
from posologie.statistics.winner import Corrected, corrected_best
from posologie.surface.candidates import Bounds, around, distinct, lattice, uniform
from posologie.surface.runs import Array, Moments, Runs, Surface

_NOTHING = 1e-14
"""Variances below this part of the largest are rounding."""
_ROUNDING = 1e-12
"""Eigenvalues below this part of the largest are rounding."""
_NORMAL = 1e6
"""Degrees of freedom that stand for infinitely many where a formula needs a number."""


@dataclass(frozen=True)
class Candidates:
    """Mixes that are compared.

    Attributes:
        shares: [point, component], each mix once.
        even: places of the mixes that are spread evenly over the bounded simplex, from which its parts are measured.
        round: places of the lattice points, whose shares are round numbers.
        step: of the lattice.
        size: number of items, where the surface knows sizes.
    """

    shares: Array
    even: NDArray[np.int64]
    round: NDArray[np.int64]
    step: float
    size: float | None = None

    def sizes(self) -> Array | None:
        """Return [point] sizes, or None where the surface knows none."""
        return None if self.size is None else np.full(len(self.shares), float(self.size))


@dataclass(frozen=True)
class Region:
    """All mixes that cannot be told from the best one, with what is known of the chosen mix.

    Attributes:
        candidates: what was compared.
        components: names of the shares.
        mean, error: [point], expected score and its standard error.
        inside: [point], whether the mix cannot be told from the best at `level`.
        chosen: place of the mix with the highest expected score.
        level: confidence that the region holds the best mix.
        expected: score of the chosen mix, corrected for having been chosen, with an interval.
        regret: expected shortfall of the chosen mix against the best.
        most_regret: upper bound of that shortfall at `level`, for every mix of the region at once; the lower is 0.
        share: of the bounded simplex, from 0 to 1.
        share_error: Monte-Carlo standard error of `share`.
    """

    candidates: Candidates
    components: tuple[str, ...]
    mean: Array
    error: Array
    inside: NDArray[np.bool_]
    chosen: int
    level: float
    expected: Corrected
    regret: float
    most_regret: float
    share: float
    share_error: float

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Return the lowest and highest share of each component within the region."""
        within = self.candidates.shares[self.inside]
        return {
            name: (float(low), float(high))
            for name, low, high in zip(self.components, within.min(axis=0), within.max(axis=0), strict=True)
        }

    def representatives(self, count: int = 4) -> Array:
        """Return a few mixes of the region that lie far apart, the chosen one first: [mix, component].

        Each next one is the lattice point of the region that is farthest from those before.
        """
        shares = self.candidates.shares
        within = [place for place in self.candidates.round if self.inside[place] and place != self.chosen]
        found = [self.chosen]
        while within and len(found) < count:
            distance = np.linalg.norm(shares[within][:, None] - shares[found], axis=2).min(axis=1)
            if distance.max() < self.candidates.step:
                break
            found.append(within.pop(int(np.argmax(distance))))
        return shares[found]


def candidates_of(
    surface: Surface,
    bounds: Bounds,
    tested: Array | None = None,
    *,
    size: float | None = None,
    lattice_points: int = 250,
    even_points: int = 256,
    seed: int = 42,
) -> Candidates:
    """Return mixes to compare: lattice, an even sample, the tested ones, and a refinement around the best of these.

    Args:
        tested: [run, component], mixes that were trained; those within bounds are candidates.
        size: number of items of all candidates, where the surface knows sizes.
    """
    grid, step = lattice(bounds, lattice_points)
    even = uniform(bounds, even_points, seed)
    own = np.empty((0, len(bounds.low))) if tested is None else tested[bounds.contain(tested)]
    shares = distinct(np.concatenate([grid, even, own]))

    def score(points: Array) -> Array:
        return surface.moments(points, None if size is None else np.full(len(points), float(size))).mean

    best = shares[int(np.argmax(score(shares)))]
    reach = min(step, 0.1) if len(grid) else 0.1
    while reach > 0.005:
        reach /= 2
        near = around(best, reach, bounds)
        shares = distinct(np.concatenate([shares, near]))
        if len(near) and score(near).max() > score(best[None])[0]:
            best, reach = near[int(np.argmax(score(near)))], reach * 2
    places = {tuple(row): place for place, row in enumerate(np.round(shares, 6))}
    where = [
        np.array([places[tuple(row)] for row in np.round(points, 6)], dtype=np.int64) for points in (even, grid)
    ]  # fmt: skip
    return Candidates(shares, where[0], where[1], step, size)


def _root(covariance: Array) -> Array:
    """Return a square root [point, rank] of a covariance, without what is rounding."""
    roots, axes = np.linalg.eigh(covariance)
    kept = roots > _ROUNDING * max(float(roots.max(initial=0.0)), 0.0)
    root: Array = axes[:, kept] * np.sqrt(roots[kept])
    return root


def draw_errors(moments: Moments, df: float, draws: int, seed: int) -> Array:
    """Return [draw, point], joint errors of the means: normal, or Student's with one variance for all points."""
    root = _root(moments.covariance)
    numbers = generator(seed, "surface")
    found: Array = numbers.standard_normal((draws, root.shape[1])) @ root.T
    if np.isfinite(df):
        found *= np.sqrt(df / numbers.chisquare(df, draws))[:, None]
    return found


def region_of(
    surface: Surface,
    candidates: Candidates,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 42,
    least_squares: bool = True,
) -> Region:
    """Return the mixes that cannot be told from the best, simultaneously (Hsu 1984; Peterson, Cahya, del Castillo 2002).

    A mix x is in the region if max over z of (m_z − m_x) / s_xz is at most d_x, the quantile at `level` of the maximum
    over z of the same statistics of errors alone. At the true best mix no true difference is above 0, so that it is in
    the region with at least this probability, whatever the surface looks like and however many candidates there are.

    Args:
        least_squares: the means are not drawn towards a prior, so that the score of the mix that came out best needs the
            correction of the table `best`. A posterior mean under a prior needs none (Efron 2011).
    """
    moments = surface.moments(candidates.shares, candidates.sizes())
    mean, df = moments.mean, surface.df
    error = np.sqrt(np.maximum(np.diag(moments.covariance), 0.0))
    errors = draw_errors(moments, df, draws, seed)
    rivals = np.setdiff1d(np.arange(len(mean)), candidates.even)
    chosen = int(np.argmax(mean))
    rivals = np.union1d(rivals, [chosen]) if len(rivals) else np.arange(len(mean))
    inside, critical, spread = _told(mean, moments.covariance, errors, rivals, df, level)
    regrets = (mean + errors).max(axis=1) - (mean + errors)[:, chosen]
    reach = mean[inside] - mean[chosen] + critical[inside] * spread[inside, chosen]
    part = float(inside[candidates.even].mean()) if len(candidates.even) else float("nan")
    return Region(
        candidates,
        surface.components,
        mean,
        error,
        inside,
        chosen,
        level,
        _corrected(mean, moments.covariance, errors, rivals, df, level, least_squares=least_squares),
        float(regrets.mean()),
        max(0.0, float(reach.max(initial=0.0))),
        part,
        float(np.sqrt(part * (1 - part) / len(candidates.even))) if len(candidates.even) else float("nan"),
    )


def _told(
    mean: Array, covariance: Array, errors: Array, rivals: NDArray[np.int64], df: float, level: float
) -> tuple[NDArray[np.bool_], Array, Array]:
    """Return whether each mix is in the region, its critical value, and [point, point] errors of differences."""
    diagonal = np.diag(covariance)
    square = diagonal[:, None] + diagonal - 2 * covariance
    spread = np.sqrt(np.where(square > _NOTHING * max(float(diagonal.max(initial=0.0)), 0.0), square, 0.0))
    gap = mean[rivals] - mean[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(spread[:, rivals] > 0, gap / spread[:, rivals], np.where(gap > 0, np.inf, 0.0))
    largest = ratio.max(axis=1)
    rank = max(1, _root(covariance[np.ix_(rivals, rivals)]).shape[1])
    # Scheffé's bound holds for every contrast at once: beyond it a mix is out without draws
    beyond = float(np.sqrt(rank * fdtri(rank, min(df, _NORMAL), level)))
    critical = np.full(len(mean), beyond)
    own = np.asarray(errors[:, rivals], dtype=np.float32)
    scale = np.where(spread > 0, spread, np.inf).astype(np.float32)
    place = min(len(errors) - 1, int(np.ceil(level * (len(errors) + 1))) - 1)
    alone = float(stdtrit(min(df, _NORMAL), level))
    for point in np.flatnonzero(largest <= beyond):
        top = ((own - np.asarray(errors[:, point, None], np.float32)) / scale[point, rivals]).max(axis=1)
        critical[point] = max(alone, float(np.partition(top, place)[place]))
    return largest <= critical, critical, spread


def _corrected(
    mean: Array,
    covariance: Array,
    errors: Array,
    rivals: NDArray[np.int64],
    df: float,
    level: float,
    *,
    least_squares: bool,
) -> Corrected:
    """Return the score of the best mix, corrected for choosing it among the rivals, with its interval."""
    known = np.full(len(rivals), min(df, _NORMAL))
    variance = np.diag(covariance)[rivals]
    scores = z_score((errors[:, rivals] / np.sqrt(np.maximum(variance, 1e-300))).T, known[:, None])
    family = Family(Estimated(mean[rivals], variance, known), scores)
    found = corrected_best(family, covariance[np.ix_(rivals, rivals)], level)
    if least_squares or found.low is None or found.high is None:
        return found
    value = float(mean[rivals].max())
    return Corrected(min(max(value, found.low), found.high), found.low, found.high)


def mixes_told_apart(
    means: Array,
    covariance: Array,
    errors: Array,
    points: NDArray[np.int64],
    rivals: NDArray[np.int64],
    df: float,
    level: float,
) -> NDArray[np.bool_]:
    """Return [outcome, point], whether each mix would be in the region, for several means with one covariance.

    Args:
        means: [outcome, mix].
        errors: [draw, mix], joint errors with this covariance.
        points, rivals: places of the mixes that are judged, and of those that they are compared with.
    """
    diagonal = np.diag(covariance)
    square = diagonal[points, None] + diagonal[rivals] - 2 * covariance[np.ix_(points, rivals)]
    spread = np.sqrt(np.where(square > _NOTHING * max(float(diagonal.max(initial=0.0)), 0.0), square, np.inf))
    place = min(len(errors) - 1, int(np.ceil(level * (len(errors) + 1))) - 1)
    inside = np.empty((len(means), len(points)), dtype=bool)
    for number, point in enumerate(points):
        top = ((errors[:, rivals] - errors[:, point, None]) / spread[number]).max(axis=1)
        critical = max(float(stdtrit(min(df, _NORMAL), level)), float(np.partition(top, place)[place]))
        inside[:, number] = ((means[:, rivals] - means[:, point, None]) / spread[number]).max(axis=1) <= critical
    return inside


@dataclass(frozen=True)
class Floor:
    """A demand on another suite: its score is at least `score`.

    Attributes:
        surface: of the other suite; of gains over base where base is the floor, so that what both share cancels.
        score: the floor; 0 for gains.
        probability: with which the floor is to be kept, for one mix at a time.
    """

    surface: Surface
    score: float
    probability: float = 0.95

    def chances(self, candidates: Candidates) -> Array:
        """Return [point], the posterior probability that each mix keeps the floor."""
        moments = self.surface.moments(candidates.shares, candidates.sizes())
        return chance_above(moments.mean - self.score, np.diag(moments.covariance), self.surface.df)


def chance_above(value: Array, variance: Array, df: float) -> Array:
    """Return the posterior probability that values are at least 0."""
    error = np.sqrt(np.maximum(variance, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Array = stdtr(min(df, _NORMAL), np.where(error > 0, value / error, np.inf * np.sign(value)))
    return np.where((error == 0) & (value == 0), 1.0, found)


class Constrained(NamedTuple):
    """The best mix among those that keep all floors.

    Attributes:
        chosen: its place among the candidates; None where no mix keeps the floors.
        chances: [floor, point].
        allowed: [point].
    """

    chosen: int | None
    chances: Array
    allowed: NDArray[np.bool_]


def best_above(surface: Surface, candidates: Candidates, floors: Sequence[Floor]) -> Constrained:
    """Return the mix with the highest expected score among those that keep each floor with its probability.

    This is a chance constraint (Charnes and Cooper 1959), for each floor and mix on its own.
    """
    mean = surface.moments(candidates.shares, candidates.sizes()).mean
    chances = np.array([floor.chances(candidates) for floor in floors]).reshape(len(floors), len(mean))
    wanted = np.array([floor.probability for floor in floors])[:, None]
    allowed = (chances >= wanted).all(axis=0)
    chosen = int(np.argmax(np.where(allowed, mean, -np.inf))) if allowed.any() else None
    return Constrained(chosen, chances, allowed)


class Front(NamedTuple):
    """Mixes to which no other is preferable on both suites.

    Attributes:
        places: of the mixes on the front of expected scores, by rising score on the second suite.
        probability: [point], in how many of 1 draws each mix is on the front.
    """

    places: NDArray[np.int64]
    probability: Array


def pareto(
    first: Surface,
    second: Surface,
    candidates: Candidates,
    *,
    correlation: float = 0.0,
    draws: int = 1000,
    seed: int = 42,
) -> Front:
    """Return the Pareto front of two suites, and how sure each mix's place on it is.

    Args:
        correlation: of the errors of the two surfaces at one mix. The suites share adapters and so the luck of their
            seeds, but not items: 0, the default, takes seeds to matter little beside items.
    """
    if not -1 < correlation < 1:
        raise InputError(f"correlation {correlation:g}: expected a number between -1 and 1")
    known = [surface.moments(candidates.shares, candidates.sizes()) for surface in (first, second)]
    numbers = generator(seed, "pareto")
    shared = numbers.standard_normal((draws, len(candidates.shares)))
    normal = (shared, correlation * shared + np.sqrt(1 - correlation**2) * numbers.standard_normal(shared.shape))
    drawn = []
    for moments, surface, own in zip(known, (first, second), normal, strict=True):
        roots, axes = np.linalg.eigh(moments.covariance)
        # the symmetric root, so that one number stands for the error of the same mix on both suites
        error = own @ ((axes * np.sqrt(np.maximum(roots, 0.0))) @ axes.T)
        if np.isfinite(surface.df):
            error = error * np.sqrt(surface.df / numbers.chisquare(surface.df, draws))[:, None]
        drawn.append(moments.mean + error)
    places = np.flatnonzero(undominated(known[0].mean[None], known[1].mean[None])[0])
    return Front(places[np.argsort(known[1].mean[places], kind="stable")], undominated(drawn[0], drawn[1]).mean(axis=0))


def undominated(first: Array, second: Array) -> NDArray[np.bool_]:
    """Return [draw, point], whether no other point of the draw is at least as good on both and better on one."""
    order = np.lexsort((-second, -first), axis=1) if first.ndim > 1 else np.lexsort((-second, -first))
    one, other = np.take_along_axis(first, order, axis=1), np.take_along_axis(second, order, axis=1)
    best = np.maximum.accumulate(other, axis=1)
    before = np.column_stack([np.full(len(other), -np.inf), best[:, :-1]])
    same = np.zeros(one.shape, dtype=bool)
    same[:, 1:] = (one[:, 1:] == one[:, :-1]) & (other[:, 1:] == other[:, :-1])
    kept = other > before
    for column in range(1, one.shape[1]):  # a point that equals an undominated one is as good
        kept[:, column] |= same[:, column] & kept[:, column - 1]
    found = np.zeros(kept.shape, dtype=bool)
    np.put_along_axis(found, order, kept, axis=1)
    return found


def weighted(by_suite: Mapping[str, Runs], weights: Mapping[str, float]) -> Runs:
    """Return the runs of a weighted objective, Σ weight × score of the suite, for a surface of its own.

    The suites share no items, so that covariances over items add with squared weights. Their seeds are those of the same
    adapters and may help or hurt all suites alike: the variance of seeds is bounded by full correlation,
    (Σ |weight| σ)², and left to the fit where a suite does not know it.

    Raises:
        InputError: where suites have other runs, or a weight names no suite.
    """
    if not weights or (strange := sorted(weights.keys() - by_suite.keys())):
        raise InputError(f"objective: unknown suite '{strange[0] if weights else ''}'; choose of {', '.join(by_suite)}")
    chosen = [(by_suite[name], weight) for name, weight in weights.items()]
    first = chosen[0][0]
    for runs, _ in chosen[1:]:
        if runs.names != first.names or not np.allclose(runs.shares, first.shares):
            raise InputError("objective: expected the same mixes, in the same order, on every suite")
    known = [runs.seed_variance for runs, _ in chosen]
    deviation = [abs(weight) * np.sqrt(one) for one, (_, weight) in zip(known, chosen, strict=True) if one is not None]
    complete = len(deviation) == len(chosen)
    return Runs(
        first.names,
        first.components,
        first.shares,
        first.sizes,
        np.sum([weight * runs.score for runs, weight in chosen], axis=0),
        np.sum([weight**2 * runs.items for runs, weight in chosen], axis=0),
        np.min([runs.seeds for runs, _ in chosen], axis=0),
        float(np.sum(deviation) ** 2) if complete else None,
        min(runs.seed_df for runs, _ in chosen) if complete else 0.0,
    )
