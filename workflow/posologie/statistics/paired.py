"""Paired tests between two models on the same items, and the correction for several of them."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

_EXACT = 13
"""With at most so many clusters that differ, all sign patterns are enumerated."""


def sign_flip_p(observed: float, flipped: NDArray[np.float64]) -> float:
    """Return the two-sided p-value of a sign-flip test from random flips (Phipson and Smyth 2010: never 0).

    Args:
        observed: the difference.
        flipped: the difference under random signs of the clusters.
    """
    reached = np.abs(flipped) >= abs(observed) - 1e-9 * max(1.0, abs(observed)) * _scale(flipped)
    return float((1 + np.count_nonzero(reached)) / (1 + len(flipped)))


def _scale(flipped: NDArray[np.float64]) -> float:
    return float(np.max(np.abs(flipped), initial=0.0)) or 1.0


def exact_sign_flip_p(differences: NDArray[np.float64]) -> float | None:
    """Return the exact two-sided p-value over all sign patterns; None where there are too many.

    Args:
        differences: [cluster], what each cluster adds to the difference; zeros change nothing and are left out.
    """
    moving = differences[differences != 0]
    if len(moving) > _EXACT:
        return None
    sums = np.zeros(1)
    for difference in moving:
        sums = np.concatenate([sums - difference, sums + difference])
    observed = abs(moving.sum())
    return float(np.mean(np.abs(sums) >= observed - 1e-12 * max(1.0, observed)))


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
