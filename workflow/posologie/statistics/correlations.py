"""Agreement of two raters or rankings, for many weightings of the answers at once.

Every function on answers takes integer weights [draw, answer], how often each answer occurs in a draw, and returns one
value a draw: with weights of one it is the plain statistic, with the counts of a bootstrap draw that of the resample.
NaN where the statistic is undefined in a draw (a constant rating has no correlation: it is undefined, not 0).

The difference of two correlations that share a variable, by Steiger's test and Zou's interval, is for parity: both
assume independent answers and normal ratings; the paired cluster bootstrap assumes neither.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri


def kendall_tau(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Kendall's τ-b (Kendall 1945) of two rankings along the last axis.

    Args:
        first, second: [..., n].

    Returns:
        [...]; NaN where one of them is constant.
    """
    left, right = np.triu_indices(first.shape[-1], 1)
    signs = [np.sign(values[..., left] - values[..., right]) for values in (first, second)]
    agreement = (signs[0] * signs[1]).sum(axis=-1)
    untied = [np.abs(sign).sum(axis=-1) for sign in signs]
    with np.errstate(invalid="ignore", divide="ignore"):
        tau: NDArray[np.float64] = agreement / np.sqrt(untied[0] * untied[1])
    return tau


def steiger_p(first: float, second: float, between: float, count: int) -> float:
    """Return the two-sided p-value of Steiger's test with Fisher's z and pooled correlations (Steiger 1980, Z̄₁*).

    Args:
        first, second: correlations of two raters with the same third one.
        between: correlation of the two raters with each other.
        count: number of answers.
    """
    pooled = (first + second) / 2
    covariance = between * (1 - 2 * pooled**2) - 0.5 * pooled**2 * (1 - 2 * pooled**2 - between**2)
    share = covariance / (1 - pooled**2) ** 2
    z = (math.atanh(first) - math.atanh(second)) * math.sqrt(count - 3) / math.sqrt(2 - 2 * share)
    return float(2 * ndtr(-abs(z)))


def zou_interval(first: float, second: float, between: float, count: int, level: float) -> tuple[float, float]:
    """Return the interval of first − second (Zou 2007, equations 11 to 13), from Fisher's intervals of the two."""
    half = float(ndtri((1 + level) / 2)) / math.sqrt(count - 3)
    (low_1, high_1), (low_2, high_2) = (
        (math.tanh(math.atanh(correlation) - half), math.tanh(math.atanh(correlation) + half))
        for correlation in (first, second)
    )
    shared = (between - 0.5 * first * second) * (1 - first**2 - second**2 - between**2) + between**3
    shared /= (1 - first**2) * (1 - second**2)
    down, up = first - low_1, high_1 - first
    low = first - second - math.sqrt(down**2 + (high_2 - second) ** 2 - 2 * shared * down * (high_2 - second))
    high = first - second + math.sqrt(up**2 + (second - low_2) ** 2 - 2 * shared * up * (second - low_2))
    return low, high


Values = NDArray[np.float64]
Statistic = Callable[[Values, Values, Values], Values]


def pearson(first: Values, second: Values, weights: Values) -> Values:
    """Return Pearson's product-moment correlation."""
    return _correlation(np.broadcast_to(first, weights.shape), np.broadcast_to(second, weights.shape), weights)


def spearman(first: Values, second: Values, weights: Values) -> Values:
    """Return Spearman's rank correlation: Pearson's of the mid-ranks within each draw (Spearman 1904)."""
    return _correlation(mid_ranks(first, weights), mid_ranks(second, weights), weights)


def kendall(first: Values, second: Values, weights: Values) -> Values:
    """Return Kendall's τ-b (Kendall 1945)."""
    signs = [np.sign(values[:, None] - values[None, :]) for values in (first, second)]
    agreement = _pairs(signs[0] * signs[1], weights)
    untied = [_pairs(np.abs(sign), weights) for sign in signs]
    return _divide(agreement, np.sqrt(untied[0] * untied[1]))


