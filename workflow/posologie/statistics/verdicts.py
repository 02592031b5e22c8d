"""Verdicts on differences: better, worse, equivalent or not settled, with simultaneous intervals.

Contrasts are judged in families: those that a study lists, or all that are made of one number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

from posologie.running.errors import InputError
from posologie.statistics.crossed import NOTHING, Array, Crossed, Estimated, p_value
from posologie.statistics.intervals import holm
from posologie.statistics.means import UNBOUNDED, direction, unit_of
from posologie.statistics.power import components_of, items_that_settle, seeds_that_settle
from posologie.statistics.scored import Measure
from posologie.statistics.simultaneous import family
from posologie.statistics.spec import Family, Statistics

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
    members = family(model, linear, settings.replicates, settings.seed)
    alone = _p_values(members.estimated, np.full(len(linear), clusters))
    fixed = members.estimated.variance <= NOTHING
    adjusted = np.where(fixed, np.minimum(1.0, alone * len(linear)), members.p_values())
    one_sided = (np.full(len(linear), np.nan),) * 2
    if margin is not None:
        one_sided = (members.p_above(-margin), members.p_below(margin))
    correction = "max-T" if len(linear) > 1 else ""
    return _judged(
        estimated=members.estimated,
        alone=alone,
        adjusted=adjusted,
        critical=members.critical(settings.level),
        one_sided=one_sided,
        settings=settings,
        direction=direction,
        correction=correction,
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
    return _judged(
        estimated=estimated,
        alone=alone,
        adjusted=holm(alone),
        critical=critical,
        one_sided=one_sided,
        settings=settings,
        direction=direction,
        correction="holm",
    )


def _p_values(estimated: Estimated, clusters: Array) -> Array:
    """Return [member], p of the t-test; where no cluster differs from another, of all sign patterns of the clusters."""
    flips = np.where(np.abs(estimated.value) > 1e-12, np.minimum(1.0, 2.0 ** (1 - clusters)), 1.0)
    return np.where(estimated.variance > NOTHING, p_value(estimated), flips)


def _judged(
    *,
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
        p_value=alone,
        p_adjusted=adjusted,
        critical=critical,
        low=estimated.value - half,
        high=estimated.value + half,
        p_equivalent=equivalent,
        p_noninferior=below if direction < 0 else above,
        settled=adjusted < alpha,
        equivalent=np.nan_to_num(equivalent, nan=1.0) < alpha,
        correction=correction,
    )


def verdict_of(value: float, direction: int, *, settled: bool, equivalent: bool) -> str:
    """Return the verdict on left − right: `better`, `worse`, `equivalent` or `not settled`.

    Metrics without a better direction get `higher` and `lower`.
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
    difference: Array = (critical + stdtrit(df, power)) * error
    return difference


def undone_by(value: float, variance: float, critical: float, share: float) -> float | None:
    """Return the standard deviation of seeds that would make a difference between adapters touch 0 as one of recipes.

    None where adapters do not differ by more than `critical` standard errors.

    Args:
        share: Σ weight² / seeds over the mixes.
    """
    excess = (value / critical) ** 2 - variance
    return float(np.sqrt(excess / share)) if excess > 0 and share > 0 else None


def seeds_share(linear: Array, kinds: Sequence[str], members: Sequence[int]) -> float:
    """Return Σ weight² / seeds over the mixes of a combination [entry]."""
    terms = zip(linear, kinds, members, strict=True)
    return float(sum(weight**2 / count for weight, kind, count in terms if kind == "mix"))


def joined_family(estimates: Sequence[Estimated]) -> Estimated:
    """Return single estimates as the members of one family."""
    return Estimated(*(np.array([float(value) for value in values]) for values in zip(*estimates, strict=True)))


