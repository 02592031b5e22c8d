"""What a surface is fitted to, and what every surface can be asked: the two records that this package turns on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from posologie.running.errors import InputError

Array = NDArray[np.float64]

_ROUNDING = 1e-6


@dataclass(frozen=True)
class Runs:
    """Scores of mixes that were trained, with everything that is known of their errors.

    Attributes:
        names: of the mixes, each once.
        components: names of the columns of `shares`, two or more.
        shares: [run, component], shares of the components; each row sums to 1.
        sizes: [run], numbers of items trained on; None where all are alike or not known.
        score: [run], in the unit of its table (points for shares), turned so that more is better.
        items: [run, run], covariance of the scores over draws of items, for the means over seeds as they are. All runs
            answered the same items, so its off-diagonal is large and cancels in differences. Zeros where not known.
        seeds: [run], how many adapters each score is the mean of.
        seed_variance: of one adapter, net of items; None where no mix was repeated, and the fit has to tell.
        seed_df: degrees of freedom of `seed_variance`; 0 where it is None.
        spread: [run], sample variances of the scores of each mix's adapters, net of items, with `seeds` − 1 degrees of
            freedom; NaN where there is one adapter. None where not known. They tell whether noise depends on the mix.
    """

    names: tuple[str, ...]
    components: tuple[str, ...]
    shares: Array
    sizes: Array | None
    score: Array
    items: Array
    seeds: NDArray[np.int64]
    seed_variance: float | None = None
    seed_df: float = 0.0
    spread: Array | None = None

    def __post_init__(self) -> None:
        """Check shapes and sums.

        Raises:
            InputError: where a shape does not fit or shares are no shares, with the run's name.
        """
        runs, width = len(self.names), len(self.components)
        if self.shares.shape != (runs, width) or self.score.shape != (runs,) or self.items.shape != (runs, runs):
            raise InputError(f"runs: shares {self.shares.shape}, scores {self.score.shape} for {runs} names")
        for name, row in zip(self.names, self.shares, strict=True):
            if row.min() < -_ROUNDING or abs(row.sum() - 1) > _ROUNDING:
                raise InputError(f"run {name}: shares {row.tolist()}; expected none below 0, and a sum of 1")

    def __len__(self) -> int:
        return len(self.names)

    def only(self, kept: Sequence[int] | NDArray[np.int64]) -> "Runs":
        """Return some of the runs, in the order given."""
        places = np.asarray(kept, dtype=np.int64)
        return Runs(
            tuple(self.names[place] for place in places),
            self.components,
            self.shares[places],
            None if self.sizes is None else self.sizes[places],
            self.score[places],
            self.items[np.ix_(places, places)],
            self.seeds[places],
            self.seed_variance,
            self.seed_df,
            None if self.spread is None else self.spread[places],
        )


class Moments(NamedTuple):
    """What a surface says of the expected scores of some mixes, before any seed is drawn.

    Attributes:
        mean: [point].
        covariance: [point, point].
    """

    mean: Array
    covariance: Array


class Surface(Protocol):
    """A fitted surface: a Gaussian posterior of the expected score at every mix."""

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the columns of shares."""
        ...

    @property
    def df(self) -> float:
        """Degrees of freedom of the intervals, which are Student's; infinite where the variance is known."""
        ...

    @property
    def run_variance(self) -> float:
        """What one more adapter of a mix adds to its score: the variance of seeds."""
        ...

    def moments(self, shares: Array, sizes: Array | None = None) -> Moments:
        """Return the posterior at [point, component] shares, at [point] sizes where the surface knows sizes."""
        ...
