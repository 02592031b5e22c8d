"""The crossed model behind every verdict: score ~ mix + item (within case) + mix × seed + residual, by moments.

On the full grid of items × adapters the moments are exact. With y̅ the values of the adapters,

- V, their covariance over draws of items (the sandwich over clusters within strata), holds the variance of items, of
  mix × item and of the residual: everything that more questions would reduce;
- S², the mean over mixes of the variance between adapters of one mix, estimates σ² + R: the variance of seeds, and
  what the residual adds to it, R, which is known from V;
- a linear combination c of adapters, whose weights sum to w² over seeds, has the variance c'Vc + w² max(0, S² − R).

This is the analysis of variance of Searle, Casella and McCulloch 1992, section 4.3, with V in place of the mean squares
over items, so that clusters and strata count. Arrays may have leading axes (simulated studies), which are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from posologie.statistics.entries import Entry, seed_term

Array = NDArray[np.float64]

FEW_ANSWERS = 5
"""Right or wrong answers of an adapter below which its differences are sparse."""
NOTHING = 1e-24
"""Variances below it are rounding."""
FEWEST_SEED_DF = 2
"""Below it seeds say too little of their variance: a single pair of adapters is no estimate."""


class Moments(NamedTuple):
    """What items say of the values of some models.

    Attributes:
        point: [..., model], values.
        covariance: [..., model, model], over draws of items, for these models as they are.
        df: degrees of freedom of the covariance: from the number of equal clusters, less one a stratum.
    """

    point: Array
    covariance: Array
    df: float


class Seeds(NamedTuple):
    """What the adapters of one backbone say of training seeds, pooled over mixes.

    Attributes:
        between: [...], S², the variance between adapters of one mix.
        noise: [...], R, what items contribute to it.
        df: mixes' seeds less one each.
    """

    between: Array
    noise: Array
    df: int

    @property
    def variance(self) -> Array:
        """[...], of seeds, net of items; 0 where adapters differ by no more than items explain."""
        return np.maximum(self.between - self.noise, 0.0)


class Estimated(NamedTuple):
    """A linear combination of values: [...] each.

    Attributes:
        seeds: the part of the variance that seeds add to that of items.
    """

    value: Array
    variance: Array
    df: Array
    seeds: Array = np.zeros(())

    @property
    def error(self) -> Array:
        """Standard error."""
        return np.sqrt(self.variance)


def covariance_of(influence: Array, weights: Array, strata: Sequence[slice]) -> tuple[Array, float]:
    """Return [..., model, model], the covariance of values over draws of clusters, and its degrees of freedom.

    Σ_h n_h / (n_h − 1) Σ_c (e_c − e̅_h)(e_c − e̅_h)', which is the bootstrap's but for n_h / (n_h − 1) (Davison and
    Hinkley 1997, section 3.8). A stratum with one cluster of the cell lends its distance from the whole instead (Lumley
    2010, section 3.2.1). With G* = (Σ w²)² / Σ w⁴ equal clusters (Satterthwaite 1946) in H strata of several
    clusters, df = G* − H.

    Args:
        influence: [..., cluster, model], what each cluster adds to the value, less its share of the value.
        weights: [cluster], each cluster's weight in the value; clusters without weight are outside the cell.
        strata: ranges of clusters.
    """
    total = np.zeros((*influence.shape[:-2], influence.shape[-1], influence.shape[-1]))
    several = 0
    for stratum in strata:
        inside = np.flatnonzero(weights[stratum] > 0)
        if not len(inside):
            continue
        own = influence[..., stratum, :]
        own = own if len(inside) == own.shape[-2] else own[..., inside, :]
        factor = 1.0
        if len(inside) > 1:
            several += 1
            factor = len(inside) / (len(inside) - 1)
            own = own - own.mean(axis=-2, keepdims=True)
        total += factor * (np.swapaxes(own, -1, -2) @ own)
    squares = weights**2
    equal = float(squares.sum() ** 2 / (squares**2).sum())
    return total, max(1.0, equal - max(1, several))


def seeds_of(moments: Moments, mixes: Sequence[Sequence[int]]) -> Seeds | None:
    """Return what several adapters of each mix say of seeds; None with fewer than two degrees of freedom.

    Args:
        mixes: the models of each mix, of one backbone.
    """
    several = [list(models) for models in mixes if len(models) > 1]
    df = sum(len(models) - 1 for models in several)
    if df < FEWEST_SEED_DF:
        return None
    between = np.zeros(moments.point.shape[:-1])
    noise = np.zeros(moments.point.shape[:-1])
    for models in several:
        own = moments.point[..., models]
        between = between + ((own - own.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)
        # Items alone give adapters with the covariance B a sum of squares about their mean of tr B − 1'B1 / k.
        block = moments.covariance[..., models, :][..., models]
        diagonal = np.trace(block, axis1=-2, axis2=-1)
        noise = noise + diagonal - block.sum(axis=(-2, -1)) / len(models)
    return Seeds(between / df, np.maximum(noise, 0.0) / df, df)


def total_variance(items: Array, share: Array, seeds: Seeds | None, df_items: float) -> tuple[Array, Array]:
    """Return [...], the variance of a linear combination of mixes' values, and its degrees of freedom.

    1 / df = (V_items / V)² / df_items + g(f) / df_seeds, where f = share × S² / V is what S² makes up of the variance,
    and g is `seed_term`: Satterthwaite's f² (1946), and more where few seeds may have a small S² by chance.

    Args:
        items: [...], c'Vc.
        share: [...], Σ over mixes of weight² / seeds; 0 takes the adapters as they are.
    """
    if seeds is None:
        return items, np.full(np.shape(items), float(df_items))
    variance = items + share * seeds.variance
    with np.errstate(invalid="ignore", divide="ignore"):
        term = np.where(share > 0, seed_term(share * seeds.between / variance, seeds.df), 0.0)
        df = 1 / ((items / variance) ** 2 / df_items + term / seeds.df)
    return variance, np.where(variance > 0, df, df_items)


@dataclass(frozen=True)
class Crossed:
    """The model of one cell, over what a table has rows for.

    Attributes:
        entries: models, and mixes over their seeds.
        point: [..., entry].
        items: [..., entry, entry], covariance over draws of items.
        df_items: degrees of freedom of `items`.
        share: [entry], 1 / seeds where seeds are drawn; 0 where the adapters are taken as they are.
        seeds: by backbone, if several adapters of a mix determine the variance of seeds.
        floor: [..., entry], what is added to the variance of differences for adapters with few right or wrong answers.
        bounded: the values are means of scores between 0 and 1.
    """

    entries: tuple[Entry, ...]
    point: Array
    items: Array
    df_items: float
    share: Array
    seeds: dict[str, Seeds]
    floor: Array
    bounded: bool = False

    def of(self, linear: Array) -> Estimated:
        """Return a linear combination [entry] of values, or several: [combination, entry] gives [..., combination].

        The entries with weight are of one backbone, or their models have no seeds.
        """
        linear = np.asarray(linear, dtype=float)
        if linear.ndim == 1:
            combined = self.of(linear[None])
            return Estimated(*(array[..., 0] for array in combined))
        items = np.einsum("...pj,pj->...p", linear @ self.items, linear)
        items = np.where(items > NOTHING, items + self.floor @ (linear**2).T, 0.0)
        variance, df = items, np.full(items.shape, float(self.df_items))
        for backbone, seeds in self.seeds.items():
            drawn, share = self.drawn(linear, backbone)
            broadcast = Seeds(seeds.between[..., None], seeds.noise[..., None], seeds.df)
            with_seeds, df_with_seeds = total_variance(items, share, broadcast, self.df_items)
            variance, df = np.where(drawn, with_seeds, variance), np.where(drawn, df_with_seeds, df)
        return Estimated(self.point @ linear.T, variance, df, variance - items)

    def drawn(self, linear: Array, backbone: str) -> tuple[NDArray[np.bool_], Array]:
        """Return [combination], whether it draws seeds of a backbone, and Σ weight² / seeds."""
        here = np.array([entry.backbone == backbone for entry in self.entries])
        share = linear**2 @ (self.share * here)
        return share > 0, share

    def is_recipe(self, linear: Array) -> bool:
        """Say whether a combination speaks of recipes: every mix in it has its seeds drawn."""
        return all(
            entry.kind != "mix" or share > 0
            for entry, weight, share in zip(self.entries, linear, self.share, strict=True)
            if weight != 0
        )


def crossed(
    moments: Moments,
    entries: Sequence[Entry],
    arms: Sequence[Entry],
    *,
    single_adapters: bool = False,
    sparse_items: int = 0,
) -> Crossed:
    """Return the model over entries.

    Args:
        entries: what a table has rows for.
        arms: the study's arms (`arm_entries`), from whose adapters the variance of seeds is pooled.
        single_adapters: an entry of one adapter is that adapter, and not its mix.
        sparse_items: number of items of a mean of scores between 0 and 1 whose differences are looked at. An adapter
            with fewer than five right or wrong answers gets 1 / (2 items²) more variance: half an answer more on either
            side, as Agresti and Min (2005) add to the paired table. Few answers may all be alike by chance.
    """
    trained = [entry for entry in arms if entry.kind == "mix"]
    known = {
        backbone: seeds_of(moments, [entry.members for entry in trained if entry.backbone == backbone])
        for backbone in dict.fromkeys(entry.backbone for entry in trained)
    }
    seeds = {backbone: estimate for backbone, estimate in known.items() if estimate is not None}
    whole = {entry.members for entry in trained}
    average = np.zeros((len(entries), moments.point.shape[-1]))
    share = np.zeros(len(entries))
    for place, entry in enumerate(entries):
        average[place, list(entry.members)] = 1 / len(entry.members)
        is_mix = entry.members in whole and not (single_adapters and len(entry.members) == 1)
        if is_mix and entry.backbone in seeds:
            share[place] = 1 / len(entry.members)
    floor = np.zeros(moments.point.shape)
    if sparse_items:
        few = np.minimum(moments.point, 1 - moments.point) * sparse_items < FEW_ANSWERS
        floor = np.where(few, 0.5 / sparse_items**2, 0.0)
    return Crossed(
        entries=tuple(entries),
        point=moments.point @ average.T,
        items=average @ moments.covariance @ average.T,
        df_items=moments.df,
        share=share,
        seeds=seeds,
        floor=floor @ (average**2).T,
        bounded=sparse_items > 0,
    )


def p_value(estimated: Estimated, null: float = 0.0) -> Array:
    """Return [...], the two-sided p-value of the t-test that the combination is `null`; NaN without variance."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.abs(estimated.value - null) / estimated.error
    p: Array = 2 * stdtr(estimated.df, -np.where(estimated.variance > NOTHING, ratio, np.nan))
    return p


