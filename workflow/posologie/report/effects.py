"""What each mix changes: its paired differences from the base model."""

import math
from dataclasses import dataclass

from posologie.records import layout
from posologie.records.components import Shown
from posologie.report.blocks import Block, Cell, Column, Figure, Prose, Section, Table
from posologie.report.inputs import Inputs
from posologie.report.tables import NOTHING, decimal, interval, number_cell, p_cell, table
from posologie.report.words import AGGREGATES, measure_name, scope_title, scopes, unit_name
from posologie.statistics.families import DEMONSTRATION
from posologie.statistics.spec import Measured

TRAINED = "for these trained adapters"
"""What the table of contrasts notes where too few training seeds are there to speak of mixes."""


@dataclass(frozen=True)
class Effect:
    """One arm against base, on one scope.

    Attributes:
        value, low, high: difference in `unit`, with its pointwise interval; there is none where no cluster differs.
        simultaneous: the interval that holds together with those of the family.
        p_adjusted: corrected over the family.
        verdict: `better`, `worse`, `equivalent` or `not settled`, on the whole family.
        about: `recipes`, or `adapters` where no seeds are drawn.
        undone_by: the standard deviation of seeds that would undo a verdict on adapters.
        seeds, items: how many of either would settle it.
        note: what weakens the verdict.
        registered: whether it was fixed before the first training, or why not; empty without a registration.
    """

    arm: str
    backbone: str
    name: str
    scope_kind: str
    scope: str
    n: int
    unit: str
    value: float
    low: float | None
    high: float | None
    p_adjusted: float
    detectable: float | None
    verdict: str
    note: str
    family_size: int
    simultaneous: tuple[float, float] | None = None
    about: str = "recipes"
    undone_by: float | None = None
    seeds: int | None = None
    items: int | None = None
    registered: str = ""


@dataclass(frozen=True)
class Comparison:
    """All effects of one suite under its primary measure, in the order of the arms."""

    suite: str
    measured: Measured
    effects: tuple[Effect, ...]
    components: tuple[Shown, ...] = ()

    def on(self, kind: str, scope: str) -> list[Effect]:
        """Return the effects on a scope of a kind: a benchmark may be called like a component."""
        return [effect for effect in self.effects if (effect.scope_kind, effect.scope) == (kind, scope)]

    @property
    def scopes(self) -> list[tuple[str, str]]:
        """All items, then those of each component where there are several."""
        return scopes(((effect.scope_kind, effect.scope) for effect in self.effects), self.components)

    def title(self, kind: str, scope: str) -> str:
        """Return the title of a scope."""
        return scope_title(kind, scope, self.components)


def comparisons(inputs: Inputs) -> list[Comparison]:
    """Return, for each suite that has contrasts, every arm against base under the suite's primary measure."""
    found = []
    for suite in inputs.suites_of("contrasts"):
        for measured in (inputs.spec.statistics.primary_choice, inputs.spec.statistics.primary_text):
            effects = _effects(inputs, suite, measured)
            if effects:
                found.append(Comparison(suite, measured, effects, inputs.spec.components))
    return found


def _effects(inputs: Inputs, suite: str, measured: Measured) -> tuple[Effect, ...]:
    rows = inputs.measured(inputs.rows("contrasts", suite=suite, right="base", task="all"), measured)
    found = []
    for arm in inputs.arms:
        for row in rows:
            if row["left_model"] != arm.model or row["scope_kind"] == "benchmark":
                continue
            found.append(
                Effect(
                    arm=arm.arm,
                    backbone=arm.backbone,
                    name=arm.name,
                    scope_kind=row["scope_kind"],
                    scope=row["scope"],
                    n=int(row.needed("n")),
                    unit=row["unit"],
                    value=row.needed("value"),
                    low=row.number("low"),
                    high=row.number("high"),
                    p_adjusted=row.needed("p_adjusted"),
                    detectable=row.number("detectable"),
                    verdict=row["verdict"],
                    note=row["note"],
                    family_size=int(row.needed("family_size")),
                    simultaneous=_pair(row.number("simultaneous_low"), row.number("simultaneous_high")),
                    about=row["about"],
                    undone_by=row.number("undone_by_seed_sd"),
                    seeds=_whole(row.number("settles_at_seeds")),
                    items=_whole(row.number("settles_at_items")),
                    registered=row["registered"],
                )
            )
    return tuple(found)


