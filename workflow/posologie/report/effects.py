"""What each mix changes, and whether a gain carries over to the items of other components."""

import math
from dataclasses import dataclass

from posologie.records import layout
from posologie.records.components import Shown
from posologie.report.blocks import Block, Cell, Column, Figure, Prose, Section, Table
from posologie.report.inputs import Inputs
from posologie.report.names import AGGREGATES, component_title, measure_name, scope_title, scopes, unit_name
from posologie.report.tables import NOTHING, Row, decimal, interval, number_cell, p_cell, table
from posologie.statistics.spec import Measured
from posologie.statistics.verdicts import DEMONSTRATION

TRAINED = "for these trained adapters"
"""What the table of contrasts notes if there are too few training seeds for a statement about mixes."""


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
    all_comparisons = []
    for suite in inputs.suites_of("contrasts"):
        for measured in (inputs.spec.statistics.primary_choice, inputs.spec.statistics.primary_text):
            effects = _effects(inputs, suite, measured)
            if effects:
                all_comparisons.append(Comparison(suite, measured, effects, inputs.spec.components))
    return all_comparisons


def _effects(inputs: Inputs, suite: str, measured: Measured) -> tuple[Effect, ...]:
    rows = inputs.measured(inputs.rows("contrasts", suite=suite, right="base", task="all"), measured)
    effects = []
    for arm in inputs.arms:
        for row in rows:
            if row["left_model"] != arm.model or row["scope_kind"] == "benchmark":
                continue
            effects.append(
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
    return tuple(effects)


def _pair(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def short_note(note: str) -> str:
    """Return the parts of a verdict's note to show beside it, without those that hold for all verdicts."""
    return "; ".join(part for part in note.split("; ") if part and part not in (TRAINED, DEMONSTRATION))


def smallest_p(inputs: Inputs, p_value: float | None, family_size: int) -> str:
    """Return a note on a p-value that is as small as the draws can show, with their number; empty for any other.

    A p-value that is corrected over a family is a share of draws (`posologie.statistics.simultaneous`).
    """
    draws = inputs.spec.statistics.replicates
    if p_value is None or family_size < 2 or not math.isclose(p_value, 1 / (1 + draws), rel_tol=1e-6):
        return ""
    return f"the smallest p that {draws:,} draws can show"


def section(inputs: Inputs, comparisons: list[Comparison], figure: Figure | None, lead: str = "") -> Section | None:
    """Return the section with the main figure and its tables; None if there is nothing to compare."""
    if not comparisons:
        return None
    blocks: list[Block] = [Prose((lead,), "lead")] if lead else []
    blocks += [figure] if figure else []
    blocks += [_table(inputs, comparison) for comparison in comparisons]
    if any(effect.about == "adapters" for comparison in comparisons for effect in comparison.effects):
        blocks.append(
            Prose(
                (
                    "Too few mixes have several training seeds: a verdict is about these trained adapters, not about "
                    "the mix, because how much another training run would change the value was not measured.",
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
        notes = [note for note in (short_note(whole.note), whole.registered) if note]
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
        "Detectable: the smallest true difference that a study of this size would usually detect.",
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


def compared(inputs: Inputs) -> list[tuple[str, list[Row]]]:
    """Return suite and rows of each primary measure that is compared between tested components."""
    primary = (inputs.spec.statistics.primary_choice, inputs.spec.statistics.primary_text)
    by_measure = (
        (suite, inputs.measured(inputs.rows("transfer", suite=suite, task="all"), measured))
        for suite in inputs.suites_of("transfer")
        for measured in primary
    )
    return [(suite, rows) for suite, rows in by_measure if rows]


def transfer_section(inputs: Inputs, figure: Figure | None = None) -> Section | None:
    """Return the section; None if no suite has items of several components."""
    compared_suites = compared(inputs)
    if not compared_suites:
        return None
    blocks = [_transfer_table(inputs, suite, rows) for suite, rows in compared_suites]
    explanation = (
        "A mix may gain on items of the component that it was trained on and on no others. Each row is a contrast of "
        "its own: the gain over base on items of one component, less the gain on items of another, for the same "
        "adapters. A gain that is absent on both, or the same on both, is not a difference."
    )
    opening: list[Block] = [Prose((carried(inputs, compared_suites[0][1]),), "lead"), *([figure] if figure else [])]
    return Section("transfer", "Does a gain carry over?", (*opening, Prose((explanation,)), *blocks))


def carried(inputs: Inputs, rows: list[Row]) -> str:
    """Say which mixes gain more on items of one component than on another's."""
    titles = inputs.spec.components
    clear = [
        f"{row['mix']} gains {decimal(abs(row.needed('value')), 1)} {unit_name(row['unit'])} more on "
        f"{component_title(row[more], titles)} than on {component_title(row[less], titles)} items"
        for row in rows
        for verdict, more, less in (("more on left", "left", "right"), ("more on right", "right", "left"))
        if row["verdict"] == verdict
    ]
    if clear:
        return f"{'; '.join(clear)}."
    detectable = [value for row in rows if (value := row.number("detectable")) is not None]
    least = f"{decimal(max(detectable, default=0.0), 1)} {unit_name(rows[0]['unit'])}"
    limit = f"; differences below about {least} would usually go undetected" if detectable else ""
    return f"No mix is shown to gain more on the items of one component than on another's{limit}."


def _transfer_table(inputs: Inputs, suite: str, rows: list[Row]) -> Block:
    titles = inputs.spec.components
    backbones = {row["backbone"] for row in rows}
    columns = [Column("mix", heading=True), Column("items of"), Column("less items of")]
    columns += [Column(name, number=True) for name in ("gain on the first", "gain on the second", "difference")]
    columns += [Column("p, corrected", number=True), Column("detectable", number=True), Column("verdict")]
    lines = []
    for row in rows:
        left, right = (component_title(row[side], titles) for side in ("left", "right"))
        name = f"{row['mix']} ({row['backbone']})" if len(backbones) > 1 else row["mix"]
        value, low, high = (row.number(key) for key in ("value", "low", "high"))
        shown = NOTHING
        if value is not None:
            shown = Cell(decimal(value, 1, sign=True), value, interval=interval(low, high, 1, sign=True))
        verdict = {"more on left": f"gains more on {left}", "more on right": f"gains more on {right}"}
        lines.append(
            [
                Cell(name),
                Cell(left),
                Cell(right),
                *(number_cell(row.number(key), 1, sign=True) for key in ("left_value", "right_value")),
                shown,
                p_cell(row.number("p_adjusted")),
                number_cell(row.number("detectable"), 1),
                Cell(verdict.get(row["verdict"], row["verdict"]), note=short_note(row["note"])),
            ]
        )
    first = rows[0]
    counts = ", ".join(
        dict.fromkeys(
            f"{component_title(row[side], titles)} {int(row.needed(f'{side}_n')):,}"
            for row in rows
            for side in ("left", "right")
        )
    )
    return table(
        f"transfer-{suite}",
        f"Gains by tested component, suite {suite}",
        f"{demonstrated(inputs)}Gain over base in {measure_name(first['metric'], first['decoding'])}, in "
        f"{unit_name(first['unit'])}; n: {counts}. "
        "The interval beside a difference is pointwise; p and verdict hold for all mixes together.",
        columns,
        lines,
        layout.table("transfer"),
    )
