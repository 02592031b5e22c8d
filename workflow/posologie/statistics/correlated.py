"""The difference of two correlations that share a variable: Steiger's test and Zou's interval, for parity.

Both assume independent answers and normal ratings; the paired cluster bootstrap beside them assumes neither.
"""

import math

from scipy.special import ndtr, ndtri


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
        (math.tanh(math.atanh(one) - half), math.tanh(math.atanh(one) + half)) for one in (first, second)
    )
    shared = (between - 0.5 * first * second) * (1 - first**2 - second**2 - between**2) + between**3
    shared /= (1 - first**2) * (1 - second**2)
    down, up = first - low_1, high_1 - first
    low = first - second - math.sqrt(down**2 + (high_2 - second) ** 2 - 2 * shared * down * (high_2 - second))
    high = first - second + math.sqrt(up**2 + (second - low_2) ** 2 - 2 * shared * up * (second - low_2))
    return low, high
