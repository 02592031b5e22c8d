"""Several comparisons at once: max-T, comparisons with the best, what the best is worth, by draws of the model.

The draws are those of a parametric bootstrap of the model: values of entries from their covariance over items and
seeds, the variance of items and S² from their own distributions, and from these the statistics as they are computed
from data. So the maximum over a family knows how its members hang together, and how little few seeds say.

The largest of many statistics depends on the variance of seeds, which is not known: where S² is small by chance, and
most of all where it is no larger than what items explain, draws at the estimate are too small for the data at hand. So
families are drawn at the upper end of the variance's confidence interval, where their largest statistic is largest (a
nuisance parameter's confidence set: Berger and Boos 1994).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtr, ndtri, stdtr, stdtrit

from posologie.statistics.crossed import NOTHING, Array, Crossed, Estimated, Seeds, total_variance
from posologie.statistics.draws import generator

_KNOWN = 1000
"""Degrees of freedom from which the variance of items is as good as known."""
_BATCH = 1000
SEEDS_LEVEL = 0.9
"""Level of the one-sided interval for the variance of seeds at whose end families are drawn: at it the size of all
pairs of seven mixes is 5 % or less whatever that variance is (tests/benchmarks/statistics_coverage.py), and that of the
comparisons with base is hardly lower than at the estimate."""


def z_score(ratio: Array, df: Array) -> Array:
    """Return Student's t on the scale of the normal distribution (Wallace 1959); `t_score` is the inverse.

    So members with different degrees of freedom can be compared.
    """
    z: Array = np.sign(ratio) * np.sqrt(df * np.log1p(ratio**2 / df)) * (8 * df + 1) / (8 * df + 3)
    return z


def t_score(z: Array, df: Array) -> Array:
    """Return the t whose `z_score` is z."""
    t: Array = np.sign(z) * np.sqrt(df * np.expm1((z * (8 * df + 3) / (8 * df + 1)) ** 2 / df))
    return t


@dataclass(frozen=True)
class Family:
    """Linear combinations that are judged together.

    Attributes:
        estimated: [member].
        scores: [member, replicate], their z-scores under the hypothesis that each is 0; a member without variance has
            none (all 0).
    """

    estimated: Estimated
    scores: Array

    def p_values(self) -> Array:
        """Return [member], two-sided, corrected by the distribution of the maximum (max-T, single step)."""
        return self._corrected(np.abs(self._observed(0.0)), np.abs(self.scores).max(axis=0), 2)

    def p_above(self, bound: Array | float) -> Array:
        """Return [member], one-sided, corrected, of the hypothesis that the combination is at most `bound`."""
        return self._corrected(self._observed(bound), self.scores.max(axis=0), 1)

    def p_below(self, bound: Array | float) -> Array:
        """Return [member], one-sided, corrected, of the hypothesis that the combination is at least `bound`."""
        return self._corrected(-self._observed(bound), -self.scores.min(axis=0), 1)

    def critical(self, level: float, *, two_sided: bool = True) -> Array:
        """Return [member], the critical t of simultaneous intervals; never below the pointwise one."""
        largest = np.abs(self.scores).max(axis=0) if two_sided else self.scores.max(axis=0)
        pointwise = stdtrit(self.estimated.df, (1 + level) / 2 if two_sided else level)
        if len(pointwise) == 1:
            return np.asarray(pointwise)
        ordered = np.sort(largest)
        fewest = int(np.ceil((1 - level) * (1 + len(ordered)) - 1)) - 1  # draws that may lie beyond, as in the p-values
        joint = t_score(np.asarray(ordered[len(ordered) - 1 - max(fewest, 0)]), self.estimated.df)
        critical: Array = np.maximum(joint, pointwise)
        return critical

    def _observed(self, bound: Array | float) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = (self.estimated.value - bound) / self.estimated.error
        return z_score(np.where(self.estimated.variance > NOTHING, ratio, np.nan), self.estimated.df)

    def _corrected(self, observed: Array, largest: Array, sides: int) -> Array:
        alone = sides * stdtr(self.estimated.df, -t_score(observed, self.estimated.df))
        if len(alone) == 1:
            single: Array = np.minimum(1.0, alone)
            return single
        # The observed statistic counts as one of the draws, so no p-value is 0 (Davison and Hinkley 1997, section 4.2).
        ordered = np.sort(largest)
        reached = len(ordered) - np.searchsorted(ordered, observed - 1e-12, side="left")
        joint = (1 + reached) / (1 + len(ordered))
        return np.where(np.isnan(observed), np.nan, np.minimum(1.0, np.maximum(joint, alone)))


def family(model: Crossed, linear: Array, replicates: int, seed: int) -> Family:
    """Return a family of combinations [member, entry] of one model, without leading axes."""
    linear = np.asarray(linear, dtype=float)
    estimated = model.of(linear)
    # Each draw has its own values and its own standard error, as another study would have.
    values, between = draw_model(model, replicates, seed, seeds_level=SEEDS_LEVEL)
    items = np.einsum("pj,pj->p", linear @ model.items, linear)
    items = np.where(items > NOTHING, items + linear**2 @ model.floor, 0.0)
    variance = _item_variances(model, linear, items, replicates, seed)
    df = np.full(variance.shape, float(model.df_items))
    for backbone, seeds in model.seeds.items():
        drawn, share = model.drawn(linear, backbone)
        if drawn.any():
            again = Seeds(between[backbone], seeds.noise, seeds.df)
            variance[drawn], df[drawn] = total_variance(variance[drawn], share[drawn, None], again, model.df_items)
    scores = z_score(linear @ values / np.sqrt(np.maximum(variance, NOTHING)), df)
    scores[estimated.variance <= NOTHING] = 0.0
    return Family(estimated, scores)


def draw_model(
    model: Crossed, replicates: int, seed: int, *, seeds_level: float | None = None
) -> tuple[Array, dict[str, Array]]:
    """Return [entry, replicate] values around 0, and [replicate] S² by backbone.

    Args:
        seeds_level: draw at the upper end of the one-sided interval of the variance of seeds with this level; at its
            estimate if left out.
    """
    variances = {backbone: float(seeds_variance(seeds, seeds_level)) for backbone, seeds in model.seeds.items()}
    count = len(model.entries)
    normal = _normal(2 * count, replicates, seed)
    values = _root(model) @ normal[:count]
    deviation = np.zeros(count)
    for place, entry in enumerate(model.entries):
        if model.share[place] > 0:
            deviation[place] = np.sqrt(variances[entry.backbone] * model.share[place])
    moved = deviation[:, None] * normal[count:]
    numbers = generator(seed, "variances")
    between = {
        backbone: (variances[backbone] + seeds.noise)
        * numbers.standard_gamma(seeds.df / 2, replicates)
        / (seeds.df / 2)
        for backbone, seeds in model.seeds.items()
    }
    for backbone, variance in variances.items():
        here = [place for place, entry in enumerate(model.entries) if model.share[place] and entry.backbone == backbone]
        if model.bounded and _reach_an_edge(model.point[here], variance):
            adapters = [_skewed(model, place, variance, replicates, seed) for place in here]
            moved[here] = [deviations.mean(axis=0) for deviations in adapters]
            # S² goes with the adapters' values, if these are all the adapters that it is pooled over.
            if sum(len(deviations) - 1 for deviations in adapters) == model.seeds[backbone].df:
                between[backbone] = _between(adapters, float(model.seeds[backbone].noise), seed)
    return values + moved, between


def _reach_an_edge(point: Array, variance: float) -> bool:
    """Say whether scores of adapters, two standard deviations of seeds from a mix's, would lie outside 0 to 1."""
    return variance > 0 and bool((np.minimum(point, 1 - point) < 2 * np.sqrt(variance)).any())