DEMONSTRATION = "demonstration: n too small"
ADAPTERS = "for these trained adapters"
_CELL = ("suite", "metric", "decoding", "variants", "scope_kind", "scope", "task", "aggregate")
_FLIPS = "sign flips of clusters, exact"
_TESTS = {"recipes": "crossed model, seeds drawn", "adapters": "crossed model, adapters as they are"}


@dataclass(frozen=True)
class Tested:
    """A contrast whose row waits for the verdict of its family.

    Attributes:
        linear: [entry], the contrast in its model.
        planned: against base, or listed; the other pairs of mixes are a family of their own.
        largest: the largest difference that scores between 0 and 1 allow.
    """

    row: dict[str, Any]
    measure: Measure
    model: Crossed
    linear: Array
    estimated: Estimated
    planned: bool
    largest: float = 1.0


def judge_families(tests: Sequence[Tested], settings: Statistics, *, demonstration: bool) -> list[dict[str, Any]]:
    """Return the rows of contrasts with family, corrected p-values, simultaneous intervals, verdict and notes.

    A family of the configuration holds the rows that it names. Any other row belongs to the family of its own suite,
    measure, variants, scope, task and aggregate: one number, every planned comparison that is made of it; and the pairs
    of mixes that nobody planned are a second one. A row belongs to one family, the first that names it.

    Raises:
        InputError: for a family of the configuration that holds no row, or a scope of two meanings.
    """
    scopes = {(test.row["scope_kind"], test.row["scope"]) for test in tests}
    families: dict[tuple[str, ...], list[Tested]] = {}
    for test in tests:
        families.setdefault(_family_of(test, settings, scopes), []).append(test)
    for name, declared in settings.families.items():
        if (name,) not in families:
            raise InputError(
                f"statistics.families.{name}: no test belongs to it; expected suites, a metric with its decoding,"
                f" variants and aggregate, scopes ({', '.join(declared.scopes)}) and pairs of this study"
            )
    for keys, members in families.items():
        _judge(members, "/".join(keys), settings, demonstration=demonstration)
    return [test.row for test in tests]


def _family_of(test: Tested, settings: Statistics, scopes: set[tuple[str, str]]) -> tuple[str, ...]:
    row = test.row
    for name, declared in settings.families.items():
        measured = declared.measured
        same = (measured.metric, measured.decoding, measured.variants, measured.aggregate) == tuple(
            row[key] for key in ("metric", "decoding", "variants", "aggregate")
        )
        pair = row["left"], row["right"]
        listed = pair in declared.contrasts or (not declared.contrasts and row["right"] == "base")
        here = same and listed and row["suite"] in declared.suites and row["task"] == "all"
        if here and (row["scope_kind"], row["scope"]) in _scopes_of(name, declared, scopes):
            return (name,)
    cell = tuple(str(row[key]) for key in _CELL)
    return cell if test.planned else (*cell, "pairs")


