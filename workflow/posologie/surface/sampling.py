"""Draws from the posterior of a surface's parameters: the same draws for the same runs."""

from collections.abc import Callable

import numpy as np
from scipy.stats import chi2, norm, qmc

from posologie.surface.runs import Array

_TAIL = 5.0  # degrees of freedom of the proposal: heavier tails than the posterior it stands for
_ROUNDS = 3
_STEPS = 6
_STEP = 0.45  # in standard deviations; nine of ten proposals are accepted
_THINNING = 2
_SEED = 20221
_WORST = -1e20


def importance(heights: Callable[[Array], Array], mode: Array, spread: Array, count: int) -> tuple[Array, Array]:
    """Return draws and weights by adaptive importance sampling (Cornuet et al. 2012) on Sobol' points.

    Proposals are Student densities about the mode, moved and widened twice by the weighted moments of all draws. All
    draws are weighted by the mixture of all proposals.

    Args:
        heights: of [draw, parameter], the log posterior density.
    """
    centre = mode
    everything: list[Array] = []
    densities: list[Array] = []
    proposals: list[tuple[Array, Array]] = []
    for turn in range(_ROUNDS):
        root = np.linalg.cholesky(spread).astype(np.float64)
        proposals.append((centre, root))
        points = _student_points(centre, root, count, turn)
        everything.append(points)
        densities.append(heights(points))
        drawn = np.concatenate(everything)
        mixture = np.logaddexp.reduce([_student_density(drawn, *proposal) for proposal in proposals], axis=0)
        raw = np.concatenate(densities) - mixture
        weights = np.exp(raw - raw.max())
        weights /= weights.sum()
        centre = weights @ drawn
        away = drawn - centre
        spread = (weights[:, None] * away).T @ away + 1e-3 * np.eye(len(mode))
    # systematic resampling: each draw costs time at every prediction, and dropping the light ones would be too sure
    ends = np.cumsum(weights)
    picked = np.minimum(np.searchsorted(ends, (np.arange(count) + 0.5) / count), len(weights) - 1)
    chosen, times = np.unique(picked, return_counts=True)
    return drawn[chosen], times / count


def _student_points(centre: Array, root: Array, count: int, turn: int) -> Array:
    sobol = qmc.Sobol(len(centre) + 1, scramble=True, rng=np.random.default_rng(_SEED + turn))
    uniform = np.clip(sobol.random_base2(int(np.ceil(np.log2(count))))[:count], 1e-9, 1 - 1e-9)
    # The last coordinate is the χ² that makes a normal point Student's.
    scale = np.sqrt(_TAIL / chi2.ppf(uniform[:, -1], _TAIL))
    points: Array = centre + (norm.ppf(uniform[:, :-1]) * scale[:, None]) @ root.T
    return points


def _student_density(points: Array, centre: Array, root: Array) -> Array:
    """Return the log density up to a constant that all proposals share."""
    solved = np.linalg.solve(root, (points - centre).T)
    density: Array = -0.5 * (_TAIL + len(centre)) * np.log1p((solved**2).sum(0) / _TAIL) - np.log(np.diag(root)).sum()
    return density


def hamiltonian(
    slope: Callable[[Array], tuple[float, Array]], mode: Array, spread: Array, count: int
) -> tuple[Array, Array]:
    """Return draws and equal weights by Hamiltonian Monte Carlo (Neal 2011), with the curvature at the mode as mass.

    Args:
        slope: of one vector of parameters, the log posterior density and its gradient.
    """
    root = np.linalg.cholesky(spread)
    rng = np.random.default_rng(_SEED)

    def energy(place: Array) -> tuple[float, Array]:
        height, gradient = slope(mode + root @ place)
        return height, root.T @ gradient

    place = np.zeros(len(mode))
    height, gradient = energy(place)
    states: list[Array] = []
    warm = max(count // 2, 8)
    for turn in range(warm + _THINNING * count):
        momentum = rng.standard_normal(len(mode))
        step = _STEP * rng.uniform(0.7, 1.2)
        chance = np.log(rng.uniform())
        ahead, ahead_height, ahead_gradient = place, height, gradient
        # Leapfrog: half a step of the momentum at both ends, whole steps in between.
        moved = momentum + 0.5 * step * gradient
        for number in range(_STEPS):
            ahead = ahead + step * moved
            ahead_height, ahead_gradient = energy(ahead)
            if ahead_height < _WORST:
                break
            moved = moved + (step if number < _STEPS - 1 else 0.5 * step) * ahead_gradient
        # Metropolis's rule corrects for the error of the steps.
        if chance < ahead_height - height - 0.5 * (moved @ moved - momentum @ momentum):
            place, height, gradient = ahead, ahead_height, ahead_gradient
        if turn >= warm and (turn - warm) % _THINNING == 0:
            states.append(mode + root @ place)
    return np.array(states), np.full(len(states), 1 / len(states))