def _skewed(model: Crossed, place: int, variance: float, replicates: int, seed: int) -> Array:
    """Return [adapter, replicate], how far adapters lie from their mix: beta-distributed, as shares near an edge."""
    count = round(1 / model.share[place])
    # Two variances from the edge there is always a beta distribution with this mean and variance.
    mean = float(np.clip(model.point[place], 2 * variance, 1 - 2 * variance)) if variance < 0.2 else 0.5
    whole = max(mean * (1 - mean) / variance - 1, 0.1)
    numbers = generator(seed, "skewed seeds", str(place))
    deviations: Array = numbers.beta(mean * whole, (1 - mean) * whole, (count, replicates)) - mean
    return deviations


def _between(adapters: Sequence[Array], noise: float, seed: int) -> Array:
    """Return [replicate], S² of adapters that differ by seeds and by what items contribute."""
    numbers = generator(seed, "skewed S²")
    total, df = np.zeros(adapters[0].shape[1]), 0
    for own in adapters:
        observed = own + np.sqrt(noise) * numbers.standard_normal(own.shape)
        total += ((observed - observed.mean(axis=0)) ** 2).sum(axis=0)
        df += len(own) - 1
    return total / df


def seeds_variance(seeds: Seeds, level: float | None = None) -> Array:
    """Return the variance of seeds, or the upper end of its one-sided interval: df S² / χ² − R, at least 0."""
    if level is None:
        return seeds.variance
    upper: Array = np.maximum(seeds.between * (seeds.df / 2) / gammaincinv(seeds.df / 2, 1 - level) - seeds.noise, 0.0)
    return upper