def _pair(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def short_note(note: str) -> str:
    """Return what of a verdict's note stands beside it; what holds for all verdicts is said once."""
    return "; ".join(part for part in note.split("; ") if part and part not in (TRAINED, DEMONSTRATION))


def smallest_p(inputs: Inputs, p_value: float | None, family_size: int) -> str:
    """Return a note on a p-value that is as small as the draws can show, with their number; empty for any other.

    A p-value that is corrected over a family is a share of draws (`posologie.statistics.simultaneous`).
    """
    draws = inputs.spec.statistics.replicates
    if p_value is None or family_size < 2 or not math.isclose(p_value, 1 / (1 + draws), rel_tol=1e-6):
        return ""
    return f"the smallest p that {draws:,} draws can show"


def section(inputs: Inputs, found: list[Comparison], figure: Figure | None) -> Section | None:
    """Return the section with the main figure and its tables; None if there is nothing to compare."""
    if not found:
        return None
    blocks: list[Block] = [figure] if figure else []
    blocks += [_table(inputs, comparison) for comparison in found]
    if any(effect.about == "adapters" for comparison in found for effect in comparison.effects):
        blocks.append(
            Prose(
                (
                    "Too few mixes have several training seeds: a verdict is about these trained adapters, not about "
                    "the mix, because how much another training run would move the value was not measured.",
                )
            )
        )
    return Section("effects", "What each mix changes", tuple(blocks))


def _table(inputs: Inputs, comparison: Comparison) -> Table:
    """Return a row for each arm: the verdict on all items, then a column for each scope."""
    first = comparison.effects[0]
    columns = [Column("mix", heading=True), Column("verdict on all items")]
    columns += [Column(comparison.title(*scope), number=True) for scope in comparison.scopes]
    columns += [
        Column("simultaneous interval"),
        Column("p, corrected", number=True),
        Column("detectable", number=True),
    ]
    rows = []
    for whole in comparison.on("all", "all"):
        here = {
            (effect.scope_kind, effect.scope): effect
            for effect in comparison.effects
            if (effect.backbone, effect.arm) == (whole.backbone, whole.arm)
        }
        values = [_difference(here.get(scope)) for scope in comparison.scopes]
        notes = [one for one in (short_note(whole.note), whole.registered) if one]
        verdict = Cell(whole.verdict, note="; ".join(notes))
        joint = NOTHING if whole.simultaneous is None else Cell(interval(*whole.simultaneous, 1, sign=True))
        p = p_cell(whole.p_adjusted, smallest_p(inputs, whole.p_adjusted, whole.family_size))
        rows.append([Cell(whole.name), verdict, *values, joint, p, number_cell(whole.detectable, 1)])
    measured = comparison.measured
    counts = ", ".join(
        f"{comparison.title(*scope)} {max(effect.n for effect in comparison.on(*scope)):,}"
        for scope in comparison.scopes
    )
    return table(
        f"effects-{comparison.suite}",
        f"Each mix against base, suite {comparison.suite}",
        f"{demonstrated(inputs)}Paired difference in {measure_name(measured.metric, measured.decoding)}, in "
        f"{unit_name(first.unit)}, {AGGREGATES[measured.aggregate]}; n: {counts}. "
        "Intervals beside the values are pointwise; the simultaneous one, p and the verdict "
        f"{_held(first.family_size)}. "
        "Detectable: the smallest true difference that a study of this size would usually show.",
        columns,
        rows,
        layout.table("contrasts"),
    )


def demonstrated(inputs: Inputs) -> str:
    """Return how the caption of a table of verdicts begins in a demonstration; empty in any other study."""
    return "A demonstration: n is too small for any of these verdicts. " if inputs.spec.demonstration else ""


def _held(family_size: int) -> str:
    """Return for what p and verdict hold."""
    if family_size == 1:
        return "are those of one comparison, so nothing is corrected"
    return f"hold for all {family_size} comparisons of a column together"


def _difference(effect: Effect | None) -> Cell:
    if effect is None:
        return NOTHING
    shown = decimal(effect.value, 1, sign=True)
    return Cell(shown, effect.value, interval=interval(effect.low, effect.high, 1, sign=True))
