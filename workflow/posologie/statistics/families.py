"""Which contrasts are judged together, and the verdict of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from posologie.running.errors import InputError
from posologie.statistics.crossed import NOTHING, Array, Crossed, Estimated
from posologie.statistics.means import UNBOUNDED, unit_of
from posologie.statistics.measured import direction
from posologie.statistics.power import components_of, items_that_settle, seeds_that_settle
from posologie.statistics.scored import Measure
from posologie.statistics.spec import Family, Statistics
from posologie.statistics.verdicts import (
    Judged,
    detectable_difference,
    joined_family,
    judge_in_one_cell,
    judge_over_cells,
    seeds_share,
    undone_by,
    verdict_of,
)

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


def judge_families(found: Sequence[Tested], settings: Statistics, *, demonstration: bool) -> list[dict[str, Any]]:
    """Return the rows of contrasts with family, corrected p-values, simultaneous intervals, verdict and notes.

    A family of the configuration holds the rows that it names. Any other row belongs to the family of its own suite,
    measure, variants, scope, task and aggregate: one number, every planned comparison that is made of it; and the pairs
    of mixes that nobody planned are a second one. A row belongs to one family, the first that names it.

    Raises:
        InputError: for a family of the configuration that holds no row, or a scope of two meanings.
    """
    scopes = {(one.row["scope_kind"], one.row["scope"]) for one in found}
    families: dict[tuple[str, ...], list[Tested]] = {}
    for one in found:
        families.setdefault(_family_of(one, settings, scopes), []).append(one)
    for name, family in settings.families.items():
        if (name,) not in families:
            raise InputError(
                f"statistics.families.{name}: no test belongs to it; expected suites, a metric with its decoding,"
                f" variants and aggregate, scopes ({', '.join(family.scopes)}) and pairs of this study"
            )
    for keys, members in families.items():
        _judge(members, "/".join(keys), settings, demonstration=demonstration)
    return [one.row for one in found]


def _family_of(one: Tested, settings: Statistics, scopes: set[tuple[str, str]]) -> tuple[str, ...]:
    row = one.row
    for name, family in settings.families.items():
        measured = family.measured
        same = (measured.metric, measured.decoding, measured.variants, measured.aggregate) == tuple(
            row[key] for key in ("metric", "decoding", "variants", "aggregate")
        )
        listed = (not family.contrasts and row["right"] == "base") or (row["left"], row["right"]) in family.contrasts
        here = same and listed and row["suite"] in family.suites and row["task"] == "all"
        if here and (row["scope_kind"], row["scope"]) in _scopes_of(name, family, scopes):
            return (name,)
    cell = tuple(str(row[key]) for key in _CELL)
    return cell if one.planned else (*cell, "pairs")


def _scopes_of(name: str, family: Family, scopes: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the kind and name of each scope that a family lists."""
    found = set()
    for scope in family.scopes:
        kind, _, rest = scope.partition(":")
        if kind in ("provenance", "benchmark") and rest:
            found.add((kind, rest))
            continue
        meant = sorted(one for one in scopes if one[1] == scope)
        if scope == "all":
            meant = [("all", "all")]
        elif len(meant) > 1:
            raise InputError(
                f"statistics.families.{name}.scopes: '{scope}' is a component and a benchmark; expected"
                f" 'provenance:{scope}' or 'benchmark:{scope}'"
            )
        found.update(meant)
    return found


def _judge(members: Sequence[Tested], name: str, settings: Statistics, *, demonstration: bool) -> None:
    first = members[0]
    towards = direction(first.measure)
    scale = 100 if unit_of(first.measure.metric) == "%" else 1
    margin = None if settings.margin is None else settings.margin / scale
    clusters = np.array([one.row["clusters"] for one in members], dtype=float)
    if all(one.model is first.model for one in members):
        linear = np.stack([one.linear for one in members])
        judged = judge_in_one_cell(first.model, linear, int(clusters[0]), settings, margin, towards)
    else:
        judged = judge_over_cells(
            joined_family([one.estimated for one in members]), clusters, settings, margin, towards
        )
    for place, one in enumerate(members):
        one.row.update(family=name, family_size=len(members), correction=judged.correction)
        _set_numbers(one, judged, place, settings, scale)
        _set_words(one, judged, place, settings, towards, demonstration=demonstration)


def _set_numbers(one: Tested, judged: Judged, place: int, settings: Statistics, scale: float) -> None:
    varies = float(one.estimated.variance) > NOTHING
    bound = np.inf if one.measure.metric in UNBOUNDED else one.largest
    detectable = detectable_difference(one.estimated.error, judged.critical[place], one.estimated.df, settings.power)
    undone = None
    if one.row["about"] == "adapters" and judged.settled[place] and varies:
        kinds = [entry.kind for entry in one.model.entries]
        share = seeds_share(one.linear, kinds, [len(entry.members) for entry in one.model.entries])
        undone = undone_by(
            float(one.estimated.value), float(one.estimated.variance), float(judged.critical[place]), share
        )
    one.row.update(
        p_value=float(judged.p_value[place]),
        p_adjusted=float(judged.p_adjusted[place]),
        simultaneous_low=max(float(judged.low[place]), -bound) * scale if varies else None,
        simultaneous_high=min(float(judged.high[place]), bound) * scale if varies else None,
        margin=settings.margin,
        p_equivalent=_number(judged.p_equivalent[place]),
        p_noninferior=_number(judged.p_noninferior[place]),
        detectable=float(detectable) * scale if varies else None,
        undone_by_seed_sd=None if undone is None else undone * scale,
        **_settling(one, judged, place, settings, scale),
        test=_TESTS.get(one.row["about"], "crossed model") if varies else _FLIPS,
    )


def _settling(one: Tested, judged: Judged, place: int, settings: Statistics, scale: float) -> dict[str, Any]:
    """Return how many seeds, or items, would settle a difference as large as the margin, or as the observed one."""
    nothing = {"settles_at_seeds": None, "settles_at_items": None}
    if judged.settled[place] or judged.equivalent[place] or float(one.estimated.variance) <= NOTHING:
        return nothing
    target = abs(float(one.estimated.value)) if settings.margin is None else settings.margin / scale
    found = components_of(one.model, one.linear, one.row["n"])
    mixes = [len(entry.members) for entry, weight in zip(one.model.entries, one.linear, strict=True)
             if weight and entry.kind == "mix"]  # fmt: skip
    seeds = min(mixes, default=1)
    size = (target, seeds, float(judged.critical[place]), float(one.estimated.df), settings.power)
    return {"settles_at_seeds": seeds_that_settle(found, *size), "settles_at_items": items_that_settle(found, *size)}


def _set_words(
    one: Tested, judged: Judged, place: int, settings: Statistics, towards: int, *, demonstration: bool
) -> None:
    """Set the verdict and complete the note: what weakens the verdict, and why an interval says something else."""
    row = one.row
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
