"""Which mixes to train on: lattices, centroids, space-filling and I-optimal designs, in an order that may be cut short.

A design is judged by the variance of predicted scores, averaged over the region, in multiples of the variance of one
run: tr((Σ f f')⁻¹ W), with f a model's columns at the mixes and W their mean products over the region (I-optimality;
Goos, Jones and Syafitri 2016). What items add to all scores alike cancels in differences and is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import nctdtr, stdtrit

from posologie.running.errors import InputError
from posologie.statistics.crossed import Seeds, total_variance
from posologie.statistics.power import Components
from posologie.statistics.simultaneous import t_score
from posologie.surface.design_points import PRIOR_SD, UNITS, DesignProblem, Kind, exact, points_of, scaled
from posologie.surface.runs import Array

_MOST_TERMS = 250


@dataclass(frozen=True)
class Proposal:
    """Mixes to train on, and in which order.

    Attributes:
        weights: of each mix, whole numbers in the ratio of the components.
        sizes: [mix].
        order: the mix of each training; a mix that comes again is trained with another seed. Places from `len(weights)`
            on are mixes that are there already.
        variance: [1 + training], mean prediction variance before the first and after each training.
    """

    weights: tuple[tuple[int, ...], ...]
    sizes: NDArray[np.int64]
    order: tuple[int, ...]
    variance: Array

    @property
    def shares(self) -> Array:
        """[mix, component]."""
        return np.array([np.array(weights) / sum(weights) for weights in self.weights])

    def information(self, problem: DesignProblem) -> Array:
        """Return [term, term], what the mixes that are there and those proposed say together."""
        rows = _rows(problem, self.shares, self.sizes.astype(float))
        return problem.known + rows[list(self.order)].T @ rows[list(self.order)]

    def errors(self, problem: DesignProblem, points: Array) -> Array:
        """Return [point], standard deviations of predictions at the largest size, in those of a run.

        NaN where the model cannot be fitted.

        Args:
            points: [point, component], shares.
        """
        if not np.isfinite(self.variance[-1]):
            return np.full(len(points), np.nan)
        columns = problem.columns(points, np.full(len(points), float(max(problem.sizes))))
        spread = np.linalg.solve(self.information(problem), columns.T)
        return np.asarray(np.sqrt(np.maximum((columns.T * spread).sum(axis=0), 0.0)))


def propose(
    problem: DesignProblem,
    trainings: int,
    kind: Kind = "i_optimal",
    repeats: int | None = None,
    seed: int = 42,
    starts: int = 8,
) -> Proposal:
    """Return a design with this number of trainings.

    Args:
        trainings: adapters that may be trained; with several training seeds each mix takes as many of them.
        repeats: how many of them train a mix again with another seed; with None enough for two degrees of freedom of
            the variance of seeds and a quarter of the trainings, as far as the model's terms leave any.
        seed, starts: of the random starts of the exchange.

    Raises:
        InputError: if too few trainings are left for any mix, or the kind does not suit the bounds.
    """
    if len(problem.products) > _MOST_TERMS:
        raise InputError(
            f"{problem.model} has {len(problem.products)} terms of {len(problem.region.components)} components;"
            f" expected at most {_MOST_TERMS}: take a smaller model, or space_filling with linear"
        )
    if repeats is None:
        missing = max(2, trainings // 4) - problem.repeats
        repeats = 0 if problem.runs > 1 else max(0, min(missing, trainings - max(problem.unknown_terms, 1)))
    count = trainings // problem.runs - repeats
    if count < 1:
        raise InputError(
            f"{trainings} trainings, {repeats} of them repeats, {problem.runs} a mix: none is left for a new mix"
        )
    shares, sizes = points_of(problem, count, kind, seed, starts)
    weights, sizes, again = _merged(_plain(problem, shares, sizes), sizes)
    shares = np.array([np.array(row) / sum(row) for row in weights])
    order = _ordered(problem, shares, sizes, again, repeats)
    rows = _rows(problem, shares, sizes)
    information = problem.known.copy()
    variance = [problem.variance(information)]
    for place in order:
        information = information + np.outer(rows[place], rows[place])
        variance.append(problem.variance(information))
    return Proposal(weights, sizes.astype(np.int64), tuple(order), np.array(variance))


def _rows(problem: DesignProblem, shares: Array, sizes: Array) -> Array:
    """Return [mix, term], the row of one adapter of each proposed mix, then of each mix that is there."""
    new = problem.columns(shares, sizes)
    return (
        np.concatenate([new, problem.columns(problem.present, problem.present_sizes)]) if len(problem.present) else new
    )


def _plain(problem: DesignProblem, shares: Array, sizes: Array) -> list[tuple[int, ...]]:
    """Return each mix in whole numbers: the plainest whose design is at most 0.1 % worse."""
    prior = problem.known + problem.prior(PRIOR_SD)
    plain = shares.copy()
    mixes: list[tuple[int, ...]] = []

    def value() -> float:
        rows = scaled(problem, plain, sizes)
        return float(np.trace(np.linalg.solve(prior + rows.T @ rows, problem.products)))

    limit = value() * 1.001
    for place, row in enumerate(shares):
        for unit in UNITS:
            weights = exact(row, problem.region, (unit,))
            plain[place] = np.array(weights) / sum(weights)
            if problem.region.contain(plain[place], 1e-6) and value() <= limit:
                break
        else:
            weights = exact(row, problem.region, UNITS[-2:])
            plain[place] = np.array(weights) / sum(weights)
        mixes.append(weights)
    return mixes


def _merged(weights: Sequence[tuple[int, ...]], sizes: Array) -> tuple[tuple[tuple[int, ...], ...], Array, list[int]]:
    """Return each mix once, and for each proposed point its place among them."""
    keys = list(zip(weights, sizes.tolist(), strict=True))
    first = list(dict.fromkeys(keys))
    places = [first.index(key) for key in keys]
    return tuple(key[0] for key in first), np.array([key[1] for key in first]), places


def _ordered(problem: DesignProblem, shares: Array, sizes: Array, points: Sequence[int], repeats: int) -> list[int]:
    """Return the mix of each training, so that after any of them the mean prediction variance is low.

    Repeats are mixes that lower it most, a different one each time. The order adds the best training each time, or
    takes away the least useful one each time from the end, whichever has the lower sum of log variances over all
    beginnings, and is improved by exchanging neighbours. `DesignProblem.prior` makes short beginnings comparable.
    """
    rows = _rows(problem, shares, sizes)
    prior = problem.known + problem.prior(PRIOR_SD)
    chosen = list(points) * problem.runs
    information = prior + rows[chosen].T @ rows[chosen]
    free = list(range(len(rows)))
    for _ in range(repeats):
        repeated = min(free or list(range(len(rows))), key=lambda mix: _criterion(problem, information, rows[mix], 1))
        chosen.append(repeated)
        free = [mix for mix in free if mix != repeated]
        information = information + np.outer(rows[repeated], rows[repeated])
    forward, backward = _forward(problem, rows, prior, chosen), _backward(problem, rows, prior, chosen)
    best = min((forward, backward), key=lambda order: _loss(problem, rows, prior, order))
    loss, improved = _loss(problem, rows, prior, best), True
    while improved:
        improved = False
        for place in range(len(best) - 1):
            tried = [*best[:place], best[place + 1], best[place], *best[place + 2 :]]
            if (tried_loss := _loss(problem, rows, prior, tried)) < loss - 1e-9:
                best, loss, improved = tried, tried_loss, True
    return best


def _criterion(problem: DesignProblem, information: Array, row: Array, sign: int) -> float:
    return float(np.trace(np.linalg.solve(information + sign * np.outer(row, row), problem.products)))


def _forward(problem: DesignProblem, rows: Array, prior: Array, chosen: Sequence[int]) -> list[int]:
    remaining, order, information = list(chosen), [], prior
    while remaining:
        best = min(dict.fromkeys(remaining), key=lambda mix: _criterion(problem, information, rows[mix], 1))
        order.append(best)
        remaining.remove(best)
        information = information + np.outer(rows[best], rows[best])
    return order


def _backward(problem: DesignProblem, rows: Array, prior: Array, chosen: Sequence[int]) -> list[int]:
    remaining, order = list(chosen), []
    information = prior + rows[remaining].T @ rows[remaining]
    while remaining:
        last = min(dict.fromkeys(remaining), key=lambda mix: _criterion(problem, information, rows[mix], -1))
        order.append(last)
        remaining.remove(last)
        information = information - np.outer(rows[last], rows[last])
    return order[::-1]


def _loss(problem: DesignProblem, rows: Array, prior: Array, order: Sequence[int]) -> float:
    total, information = 0.0, prior
    for place in order:
        information = information + np.outer(rows[place], rows[place])
        total += float(np.log(np.trace(np.linalg.solve(information, problem.products))))
    return total


def power_of_surface(
    known: Components, leverage: float, df: int, z: float, difference: float, power: float
) -> tuple[float | None, float | None]:
    """Return the difference from base that a predicted mix shows with this power, and the power for a difference.

    The variance is that of `power.Components` with the leverage, the prediction variance in that of a run, in place of
    one over the number of seeds: what is fixed, and leverage × (noise + seeds).

    Args:
        df: runs less terms of the model; below 1 seeds are not known, and both are None.
        z: critical value on the normal scale.
        difference: true difference, as a share.
    """
    if df < 1 or known.seeds is None:
        return None, None
    noise = known.noise
    items = np.asarray(known.fixed + leverage * noise)
    seeds = Seeds(np.asarray(known.seeds + noise), np.asarray(noise), df)
    variance, variance_df = total_variance(items, np.asarray(leverage), seeds, known.df_items)
    critical = float(t_score(np.asarray(z), np.asarray(variance_df)))
    error = float(np.sqrt(variance))
    detectable = (critical + float(stdtrit(variance_df, power))) * error
    return detectable, float(1 - nctdtr(variance_df, difference / error, critical))
