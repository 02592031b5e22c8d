"""Several suites at once: floors that the chosen mix has to keep, the Pareto front of two, and a weighted objective."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from posologie.running.errors import InputError
from posologie.statistics.draws import generator
from posologie.surface.optimum import Candidates
from posologie.surface.runs import Array, Runs, Surface

_NORMAL = 1e6
"""Degrees of freedom that stand for infinitely many where a formula needs a number."""


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
        probability: Array = stdtr(min(df, _NORMAL), np.where(error > 0, value / error, np.inf * np.sign(value)))
    return np.where((error == 0) & (value == 0), 1.0, probability)


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
    demanded = np.array([floor.probability for floor in floors])[:, None]
    allowed = np.asarray((chances >= demanded).all(axis=0), dtype=bool)
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
    ordered_first, ordered_second = np.take_along_axis(first, order, axis=1), np.take_along_axis(second, order, axis=1)
    best = np.maximum.accumulate(ordered_second, axis=1)
    before = np.column_stack([np.full(len(ordered_second), -np.inf), best[:, :-1]])
    same = np.zeros(ordered_first.shape, dtype=bool)
    same[:, 1:] = (ordered_first[:, 1:] == ordered_first[:, :-1]) & (ordered_second[:, 1:] == ordered_second[:, :-1])
    on_front = ordered_second > before
    for column in range(1, ordered_first.shape[1]):  # a point that equals an undominated one is as good
        on_front[:, column] |= same[:, column] & on_front[:, column - 1]
    front = np.zeros(on_front.shape, dtype=bool)
    np.put_along_axis(front, order, on_front, axis=1)
    return front


def weighted(by_suite: Mapping[str, Runs], weights: Mapping[str, float]) -> Runs:
    """Return the runs of a weighted objective, Σ weight × score of the suite, for a surface of its own.

    The suites share no items, so that covariances over items add with squared weights. Their seeds are those of the
    same adapters and may help or hurt all suites alike: the variance of seeds is bounded by full correlation,
    (Σ |weight| σ)², and left to the fit where a suite does not know it.

    Raises:
        InputError: where suites have other runs, or a weight names no suite.
    """
    if not weights or (strange := sorted(weights.keys() - by_suite.keys())):
        raise InputError(
            f"objective: unknown suite '{strange[0] if weights else ''}'; choose one of {', '.join(by_suite)}"
        )
    chosen = [(by_suite[name], weight) for name, weight in weights.items()]
    first = chosen[0][0]
    for runs, _ in chosen[1:]:
        if runs.names != first.names or not np.allclose(runs.shares, first.shares):
            raise InputError("objective: expected the same mixes, in the same order, on every suite")
    known = [runs.seed_variance for runs, _ in chosen]
    deviation = [
        abs(weight) * np.sqrt(variance)
        for variance, (_, weight) in zip(known, chosen, strict=True)
        if variance is not None
    ]
    complete = len(deviation) == len(chosen)
    return Runs(
        names=first.names,
        components=first.components,
        shares=first.shares,
        sizes=first.sizes,
        score=np.sum([weight * runs.score for runs, weight in chosen], axis=0),
        items=np.sum([weight**2 * runs.items for runs, weight in chosen], axis=0),
        seeds=np.min([runs.seeds for runs, _ in chosen], axis=0),
        seed_variance=float(np.sum(deviation) ** 2) if complete else None,
        seed_df=min(runs.seed_df for runs, _ in chosen) if complete else 0.0,
    )
