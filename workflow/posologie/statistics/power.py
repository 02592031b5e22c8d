"""What more seeds and more items would show: the crossed model's variance at another size of the study."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import nctdtr, stdtrit

from posologie.statistics.crossed import Array, Crossed, Seeds, total_variance
from posologie.statistics.simultaneous import t_score, z_score

_MOST_SEEDS = 30
_MOST_TIMES = 1000
"""Seeds, and times as many items, beyond which nothing is promised."""


@dataclass(frozen=True)
class Components:
    """What the variance of a difference is made of, for a study of some size.

    Attributes:
        items: number of items at which `fixed` and `noise` were found.
        fixed: variance that more items reduce, and more seeds do not.
        noise: variance of one adapter that items and seeds reduce.
        seeds: variance of training seeds, which more seeds reduce alone; None where it is not known.
        sides: how many of the two sides are mixes whose seeds are drawn: 1 against base, 2 between mixes.
        df_items: degrees of freedom of the variance of items.
        mixes: number of mixes from which the variance of seeds is pooled.
    """

    items: int
    fixed: float
    noise: float
    seeds: float | None
    sides: float
    df_items: float
    mixes: int

    def variance(self, items: float, seeds: int) -> tuple[float, float]:
        """Return the variance and its degrees of freedom for a number of items and of seeds of each mix.

        Without a known variance of seeds, or with one seed, it is that of the adapters.
        """
        factor = self.items / items
        share = self.sides / seeds
        of_items = np.asarray(factor * (self.fixed + share * self.noise))
        df_items = max(1.0, self.df_items / factor)
        known = None
        if self.seeds is not None and self.mixes * (seeds - 1) >= 2:
            noise = factor * self.noise
            known = Seeds(np.asarray(self.seeds + noise), np.asarray(noise), self.mixes * (seeds - 1))
        variance, df = total_variance(of_items, np.asarray(share if known else 0.0), known, df_items)
        return float(variance), float(df)

    def detectable(self, items: float, seeds: int, z: float, power: float) -> float:
        """Return the smallest true difference that is found with this power.

        Args:
            z: critical value of the family, on the normal scale.
        """
        variance, df = self.variance(items, seeds)
        critical = float(t_score(np.asarray(z), np.asarray(df)))
        return float((critical + stdtrit(df, power)) * np.sqrt(variance))

    def power(self, difference: float, items: float, seeds: int, z: float) -> float:
        """Return the chance of finding a true difference: the tail of the noncentral t distribution on its side."""
        variance, df = self.variance(items, seeds)
        critical = float(t_score(np.asarray(z), np.asarray(df)))
        return float(1 - nctdtr(df, difference / np.sqrt(variance), critical))

    def half_width(self, items: float, seeds: int, z: float) -> float:
        """Return half the width of the simultaneous interval."""
        variance, df = self.variance(items, seeds)
        return float(t_score(np.asarray(z), np.asarray(df)) * np.sqrt(variance))

    def with_seed_sd(self, deviation: float) -> "Components":
        """Return the components with this standard deviation of seeds."""
        return replace(self, seeds=deviation**2)


def components_of(model: Crossed, linear: Array, items: int) -> Components:
    """Return what the variance of one contrast [entry] is made of, by moments.

    Without several adapters of a mix, noise cannot be separated from what is fixed: all of it is taken as fixed.
    """
    is_mix = np.array([entry.kind == "mix" for entry in model.entries])
    counts = np.array([len(entry.members) for entry in model.entries])
    estimated_items = float(linear @ model.items @ linear)
    share = float((linear**2 * is_mix / counts).sum())
    sides = float((linear**2 * is_mix).sum())
    backbone = next((e.backbone for e, weight in zip(model.entries, linear, strict=True) if weight and e.backbone), "")
    mixes = sum(entry.kind == "mix" and entry.backbone == backbone for entry in model.entries)
    seeds = model.seeds.get(backbone)
    noise = 0.0 if seeds is None else float(seeds.noise)
    return Components(
        items,
        max(0.0, estimated_items - share * noise),
        noise,
        seeds=None if seeds is None else float(seeds.variance),
        sides=sides,
        df_items=model.df_items,
        mixes=mixes,
    )


def seeds_that_settle(
    components: Components, target: float, seeds: int, critical: float, df: float, power: float
) -> int | None:
    """Return how many seeds of each mix would find a difference with these items; None where none do.

    Args:
        target: the difference.
        seeds: the present number.
        critical, df: of the family as it is.
    """
    if components.seeds is None or components.sides == 0:
        return None
    z = float(z_score(np.asarray(critical), np.asarray(df)))
    for more in range(max(seeds + 1, 2), _MOST_SEEDS + 1):
        if components.detectable(components.items, more, z, power) <= target:
            return more
    return None


def items_that_settle(
    components: Components, target: float, seeds: int, critical: float, df: float, power: float
) -> int | None:
    """Return how many items would find a difference with these seeds; None where no number does."""
    z = float(z_score(np.asarray(critical), np.asarray(df)))
    low, high = components.items, components.items * _MOST_TIMES
    if target <= 0 or components.detectable(high, seeds, z, power) > target:
        return None
    while high - low > max(1, low // 1000):
        middle = (low + high) // 2
        low, high = (low, middle) if components.detectable(middle, seeds, z, power) <= target else (middle, high)
    return high
