"""The best mix as a region: which mixes cannot be distinguished from the best, and what the chosen one is worth.

Everything here asks a surface only for the joint posterior of expected scores at candidate mixes. Seeds are fixed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtri, stdtrit

from posologie.statistics.crossed import Estimated
from posologie.statistics.draws import generator
from posologie.statistics.simultaneous import Corrected, Family, corrected_best, z_score
from posologie.surface.candidates import around, distinct, lattice, uniform
from posologie.surface.runs import Array, Moments, Surface
from posologie.surface.simplex import Bounds

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

    def only(self, selected: NDArray[np.bool_]) -> "Candidates":
        """Return some of the mixes, such as those that keep a demand; their even part is that of what is left."""
        place = np.cumsum(selected) - 1
        even, of_lattice = (place[places[selected[places]]] for places in (self.even, self.round))
        return Candidates(self.shares[selected], even, of_lattice, self.step, self.size)


@dataclass(frozen=True)
class Region:
    """All mixes that cannot be distinguished from the best one, with what is known of the chosen mix.

    Attributes:
        candidates: what was compared.
        components: names of the shares.
        mean, error: [point], expected score and its standard error.
        inside: [point], whether the mix cannot be distinguished from the best at `level`.
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
        far_apart = [self.chosen]
        while within and len(far_apart) < count:
            distance = np.linalg.norm(shares[within][:, None] - shares[far_apart], axis=2).min(axis=1)
            if distance.max() < self.candidates.step:
                break
            far_apart.append(within.pop(int(np.argmax(distance))))
        return shares[far_apart]


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
        tested: [run, component], mixes that were trained, and others to include in the answer; those within bounds
            are candidates.
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
    nonzero = roots > _ROUNDING * max(float(roots.max(initial=0.0)), 0.0)
    root: Array = axes[:, nonzero] * np.sqrt(roots[nonzero])
    return root


def draw_errors(moments: Moments, df: float, draws: int, seed: int) -> Array:
    """Return [draw, point], joint errors of the means: normal, or Student's with one variance for all points."""
    root = _root(moments.covariance)
    numbers = generator(seed, "surface")
    errors: Array = numbers.standard_normal((draws, root.shape[1])) @ root.T
    if np.isfinite(df):
        errors *= np.sqrt(df / numbers.chisquare(df, draws))[:, None]
    return errors


def region_of(
    surface: Surface,
    candidates: Candidates,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 42,
    least_squares: bool = True,
) -> Region:
    """Return the mixes that cannot be distinguished from the best (Hsu 1984; Peterson, Cahya and del Castillo 2002).

    A mix x is in the region if max over z of (m_z − m_x) / s_xz is at most d_x, the quantile at `level` of the maximum
    over z of the same statistics of errors alone. At the true best mix no true difference is above 0, so that it is in
    the region with at least this probability, whatever the surface looks like and however many candidates there are.

    Args:
        least_squares: the means are not drawn towards a prior, so that the score of the mix that came out best needs
            the correction of the table `best`. A posterior mean under a prior needs none (Efron 2011).
    """
    moments = surface.moments(candidates.shares, candidates.sizes())
    mean, df = moments.mean, surface.df
    error = np.sqrt(np.maximum(np.diag(moments.covariance), 0.0))
    errors = draw_errors(moments, df, draws, seed)
    rivals = np.setdiff1d(np.arange(len(mean)), candidates.even)
    chosen = int(np.argmax(mean))
    rivals = np.union1d(rivals, [chosen]) if len(rivals) else np.arange(len(mean))
    inside, critical, spread = _compare_with_best(mean, moments.covariance, errors, rivals, df, level)
    regrets = (mean + errors).max(axis=1) - (mean + errors)[:, chosen]
    reach = mean[inside] - mean[chosen] + critical[inside] * spread[inside, chosen]
    share = float(inside[candidates.even].mean()) if len(candidates.even) else float("nan")
    return Region(
        candidates=candidates,
        components=surface.components,
        mean=mean,
        error=error,
        inside=inside,
        chosen=chosen,
        level=level,
        expected=_corrected(mean, moments.covariance, errors, rivals, df, level, least_squares=least_squares),
        regret=float(regrets.mean()),
        most_regret=max(0.0, float(reach.max(initial=0.0))),
        share=share,
        share_error=float(np.sqrt(share * (1 - share) / len(candidates.even)))
        if len(candidates.even)
        else float("nan"),
    )


def _compare_with_best(
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
    if len(rivals) == 1:  # nothing was chosen
        value, half = float(mean[rivals[0]]), float(stdtrit(min(df, _NORMAL), (1 + level) / 2))
        half *= float(np.sqrt(max(covariance[rivals[0], rivals[0]], 0.0)))
        return Corrected(value, value - half, value + half)
    known = np.full(len(rivals), min(df, _NORMAL))
    variance = np.diag(covariance)[rivals]
    scores = z_score((errors[:, rivals] / np.sqrt(np.maximum(variance, 1e-300))).T, known[:, None])
    family = Family(Estimated(mean[rivals], variance, known), scores)
    estimate = corrected_best(family, covariance[np.ix_(rivals, rivals)], level)
    if least_squares or estimate.low is None or estimate.high is None:
        return estimate
    value = float(mean[rivals].max())
    return Corrected(min(max(value, estimate.low), estimate.high), estimate.low, estimate.high)


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
