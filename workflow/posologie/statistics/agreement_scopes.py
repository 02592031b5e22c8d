"""An agreement statistic over all answers, over those of each generator, and within generators."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posologie.statistics.agreement_measures import Statistic

POOLED, WITHIN = "pooled", "within"


@dataclass(frozen=True)
class Estimated:
    """A statistic's value on the answers, and in each draw of clusters; NaN where it is undefined."""

    point: float
    draws: NDArray[np.float64]


def scopes_of(generator: NDArray[np.str_], kept: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    """Return which answers each scope holds: `pooled`, and each generator where there are several."""
    names = [str(name) for name in np.unique(generator[kept]) if name]
    single = {name: kept & (generator == name) for name in names} if len(names) > 1 else {}
    return {POOLED: kept, **single}


def inside_scope(generator: NDArray[np.str_], kept: NDArray[np.bool_], scope: str) -> NDArray[np.bool_]:
    """Return [answer], which answers a value of a scope rests on; `within` rests on all of them."""
    return kept if scope == WITHIN else scopes_of(generator, kept)[scope]


def estimate(
    statistic: Statistic,
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    kept: NDArray[np.bool_],
    generator: NDArray[np.str_],
    draws: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> dict[str, Estimated]:
    """Return a statistic of two ratings in every scope.

    `within` is the mean of the generators' values, weighted by their numbers of answers, over the generators in which
    the statistic is defined: agreement on the answers of one and the same model, which a rater that only tells models
    apart does not have.

    Args:
        first, second: [answer].
        kept: [answer], the answers that count.
        draws: [draw, answer], how often each answer occurs in each draw, times its weight.
        weight: [answer].
    """
    found = {}
    for scope, inside in scopes_of(generator, kept).items():
        pair = first[inside], second[inside]
        point = statistic(*pair, weight[None, inside])
        found[scope] = Estimated(float(point[0]), statistic(*pair, draws[:, inside]))
    parts = [(scope, found[scope]) for scope in found if scope != POOLED and not np.isnan(found[scope].point)]
    if parts:
        counts = np.array([weight[kept & (generator == scope)].sum() for scope, _ in parts])
        shares = counts / counts.sum()
        point_within = float(shares @ np.array([one.point for _, one in parts]))
        found[WITHIN] = Estimated(point_within, shares @ np.stack([one.draws for _, one in parts]))
    return found


def effective_clusters(group: NDArray[Any], weight: NDArray[np.float64]) -> float:
    """Return the number of equal clusters that groups with these weights are worth (Kish 1965); 0 without weight.

    Args:
        group, weight: [answer].
    """
    _, code = np.unique(group, return_inverse=True)
    sizes = np.bincount(code, weight)
    squares = float((sizes**2).sum())
    return float(sizes.sum()) ** 2 / squares if squares else 0.0