def t_interval(estimated: Estimated, level: float) -> tuple[Array, Array]:
    """Return Student's interval, [...] each."""
    half = stdtrit(estimated.df, (1 + level) / 2) * estimated.error
    return estimated.value - half, estimated.value + half


def share_interval(estimated: Estimated, level: float, items: int = 0) -> tuple[Array, Array]:
    """Return the interval of a mean of scores between 0 and 1, [...] each: Wilson's, with the design effect.

    Wilson's score interval (Wilson 1927) with Student's quantile and n* = p (1 − p) / variance, the number of
    independent items that would give this variance (Korn and Graubard 1998; Franco et al. 2019): the variance shrinks
    with p (1 − p) towards the edges, as that of right answers does. That of seeds need not, because it is pooled over
    mixes that lie elsewhere: the interval also holds every share that the variance of seeds as it is allows.

    Args:
        items: where there are few clusters, the number of items: with fewer than five right or wrong answers, which
            cannot show how far clusters and adapters agree, n* is at most this.
    """
    if items:
        alone = estimated.value * (1 - estimated.value) / items
        few = estimated.value * (1 - estimated.value) * items < FEW_ANSWERS
        estimated = estimated._replace(
            variance=np.where(few, np.maximum(estimated.variance, alone), estimated.variance)
        )
    p, t2 = estimated.value, stdtrit(estimated.df, (1 + level) / 2) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        per_item = p * (1 - p)
        low, high = wilson_bounds(p, estimated.variance / per_item, t2)
    if np.any(estimated.seeds > 0):
        seeds = np.clip(estimated.seeds, 0.0, estimated.variance)
        with np.errstate(invalid="ignore", divide="ignore"):
            wider = wilson_bounds(p, (estimated.variance - seeds) / per_item, t2, seeds)
        low, high = np.minimum(low, wider[0]), np.maximum(high, wider[1])
    return np.maximum(low, 0.0), np.minimum(high, 1.0)


def wilson_bounds(p: Array, inverse: Array, t2: Array, fixed: Array | float = 0.0) -> tuple[Array, Array]:
    """Return the shares q for which (p − q)² = t² (q (1 − q) / n + fixed), the lower and the higher.

    Args:
        inverse: 1 / n.
        t2: square of the quantile.
        fixed: variance that does not shrink towards the edges.
    """
    centre = (p + t2 * inverse / 2) / (1 + t2 * inverse)
    half = np.sqrt(t2 * (p * (1 - p) * inverse + t2 * inverse**2 / 4 + (1 + t2 * inverse) * fixed)) / (1 + t2 * inverse)
    return centre - half, centre + half