def _scopes_of(name: str, family: Family, scopes: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the kind and name of each scope that a family lists."""
    listed = set()
    for scope in family.scopes:
        kind, _, rest = scope.partition(":")
        if kind in ("provenance", "benchmark") and rest:
            listed.add((kind, rest))
            continue
        meant = sorted(known for known in scopes if known[1] == scope)
        if scope == "all":
            meant = [("all", "all")]
        elif len(meant) > 1:
            raise InputError(
                f"statistics.families.{name}.scopes: '{scope}' is a component and a benchmark; expected"
                f" 'provenance:{scope}' or 'benchmark:{scope}'"
            )
        listed.update(meant)
    return listed


def _judge(members: Sequence[Tested], name: str, settings: Statistics, *, demonstration: bool) -> None:
    first = members[0]
    towards = direction(first.measure)
    scale = 100 if unit_of(first.measure.metric) == "%" else 1
    margin = None if settings.margin is None else settings.margin / scale
    clusters = np.array([test.row["clusters"] for test in members], dtype=float)
    if all(test.model is first.model for test in members):
        linear = np.stack([test.linear for test in members])
        judged = judge_in_one_cell(first.model, linear, int(clusters[0]), settings, margin, towards)
    else:
        judged = judge_over_cells(
            joined_family([test.estimated for test in members]), clusters, settings, margin, towards
        )
    for place, test in enumerate(members):
        test.row.update(family=name, family_size=len(members), correction=judged.correction)
        _set_numbers(test, judged, place, settings, scale)
        _set_words(test, judged, place, settings, towards, demonstration=demonstration)


def _set_numbers(test: Tested, judged: Judged, place: int, settings: Statistics, scale: float) -> None:
    varies = float(test.estimated.variance) > NOTHING
    bound = np.inf if test.measure.metric in UNBOUNDED else test.largest
    detectable = detectable_difference(test.estimated.error, judged.critical[place], test.estimated.df, settings.power)
    undone = None
    if test.row["about"] == "adapters" and judged.settled[place] and varies:
        kinds = [entry.kind for entry in test.model.entries]
        share = seeds_share(test.linear, kinds, [len(entry.members) for entry in test.model.entries])
        undone = undone_by(
            float(test.estimated.value), float(test.estimated.variance), float(judged.critical[place]), share
        )
    test.row.update(
        p_value=float(judged.p_value[place]),
        p_adjusted=float(judged.p_adjusted[place]),
        simultaneous_low=max(float(judged.low[place]), -bound) * scale if varies else None,
        simultaneous_high=min(float(judged.high[place]), bound) * scale if varies else None,
        margin=settings.margin,
        p_equivalent=_number(judged.p_equivalent[place]),
        p_noninferior=_number(judged.p_noninferior[place]),
        detectable=float(detectable) * scale if varies else None,
        undone_by_seed_sd=None if undone is None else undone * scale,
        **_settling(test, judged, place, settings, scale),
        test=_TESTS.get(test.row["about"], "crossed model") if varies else _FLIPS,
    )


def _settling(test: Tested, judged: Judged, place: int, settings: Statistics, scale: float) -> dict[str, Any]:
    """Return how many seeds, or items, would settle a difference as large as the margin, or as the observed one."""
    nothing = {"settles_at_seeds": None, "settles_at_items": None}
    if judged.settled[place] or judged.equivalent[place] or float(test.estimated.variance) <= NOTHING:
        return nothing
    target = abs(float(test.estimated.value)) if settings.margin is None else settings.margin / scale
    components = components_of(test.model, test.linear, test.row["n"])
    mixes = [len(entry.members) for entry, weight in zip(test.model.entries, test.linear, strict=True)
             if weight and entry.kind == "mix"]  # fmt: skip
    seeds = min(mixes, default=1)
    size = (target, seeds, float(judged.critical[place]), float(test.estimated.df), settings.power)
    return {
        "settles_at_seeds": seeds_that_settle(components, *size),
        "settles_at_items": items_that_settle(components, *size),
    }


def _set_words(
    test: Tested, judged: Judged, place: int, settings: Statistics, towards: int, *, demonstration: bool
) -> None:
    """Set the verdict and complete the note: what weakens the verdict, and why an interval says something else."""
    row = test.row
    settled, equivalent = bool(judged.settled[place]), bool(judged.equivalent[place])
    row["verdict"] = verdict_of(row["value"], towards, settled=settled, equivalent=equivalent)
    notes = [DEMONSTRATION] if demonstration else [row["note"]] if row["note"] else []
    if row["about"] == "adapters":
        notes.append(ADAPTERS)
    if row["low"] is not None:
        if not settled and not row["low"] <= 0 <= row["high"]:
            notes.append(f"the pointwise interval excludes 0, after correction for {row['family_size']} it does not")
        if settled and row["simultaneous_low"] <= 0 <= row["simultaneous_high"]:
            notes.append("settled step by step (Holm), though the simultaneous interval holds 0")
    if settled and equivalent:
        notes.append("smaller than the margin")
    row["note"] = "; ".join(notes)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
