"""What is said of a difference: better, worse, equivalent, not settled, with its simultaneous interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from posologie.statistics.crossed import NOTHING, Array, Crossed, Estimated, p_value
from posologie.statistics.paired import holm
from posologie.statistics.simultaneous import family
from posologie.statistics.spec import Statistics

NOT_SETTLED = "not settled"


@dataclass(frozen=True)
class Judged:
    """Members of one family, judged together: [member] each, in the metric's own scale.

    Attributes:
        p_value, p_adjusted: two-sided; without variance from the exact sign flips of clusters.
        critical: t of the simultaneous intervals.
        low, high: simultaneous interval; NaN without variance.
        p_equivalent, p_noninferior: corrected; NaN without a margin.
        settled, equivalent: whether the difference is not 0, and whether it lies within the margin.
        correction: `max-T`, `holm`, or nothing for a single member.
    """

    p_value: Array
    p_adjusted: Array
    critical: Array
    low: Array
    high: Array
    p_equivalent: Array
    p_noninferior: Array
    settled: np.ndarray
    equivalent: np.ndarray
    correction: str


def judge_in_one_cell(
    model: Crossed, linear: Array, clusters: int, settings: Statistics, margin: float | None, direction: int
) -> Judged:
    """Judge combinations [member, entry] of one cell by max-T."""
    found = family(model, linear, settings.replicates, settings.seed)
    alone = _p_values(found.estimated, np.full(len(linear), clusters))
    fixed = found.estimated.variance <= NOTHING
    adjusted = np.where(fixed, np.minimum(1.0, alone * len(linear)), found.p_values())
    one_sided = (np.full(len(linear), np.nan),) * 2
    if margin is not None:
        one_sided = (found.p_above(-margin), found.p_below(margin))
    correction = "max-T" if len(linear) > 1 else ""
    return _judged(
        found.estimated, alone, adjusted, found.critical(settings.level), one_sided, settings, direction, correction
    )


def judge_over_cells(
    estimated: Estimated, clusters: Array, settings: Statistics, margin: float | None, direction: int
) -> Judged:
    """Judge members of several cells or suites: Holm's p-values, and Bonferroni's intervals.

    Args:
        clusters: [member], number of clusters.
    """
    alone = _p_values(estimated, clusters)
    count = len(alone)
    critical = stdtrit(estimated.df, 1 - (1 - settings.level) / 2 / count)
    one_sided = (np.full(count, np.nan),) * 2
    if margin is not None:
        with np.errstate(invalid="ignore", divide="ignore"):
            above, below = (
                stdtr(estimated.df, -sign * (estimated.value + sign * margin) / estimated.error) for sign in (1, -1)
            )
        one_sided = (holm(np.nan_to_num(above, nan=1.0)), holm(np.nan_to_num(below, nan=1.0)))
    return _judged(estimated, alone, holm(alone), critical, one_sided, settings, direction, "holm")


def _p_values(estimated: Estimated, clusters: Array) -> Array:
    """Return [member], p of the t-test; where no cluster differs from another, of all sign patterns of the clusters."""
    flips = np.where(np.abs(estimated.value) > 1e-12, np.minimum(1.0, 2.0 ** (1 - clusters)), 1.0)
    return np.where(estimated.variance > NOTHING, p_value(estimated), flips)


def _judged(
    estimated: Estimated,
    alone: Array,
    adjusted: Array,
    critical: Array,
    one_sided: tuple[Array, Array],
    settings: Statistics,
    direction: int,
    correction: str,
) -> Judged:
    half = np.where(estimated.variance > NOTHING, critical * estimated.error, np.nan)
    above, below = one_sided
    equivalent = np.maximum(above, below)
    alpha = 1 - settings.level
    return Judged(
        alone,
        adjusted,
        critical,
        estimated.value - half,
        estimated.value + half,
        equivalent,
        below if direction < 0 else above,
        adjusted < alpha,
        np.nan_to_num(equivalent, nan=1.0) < alpha,
        correction,
    )


def verdict_of(value: float, direction: int, *, settled: bool, equivalent: bool) -> str:
    """Return the verdict on left − right: `better`, `worse`, `equivalent` or `not settled`.

    Metrics of which neither more nor less is better get `higher` and `lower`.
    """
    if settled and direction:
        return "better" if value * direction > 0 else "worse"
    if settled:
        return "higher" if value > 0 else "lower"
    return "equivalent" if equivalent else NOT_SETTLED


def detectable_difference(error: Array, critical: Array, df: Array, power: float) -> Array:
    """Return the smallest true difference that the family's test finds with this power (Card et al. 2020).

    (critical t of the family + t of the power) × standard error.
    """
    found: Array = (critical + stdtrit(df, power)) * error
    return found


def undone_by(value: float, variance: float, critical: float, share: float) -> float | None:
    """Return the standard deviation of seeds that would make a difference between adapters touch 0 as one of recipes.

    None where adapters do not differ by more than `critical` standard errors.

    Args:
        share: Σ weight² / seeds over the mixes.
    """
    left = (value / critical) ** 2 - variance
    return float(np.sqrt(left / share)) if left > 0 and share > 0 else None


def seeds_share(linear: Array, kinds: Sequence[str], members: Sequence[int]) -> float:
    """Return Σ weight² / seeds over the mixes of a combination [entry]."""
    parts = zip(linear, kinds, members, strict=True)
    return float(sum(weight**2 / count for weight, kind, count in parts if kind == "mix"))


def joined_family(found: Sequence[Estimated]) -> Estimated:
    """Return single estimates as the members of one family."""
    return Estimated(*(np.array([float(part) for part in parts]) for parts in zip(*found, strict=True)))
