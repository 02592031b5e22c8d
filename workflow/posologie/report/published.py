"""The published numbers beside ours: which of ours each may be compared with, and how well ranks and signs agree."""

from dataclasses import dataclass

from scipy.stats import kendalltau

from posologie.report.blocks import Cell, Column, Figure, Prose, Section, Table
from posologie.report.inputs import AGGREGATES, Inputs, measure_name
from posologie.report.tables import MINUS, Row, decimal, estimate


@dataclass(frozen=True)
class ComparedRow:
    """One published value and ours, in percent."""

    name: str
    published: float
    ours: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ComparedAggregate:
    """A published aggregate beside one of ours that it may be."""

    published: str
    aggregate: str
    metric: str
    decoding: str
    variants: str
    rows: tuple[ComparedRow, ...]

    @property
    def short(self) -> str:
        """A title that fits above a panel."""
        return f"{self.published.replace('_', ' ')}\n{self.aggregate.replace('_', ' ')}"


def compared(inputs: Inputs) -> list[ComparedAggregate]:
    """Return every published aggregate beside each of ours that it may be, models in the order of the page."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for table in ("mcqa", "oeq"):
        for row in inputs.rows(table):
            if row["published"]:
                key = tuple(
                    row[name] for name in ("published_aggregate", "aggregate", "metric", "decoding", "variants")
                )
                groups.setdefault(key, []).append(row)
    place = {model.name: number for number, model in enumerate(inputs.models)}
    names = {model.name: inputs.name(model) for model in inputs.models}
    found = []
    for key, rows in sorted(groups.items(), key=lambda entry: (-len(entry[1]), entry[0])):
        rows.sort(key=lambda row: place.get(row["model"], len(place)))
        found.append(
            ComparedAggregate(
                *key,
                tuple(
                    ComparedRow(
                        names.get(row["model"], row["model"]),
                        row.number("published") or 0.0,
                        row.number("value") or 0.0,
                        row.number("low"),
                        row.number("high"),
                    )
                    for row in rows
                ),
            )
        )
    return found


def section(inputs: Inputs, figure: Figure | None) -> Section | None:
    """Return the section; None if no number of ours has a published counterpart."""
    found = compared(inputs)
    if not found:
        return None
    intro = Prose(
        (
            "How the authors aggregate over benchmarks and tasks is not defined, so each printed number stands beside every "
            "aggregate of ours that it may be. Ranks and signs say more than values: benchmarks, items and weights differ.",
        )
    )
    blocks = [intro, *([figure] if figure else []), *(_table(number, one) for number, one in enumerate(found))]
    return Section("published", "The paper beside this study", tuple(blocks))


def _table(number: int, one: ComparedAggregate) -> Table:
    base = next((row for row in one.rows if row.name == "base"), None)
    columns = [Column("model", heading=True), Column("published, %", number=True), Column("this study, %", number=True),
               Column("this study − published", number=True)]  # fmt: skip
    if base:
        columns += [Column("published, against base", number=True), Column("this study, against base", number=True),
                    Column("same sign")]  # fmt: skip
    lines = []
    for row in one.rows:
        cells = [
            Cell(row.name),
            Cell(decimal(row.published), sort=row.published),
            estimate(row.ours, row.low, row.high, lambda value: decimal(value, 1)),
            Cell(decimal(row.ours - row.published, 1, sign=True), sort=row.ours - row.published),
        ]
        if base:
            theirs, ours = row.published - base.published, row.ours - base.ours
            same = "" if row is base else "yes" if theirs * ours > 0 else "no"
            cells += [
                Cell(decimal(theirs, 1, sign=True), sort=theirs),
                Cell(decimal(ours, 1, sign=True), sort=ours),
                Cell(same),
            ]
        lines.append(tuple(cells))
    variants = "" if one.variants == "original" else f", {one.variants} options"
    return Table(
        f"table-published-{number}",
        f"Published “{one.published.replace('_', ' ')}” beside ours",
        f"Ours: {measure_name(one.metric, one.decoding)}{variants}; {AGGREGATES.get(one.aggregate, one.aggregate)}. {_ranks(one)}",
        tuple(columns),
        tuple(lines),
    )


def _ranks(one: ComparedAggregate) -> str:
    if len(one.rows) < 3:
        return ""
    tau = float(kendalltau([row.published for row in one.rows], [row.ours for row in one.rows]).statistic)
    if tau != tau:
        return ""
    shown = f"{tau:.2f}".replace("-", MINUS)
    return f"Agreement of the two rankings of {len(one.rows)} models: Kendall τ = {shown}."
