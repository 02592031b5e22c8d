"""A linear surface in the shares of the components, through mixes of one size: what it says of each component.

Where not all coalitions were trained, their values are read from the plane η(x) = Σ βᵢ xᵢ (Scheffé 1958), fitted by
least squares: all is linear in the mixes' values, so that intervals come from the crossed model. They hold for the best
plane through these mixes; how far the mixes lie off it is tested.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import fdtrc

from posologie.statistics.crossed import NOTHING, Array, Crossed


def shares_of(blends: Sequence[Mapping[str, float]], components: Sequence[str]) -> Array:
    """Return [mix, component], shares that sum to 1."""
    shares = np.array([[blend.get(name, 0.0) for name in components] for blend in blends], dtype=float)
    found: Array = shares / shares.sum(axis=1, keepdims=True)
    return found


def coefficients(shares: Array) -> Array:
    """Return [component, mix], which turns the values of the mixes into the coefficients of the plane."""
    return np.asarray(np.linalg.pinv(shares), dtype=np.float64)


def mean_game(count: int) -> Array:
    """Return [component, 1 + component], the Shapley values of the game of a plane, from base and its coefficients.

    The value of a coalition is that of the plane at its equal blend, the mean of its coefficients; the empty coalition
    is base. A component that joins s others adds (βᵢ − their mean) / (s + 1), so that, over all orders,
    φᵢ = (βᵢ − base) / n + (βᵢ − mean of the other β) (1/2 + … + 1/n) / n. They sum to the mean of β less base.
    """
    later = sum(1 / place for place in range(2, count + 1))
    others = (np.ones((count, count)) - np.eye(count)) / max(count - 1, 1)
    of_coefficients = (np.eye(count) * (1 + later) - others * later) / count
    return np.hstack([np.full((count, 1), -1 / count), of_coefficients])


def covariance(model: Crossed, linear: Array) -> Array:
    """Return [combination, combination], the covariance of linear combinations of values, seeds included."""
    found: Array = linear @ model.items @ linear.T
    for backbone, seeds in model.seeds.items():
        here = np.array([entry.backbone == backbone for entry in model.entries])
        found = found + float(seeds.variance) * (linear * (model.share * here)) @ linear.T
    return found


def lack_of_fit(model: Crossed, residuals: Array) -> float | None:
    """Return the p-value of the hypothesis that the values lie on the plane; None where they have no variance.

    Wald's statistic of the residuals, divided by their number of degrees of freedom, is compared with F; its second
    degrees of freedom are the fewest of any residual.

    Args:
        residuals: [mix, entry], which turns values into distances from the plane.
    """
    spread = covariance(model, residuals)
    values, vectors = np.linalg.eigh(spread)
    kept = values > max(NOTHING, 1e-9 * float(values.max()))
    if not kept.any():
        return None
    distances = vectors[:, kept].T @ (residuals @ model.point)
    statistic = float((distances**2 / values[kept]).sum()) / int(kept.sum())
    df = float(model.of(residuals).df.min())
    return float(fdtrc(int(kept.sum()), df, statistic))