def _root(model: Crossed) -> Array:
    """Return [entry, entry], a square root of the covariance over items."""
    roots, axes = np.linalg.eigh(model.items + np.diag(model.floor))
    root: Array = axes * np.sqrt(np.maximum(roots, 0.0))
    return root


def _item_variances(model: Crossed, linear: Array, items: Array, replicates: int, seed: int) -> Array:
    """Return [member, replicate], the variance of items as another draw of items would estimate it.

    The whole covariance is drawn, from Wishart's distribution, because each member's variance errs on its own.

    Args:
        items: [member], the variance.
    """
    if model.df_items >= _KNOWN:
        return np.repeat(items[:, None], replicates, axis=1)
    # With V = RR' and F'F a Wishart draw around the identity, |F R'c|² is a draw of the estimate of c'Vc.
    factors = _wishart(len(model.entries), float(model.df_items), replicates, seed)
    turned = (linear @ _root(model)).T
    variance = np.empty((len(linear), replicates))
    for start in range(0, replicates, _BATCH):
        drawn = factors[start : start + _BATCH] @ turned  # [replicate, …, member]
        variance[:, start : start + _BATCH] = (drawn**2).sum(axis=1).T
    return variance


@lru_cache(maxsize=2)
def _wishart(count: int, df: float, replicates: int, seed: int) -> NDArray[np.float64]:
    """Return [replicate, …, entry], factors F with F'F of Wishart's distribution around the identity.

    By Bartlett's decomposition (1933); with fewer degrees of freedom than entries, by that number of normal vectors.
    """
    numbers = generator(seed, "wishart")
    if df <= count:
        vectors = max(1, round(df))
        factors: NDArray[np.float64] = numbers.standard_normal((replicates, vectors, count)) / np.sqrt(vectors)
    else:
        factors = np.triu(numbers.standard_normal((replicates, count, count)), 1)
        for place in range(count):
            factors[:, place, place] = np.sqrt(2 * numbers.standard_gamma((df - place) / 2, replicates))
        factors /= np.sqrt(df)
    factors.flags.writeable = False
    return factors


@lru_cache(maxsize=4)
def _normal(rows: int, replicates: int, seed: int) -> NDArray[np.float64]:
    numbers = generator(seed, "simultaneous", str(rows)).standard_normal((rows, replicates))
    numbers.flags.writeable = False
    return numbers


def differences(pairs: Sequence[tuple[int, int]], count: int) -> Array:
    """Return [pair, entry], left − right of each pair."""
    linear = np.zeros((len(pairs), count))
    for place, (left, right) in enumerate(pairs):
        linear[place, left] += 1
        linear[place, right] -= 1
    return linear


@dataclass(frozen=True)
class Best:
    """Which of several mixes may be the best, and by how much each may be worse or better than the best other one.

    Attributes:
        chosen: the mix with the highest value, a place among the mixes.
        in_set: [mix], whether it cannot be distinguished from the best.
        low, high: [mix], simultaneous bounds of its value less the best other's.
    """

    chosen: int
    in_set: NDArray[np.bool_]
    low: Array
    high: Array


