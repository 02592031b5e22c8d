"""Whether a gain carries over: what each mix gains on items of one component, less what it gains on another's."""

from posologie.records import layout
from posologie.report.blocks import Block, Cell, Column, Prose, Section
from posologie.report.effects import demonstrated, short_note
from posologie.report.inputs import Inputs
from posologie.report.tables import NOTHING, Row, decimal, interval, number_cell, p_cell, table
from posologie.report.words import component_title, measure_name, unit_name


def section(inputs: Inputs) -> Section | None:
    """Return the section; None if no suite has items of several components."""
    blocks: list[Block] = []
    for suite in inputs.suites_of("transfer"):
        for measured in (inputs.spec.statistics.primary_choice, inputs.spec.statistics.primary_text):
            rows = inputs.measured(inputs.rows("transfer", suite=suite, task="all"), measured)
            if rows:
                blocks.append(_table(inputs, suite, rows))
    if not blocks:
        return None
    told = (
        "A mix may gain on items of the component that it was trained on and on no others. Each row is a contrast of "
        "its own: the gain over base on items of one component, less the gain on items of another, for the same "
        "adapters. A gain that is missing on both, or the same on both, is no difference."
    )
    return Section("transfer", "Does a gain carry over?", (Prose((told,)), *blocks))


def _table(inputs: Inputs, suite: str, rows: list[Row]) -> Block:
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