def accuracy(human: Values, label: Values, weights: Values) -> Values:
    """Return the share of equal labels."""
    return _divide(weights @ (human == label), weights.sum(axis=1))


def f1(human: Values, label: Values, weights: Values) -> Values:
    """Return F1 of the label 1, which people's label 1 is the truth of; undefined where neither gives it."""
    both = weights @ ((human == 1) & (label == 1)).astype(float)
    return _divide(2 * both, weights @ (human == 1).astype(float) + weights @ (label == 1).astype(float))


def kappa(human: Values, label: Values, weights: Values) -> Values:
    """Return Cohen's κ (Cohen 1960); undefined where both raters give one and the same label throughout."""
    total = weights.sum(axis=1)
    observed = _divide(weights @ (human == label), total)
    shares = [_divide(weights @ (rater == 1), total) for rater in (human, label)]
    expected = shares[0] * shares[1] + (1 - shares[0]) * (1 - shares[1])
    return _divide(observed - expected, 1 - expected)


def auc(human: Values, score: Values, weights: Values) -> Values:
    """Return the area under the ROC curve: the share of (right, wrong) pairs in order, ties counting half."""
    right, wrong = human == 1, human == 0
    above = 0.5 * (1 + np.sign(score[right][:, None] - score[wrong][None, :]))
    ordered = ((weights[:, right] @ above) * weights[:, wrong]).sum(axis=1)
    return _divide(ordered, weights[:, right].sum(axis=1) * weights[:, wrong].sum(axis=1))


CORRELATIONS: dict[str, Statistic] = {"pearson": pearson, "spearman": spearman, "kendall": kendall}
"""Of two ratings."""

OF_SCORES: dict[str, Statistic] = {"auc": auc}
"""Of people's label and a score."""

OF_LABELS: dict[str, Statistic] = {"accuracy": accuracy, "f1": f1, "kappa": kappa}
"""Of people's label and another label."""


def partial_spearman(first: Values, second: Values, control: Values, weights: Values) -> Values:
    """Return Spearman's partial correlation of two ratings given a third."""
    ranks = [mid_ranks(values, weights) for values in (first, second, control)]
    between = _correlation(ranks[0], ranks[1], weights)
    with_first, with_second = (_correlation(rank, ranks[2], weights) for rank in ranks[:2])
    return _divide(between - with_first * with_second, np.sqrt((1 - with_first**2) * (1 - with_second**2)))


def mid_ranks(values: Values, weights: Values) -> Values:
    """Return [draw, answer], the mid-rank of each answer's value among the answers of a draw."""
    _, group = np.unique(values, return_inverse=True)
    held = np.zeros((len(weights), int(group.max()) + 1))
    for place, code in enumerate(group):
        held[:, code] += weights[:, place]
    ranks: Values = (np.cumsum(held, axis=1) - held + (held + 1) / 2)[:, group]
    return ranks


def _correlation(first: Values, second: Values, weights: Values) -> Values:
    total = weights.sum(axis=1)
    centred = [values - (_divide((weights * values).sum(axis=1), total))[:, None] for values in (first, second)]
    spread = [(weights * values**2).sum(axis=1) for values in centred]
    size = [np.maximum((weights * values**2).sum(axis=1), 1e-300) for values in (first, second)]
    # Rounding leaves a constant rating a spread of about 1e-32 of its size: that is none.
    flat = (spread[0] <= 1e-24 * size[0]) | (spread[1] <= 1e-24 * size[1])
    together = (weights * centred[0] * centred[1]).sum(axis=1)
    return np.where(flat, np.nan, _divide(together, np.sqrt(spread[0] * spread[1])))


def _pairs(matrix: Values, weights: Values) -> Values:
    """Return Σ_{i<j} w_i w_j m_ij for a symmetric matrix with a diagonal of zeros."""
    pairs: Values = ((weights @ matrix) * weights).sum(axis=1) / 2
    return pairs


def _divide(above: Values, below: Values) -> Values:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(below == 0, np.nan, above / np.where(below == 0, 1, below))
