"""The published numbers beside ours: which of ours each may be compared with, and how well ranks and signs agree."""

from dataclasses import dataclass

from posologie import layout
from posologie.report.blocks import Block, Cell, Column, Figure, Prose, Section, Table
from posologie.report.inputs import Inputs
from posologie.report.tables import Row, decimal, interval, number_cell, table
from posologie.report.words import AGGREGATES, measure_name


@dataclass(frozen=True)
class ComparedRow:
    """One published value and ours, in the unit of our table."""

    name: str
    is_base: bool
    published: float
    ours: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ComparedAggregate:
    """A published aggregate beside one of ours that it may be."""

    published: str
    suite: str
    aggregate: str
    metric: str
    decoding: str
    variants: str
    rows: tuple[ComparedRow, ...]

    @property
    def title(self) -> str:
        """The published aggregate's name in words."""
        return self.published.replace("_", " ")


def compared(inputs: Inputs) -> list[ComparedAggregate]:
    """Return every published aggregate beside each of ours that it may be, largest first, arms in the page's order."""
    groups: dict[tuple[str, ...], dict[str, Row]] = {}
    keys = ("published_aggregate", "suite", "aggregate", "metric", "decoding", "variants")
    for name in ("mcqa", "oeq"):
        for row in inputs.rows(name):
            if row["published"]:
                groups.setdefault(tuple(row[key] for key in keys), {})[row["model"]] = row
    found = []
    for key, of_model in sorted(groups.items(), key=lambda entry: (-len(entry[1]), entry[0])):
        rows = [(arm, of_model[arm.model]) for arm in inputs.arms if arm.model in of_model]
        lines = [
            ComparedRow(
                arm.name,
                arm.arm == "base",
                row.needed("published"),
                row.needed("value"),
                row.number("low"),
                row.number("high"),
            )
            for arm, row in rows
        ]
        if lines:
            published, suite, aggregate, metric, decoding, variants = key
            found.append(ComparedAggregate(published, suite, aggregate, metric, decoding, variants, tuple(lines)))
    return found


def section(inputs: Inputs, figure: Figure | None) -> Section | None:
    """Return the section; None if no number of ours has a published counterpart."""
    found = compared(inputs)
    if not found:
        return None
    blocks: list[Block] = [
        Prose(
            (
                "How the authors aggregate over benchmarks and tasks is not defined, so each printed number stands "
                "beside every aggregate of ours that it may be. Ranks and signs say more than values here: benchmarks, "
                "items and weights differ.",
            )
        )
    ]
    if figure:
        blocks.append(figure)
    agreement = _agreement_table(inputs)
    if agreement:
        blocks.append(agreement)
    blocks += [_table(number, one) for number, one in enumerate(found)]
    return Section("published", "The paper beside this study", tuple(blocks))


def _table(number: int, one: ComparedAggregate) -> Table:
    base = next((row for row in one.rows if row.is_base), None)
    columns = [Column("model", heading=True), Column("published", number=True), Column("this study", number=True)]
    columns.append(Column("difference", number=True))
    if base and len(one.rows) > 1:
        columns += [Column("published − base", number=True), Column("this study − base", number=True), Column("sign")]
    lines = []
    for row in one.rows:
        cells = [
            Cell(row.name),
            number_cell(row.published, 2),
            Cell(decimal(row.ours, 1), row.ours, interval=interval(row.low, row.high, 1)),
            number_cell(row.ours - row.published, 1, sign=True),
        ]
        if base and len(one.rows) > 1:
            theirs, ours = row.published - base.published, row.ours - base.ours
            same = "" if row.is_base else "same" if theirs * ours > 0 else "other"
            cells += [number_cell(theirs, 1, sign=True), number_cell(ours, 1, sign=True), Cell(same)]
        lines.append(cells)
    variants = "" if one.variants == "original" else f", options {one.variants}"
    return table(
        f"published-{number}",
        f"Published “{one.title}” beside suite {one.suite}",
        f"In %. Ours: {measure_name(one.metric, one.decoding)}{variants}; "
        f"{AGGREGATES.get(one.aggregate, one.aggregate)}.",
        columns,
        lines,
    )


def _agreement_table(inputs: Inputs) -> Table | None:
    rows = inputs.rows("published")
    if not rows:
        return None
    columns = (
        Column("published aggregate", heading=True),
        Column("ours"),
        Column("mixes", number=True),
        Column("Kendall τ of the rankings", number=True),
        Column("signs against base that agree", number=True),
        Column("mean difference", number=True),
    )
    lines = []
    for row in rows:
        ours = (
            f"{measure_name(row['metric'], row['decoding'])}, {row['variants']}, {row['aggregate'].replace('_', ' ')}"
        )
        equal, total = row.number("signs_equal"), row.number("signs_compared")
        agree = "–" if equal is None or not total else f"{equal:.0f} of {total:.0f}"
        lines.append(
            (
                Cell(row["title"] or row["published_aggregate"]),
                Cell(ours),
                number_cell(row.number("mixes")),
                number_cell(row.number("kendall_tau"), 2),
                Cell(agree, sort=None if equal is None or not total else equal / total),
                number_cell(row.number("mean_difference"), 1, sign=True),
            )
        )
    caption = "How far this study orders the mixes as the paper does, for every aggregate that the printed one may be."
    return table("published-agreement", "Agreement with the paper", caption, columns, lines, layout.table("published"))
