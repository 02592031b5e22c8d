"""Bias audits: what changes when only the order of the options, or only the way of scoring, changes."""

from posologie import layout
from posologie.report.blocks import Block, Cell, Column, Figure, Heading, Prose, Section, Table
from posologie.report.inputs import Inputs
from posologie.report.tables import Row, decimal, estimate


def section(inputs: Inputs, figures: dict[str, Figure]) -> Section | None:
    """Return the section; None if no suite has permuted options."""
    blocks: list[Block] = []
    for suite in inputs.suites_of("mcqa"):
        if not inputs.rows("mcqa", suite=suite, variants="permuted"):
            continue
        blocks += [
            Heading(f"Order of the options: {suite}"),
            Prose(
                (
                    "The same questions with their options shuffled. Scored rightly, the gold answer follows its option; a drop "
                    "is then the model's own preference for positions. Scored against the letters of the original order, a "
                    "right answer counts as wrong wherever its letter moved: that drop is an artefact of the scoring.",
                )
            ),
        ]
        if figure := figures.pop("permutation", None):
            blocks.append(figure)
        blocks.append(_permutation_table(inputs, suite))
    return Section("bias", "Bias audits", tuple(blocks)) if blocks else None


def _permutation_table(inputs: Inputs, suite: str) -> Table:
    rows = inputs.rows(
        "mcqa", suite=suite, scope_kind="all", task="all", aggregate="item_weighted", decoding="constrained"
    )
    found = {(row["model"], row["metric"], row["variants"]): row for row in rows}
    columns = (
        Column("model", heading=True),
        Column("original order, %", number=True),
        Column("permuted, gold follows, %", number=True),
        Column("change, points", number=True),
        Column("permuted, old letters, %", number=True),
        Column("change, points", number=True),
    )
    lines = []
    for model in inputs.models:
        original = found.get((model.name, "em", "original"))
        permuted = found.get((model.name, "em", "permuted"))
        unmapped = found.get((model.name, "em_unmapped", "permuted"))
        lines.append(
            (
                Cell(inputs.name(model)),
                _value(original),
                _value(permuted),
                _change(permuted, original),
                _value(unmapped),
                _change(unmapped, original),
            )
        )
    return Table(
        f"table-permutation-{suite}",
        f"Exact match under permuted options, suite {suite}",
        "Constrained decoding, every item counting the same; permuted values are means over all permutations.",
        columns,
        tuple(lines),
        layout.table("mcqa"),
    )


def _value(row: Row | None) -> Cell:
    if row is None:
        return Cell("–")
    return estimate(row.number("value"), row.number("low"), row.number("high"), lambda value: decimal(value, 1))


def _change(row: Row | None, other: Row | None) -> Cell:
    if row is None or other is None:
        return Cell("–")
    change = (row.number("value") or 0) - (other.number("value") or 0)
    return Cell(decimal(change, 1, sign=True), sort=change)