def compare_with_best(value: Array, pairs: Sequence[tuple[int, int]], members: Family, level: float) -> Best:
    """Return multiple comparisons with the best (Hsu 1984; with unequal variances, Edwards and Hsu 1983).

    With d_i the quantile of the maximum over j of the one-sided statistics of i − j, mix i is in the set if
    min_j (y_i − y_j + d_i s_ij) > 0. The set holds the true best at the level, and so do all bounds together.

    Args:
        value: [mix].
        pairs: every pair of mixes once; `members` is their family.
    """
    count = len(value)
    gap = np.full((count, count), np.nan)  # [one, other], one − other
    half = np.zeros((count, count))  # [control, other], d of the control × s
    for mix in range(count):
        mine = [place for place, pair in enumerate(pairs) if mix in pair]
        # The family has each pair once; the sign turns it into this mix less the other.
        signs = np.array([1.0 if pairs[place][0] == mix else -1.0 for place in mine])
        others = [pairs[place][1] if pairs[place][0] == mix else pairs[place][0] for place in mine]
        own = Family(Estimated(*(array[mine] for array in members.estimated)), members.scores[mine] * signs[:, None])
        gap[mix, others] = signs * own.estimated.value
        half[mix, others] = own.critical(level, two_sided=False) * own.estimated.error
    upper = np.nanmin(gap + half, axis=1)
    in_set = upper > 0
    chosen = int(np.argmax(value))
    in_set[(gap >= 0).sum(axis=1) == count - 1] = True  # no other is better: ties without variance
    low = np.zeros(count)
    # Only mixes of the set can be the best other one.
    for mix in range(count):
        rivals = [rival for rival in np.flatnonzero(in_set) if rival != mix]
        low[mix] = min((min(0.0, gap[mix, rival] - half[rival, mix]) for rival in rivals), default=0.0)
    return Best(chosen, in_set, low, np.maximum(upper, 0.0))


_STEPS = 40
"""Halvings of the search for the tails."""


class Corrected(NamedTuple):
    """The corrected value of the chosen one, with its interval; both bounds are None where nothing varies."""

    value: float
    low: float | None
    high: float | None


def corrected_best(members: Family, covariance: Array, level: float) -> Corrected:
    """Return an estimate and an interval for the mean behind the highest value.

    The estimate is the empirical Bayes one (Efron and Morris 1973), which choosing does not bias (Efron 2011): the
    value, drawn towards the mean of all mixes by the part of their spread that noise explains.

    The interval reaches down as far as the largest of all errors may lie above its mean, and up as far as one error may
    lie below: what was chosen errs upwards at least as far as the true best does, because it came out above it. Both
    tails are as large as they may be for the level to hold where all means are equal and where one stands alone.

    Args:
        members: the mixes' values.
        covariance: [mix, mix], of the values.
        level: of the interval.
    """
    value, count = members.estimated.value, len(members.estimated.value)
    chosen = int(np.argmax(value))
    if members.estimated.variance[chosen] <= NOTHING:
        return Corrected(float(value[chosen]), None, None)
    mean = float(value.mean())
    spread = float(((value - mean) ** 2).sum()) / (count - 1)
    noise = float(np.trace(covariance) - covariance.sum() / count) / (count - 1)
    drawn = mean + max(0.0, 1 - noise / spread) * (float(value[chosen]) - mean) if spread > 0 else mean
    down, up = _reaches(members, chosen, level)
    error, df = float(members.estimated.error[chosen]), members.estimated.df[chosen]
    low, high = (float(value[chosen] + sign * t_score(np.asarray(z), df) * error) for sign, z in ((-1, down), (1, up)))
    return Corrected(min(max(drawn, low), high), low, high)


def _reaches(members: Family, chosen: int, level: float) -> tuple[float, float]:
    """Return how far the interval reaches down and up, in z-scores."""
    ordered = np.sort(members.scores.max(axis=0))
    own = np.sort(members.scores[chosen])
    draws = len(ordered)

    def reaches(tail: float) -> tuple[float, float]:
        alone = -float(ndtri(tail))
        largest = float(np.interp((1 - tail) * (draws - 1), np.arange(draws), ordered))  # the quantile of sorted draws
        return max(largest, alone), alone

    # Bisection for the largest tail on either side that keeps the level.
    low, high = (1 - level) / 2, 1 - level
    for _ in range(_STEPS):
        tail = (low + high) / 2
        down, up = reaches(tail)
        equal = tail + np.searchsorted(ordered, -up) / draws
        single = max(1 - np.searchsorted(own, down) / draws, float(ndtr(-down))) + tail
        low, high = (tail, high) if max(equal, single) <= 1 - level else (low, tail)
    return reaches(low)
