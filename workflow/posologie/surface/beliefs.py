"""What trainings may show: the joint posterior at the mixes to decide between, and draws of the scores to come."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtri
from scipy.stats import qmc

from posologie.statistics.draws import generator
from posologie.surface.optimum import Region, draw_errors, mixes_told_apart
from posologie.surface.runs import Array, Moments, Surface

_DRAWS = 512  # a power of 2, as Sobol' points need
_OUTCOMES = 32
_REGION_POINTS = 128
_REGION_RIVALS = 80
_REGION_DRAWS = 300


@dataclass(frozen=True)
class Beliefs:
    """The joint posterior at the mixes to decide between and those that may be trained, and draws of what may come.

    Attributes:
        mean: [decision].
        covariance: [decision, decision + offer], and `of_offers` [offer, offer].
        run_variance, own_noise: of a new score, per adapter and per mix.
        numbers: [draw, step], joint draws of Student's or normal numbers.
        points: posterior at the mixes from which the region is measured: `even` are judged against `rivals`.
        across: [point, offer], their covariance with the offers.
    """

    mean: Array
    covariance: Array
    of_offers: Array
    run_variance: float
    own_noise: float
    df: float
    numbers: Array
    level: float
    points: Moments
    even: NDArray[np.int64]
    rivals: NDArray[np.int64]
    across: Array
    seed: int

    @classmethod
    def of(
        cls,
        surface: Surface,
        region: Region,
        offers: Array,
        own_noise: float,
        allowed: NDArray[np.bool_] | None,
        most: int,
        seed: int,
    ) -> "Beliefs":
        """Return the beliefs of a surface; the arguments are those of `prescribe`."""
        candidates = region.candidates
        keep = np.ones(len(candidates.shares), dtype=bool)
        keep[candidates.even] = False  # measured points decide nothing that their neighbours on the lattice do not
        keep[region.chosen] = True
        keep &= True if allowed is None else allowed
        decisions = np.flatnonzero(keep)
        even = candidates.even if len(candidates.even) else decisions
        even = even[:_REGION_POINTS]  # every second of Sobol' points would lie in one half
        best = decisions[int(np.argmax(region.mean[decisions]))]
        rivals = np.unique(
            np.append(decisions[:: max(1, len(decisions) // _REGION_RIVALS)], best)
        )  # fmt: skip
        points = np.concatenate(
            [candidates.shares[decisions], offers, candidates.shares[even], candidates.shares[rivals]]
        )
        sizes = None if candidates.size is None else np.full(len(points), float(candidates.size))
        moments = surface.moments(points, sizes)
        first, second, third = len(decisions), len(decisions) + len(offers), len(decisions) + len(offers) + len(even)
        whole = moments.covariance
        return cls(
            mean=moments.mean[:first],
            covariance=whole[:first, first:second],
            of_offers=whole[first:second, first:second],
            run_variance=surface.run_variance,
            own_noise=own_noise,
            df=surface.df,
            numbers=_numbers(most, surface.df, seed),
            level=region.level,
            points=Moments(moments.mean[second:], whole[second:, second:]),
            even=np.arange(third - second),
            rivals=np.arange(third - second, len(points) - second),
            across=whole[second:, first:second],
            seed=seed,
        )

    def _moves(self, batch: Sequence[tuple[int, int]]) -> tuple[Array, Array, Array]:
        """Return roots of what the scores of a batch reveal about the decisions, the offers and the region's points."""
        places = [offer for offer, _ in batch]
        noise = np.diag([self.run_variance / count + self.own_noise for _, count in batch])
        root = np.linalg.cholesky(self.of_offers[np.ix_(places, places)] + noise + 1e-12 * np.eye(len(places)))
        return (
            np.linalg.solve(root, self.covariance[:, places].T).T,
            np.linalg.solve(root, self.of_offers[:, places].T).T,
            np.linalg.solve(root, self.across[:, places].T).T,
        )

    def value(self, batch: Sequence[tuple[int, int]]) -> float:
        """Return by how many points a batch is expected to raise the true score of the mix that is chosen after it."""
        if not batch:
            return 0.0
        after = self.mean + self.numbers[:, : len(batch)] @ self._moves(batch)[0].T
        return float((after.max(axis=1) - after[:, int(np.argmax(self.mean))]).mean())

    def values(self, taken: Sequence[tuple[int, int]], offers: NDArray[np.int64], seeds: int) -> Array:
        """Return [offer], the value of a batch with one more mix."""
        # What is known after the mixes taken is computed once; one more mix then moves the means along one direction.
        before = np.repeat(self.mean[None], len(self.numbers), axis=0)
        covariance, own = self.covariance[:, offers], np.diag(self.of_offers)[offers]
        if taken:
            of_decisions, of_offers, _ = self._moves(taken)
            before = before + self.numbers[:, : len(taken)] @ of_decisions.T
            covariance = covariance - of_decisions @ of_offers[offers].T
            own = own - (of_offers[offers] ** 2).sum(axis=1)
        noise = self.run_variance / seeds + self.own_noise
        moves = covariance / np.sqrt(np.maximum(own, 0.0) + noise + 1e-12)
        chosen = int(np.argmax(self.mean))
        number = self.numbers[:, len(taken), None]
        values = np.empty(len(offers))
        for place in range(len(offers)):
            after = before + number * moves[:, place]
            values[place] = (after.max(axis=1) - after[:, chosen]).mean()
        return values

    def changes(self, batch: Sequence[tuple[int, int]], points: float) -> float:
        """Return the probability that after a batch another mix is expected to be better by more than some points."""
        after = self.mean + self.numbers[:, : len(batch)] @ self._moves(batch)[0].T
        return float((after.max(axis=1) - after[:, int(np.argmax(self.mean))] > points).mean())

    def region(self, batch: Sequence[tuple[int, int]]) -> float:
        """Return the share of the simplex that is expected to stay indistinguishable from the best after a batch."""
        means, covariance = self.points.mean[None], self.points.covariance
        if batch:
            moves = self._moves(batch)[2]
            covariance = covariance - moves @ moves.T
            means = self.points.mean + self.numbers[:_OUTCOMES, : len(batch)] @ moves.T
        errors = draw_errors(Moments(means[0], covariance), self.df, _REGION_DRAWS, self.seed)
        inside = mixes_told_apart(
            means, covariance, errors, points=self.even, rivals=self.rivals, df=self.df, level=self.level
        )
        return float(inside.mean())


def _numbers(most: int, df: float, seed: int) -> Array:
    """Return [draw, step], scrambled Sobol' points as normal numbers, or Student's with one variance for all."""
    sobol = qmc.Sobol(most + 1, seed=generator(seed, "next runs"))
    uniform = np.clip(sobol.random(_DRAWS), 1e-9, 1 - 1e-9)
    normal: Array = ndtri(uniform[:, :most])
    if np.isfinite(df):
        normal = normal * np.sqrt(df / 2 / gammaincinv(df / 2, uniform[:, most]))[:, None]
    return normal
