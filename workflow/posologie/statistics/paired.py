"""Paired tests between two models on the same items, and the correction for several of them."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr


def mcnemar_p(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the exact two-sided p-value of McNemar's test on two vectors of 0 and 1 (McNemar 1947).

    It holds only where every item is a cluster of its own.
    """
    only_first = int(np.count_nonzero((first == 1) & (second == 0)))
    only_second = int(np.count_nonzero((first == 0) & (second == 1)))
    if only_first + only_second == 0:
        return 1.0
    # Both tails of a fair coin are alike: twice the smaller one, and 1 where the two counts are equal.
    return float(min(1.0, 2 * bdtr(min(only_first, only_second), only_first + only_second, 0.5)))


def bootstrap_p(differences: NDArray[np.float64]) -> float:
    """Return the two-sided p-value at which the percentile interval of the draws just touches 0."""
    count = len(differences)
    if not count:
        return 1.0
    tail = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    return float(min(1.0, 2 * (1 + tail) / (1 + count)))


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Holm's adjusted p-values (Holm 1979), in the order given."""
    count = len(p_values)
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * (count - np.arange(count)))
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
