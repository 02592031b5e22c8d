"""Agreement of two raters, for many weightings of the answers at once.

Every function takes integer weights [draw, answer], how often each answer occurs in a draw, and returns one value a
draw: with weights of one it is the plain statistic, with the counts of a bootstrap draw that of the resample. NaN where
the statistic is undefined in a draw (a constant rating has no correlation: it is undefined, not 0).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

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


def partial_spearman(first: Values, second: Values, given: Values, weights: Values) -> Values:
    """Return Spearman's partial correlation of two ratings given a third."""
    ranks = [mid_ranks(values, weights) for values in (first, second, given)]
    between = _correlation(ranks[0], ranks[1], weights)
    with_first, with_second = (_correlation(rank, ranks[2], weights) for rank in ranks[:2])
    return _divide(between - with_first * with_second, np.sqrt((1 - with_first**2) * (1 - with_second**2)))


def mid_ranks(values: Values, weights: Values) -> Values:
    """Return [draw, answer], the mid-rank of each answer's value among the answers of a draw."""
    _, group = np.unique(values, return_inverse=True)
    held = np.zeros((len(weights), int(group.max()) + 1))
    for place, one in enumerate(group):
        held[:, one] += weights[:, place]
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
