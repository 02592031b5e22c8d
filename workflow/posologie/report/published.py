"""A published study beside this one: what is compared with what, how ranks and signs agree."""

from dataclasses import dataclass

from posologie.records import layout
from posologie.report.blocks import Block, Cell, Column, Figure, Prose, Section, Table
from posologie.report.inputs import Inputs
from posologie.report.names import AGGREGATES, measure_name
from posologie.report.tables import NOTHING, Row, decimal, estimate, interval, number_cell, table


@dataclass(frozen=True)
class ComparedRow:
    """One model: the published value, and the row of ours for each aggregate that the published one may be."""

    name: str
    is_base: bool
    published: float
    ours: dict[str, Row]


@dataclass(frozen=True)
class ComparedAggregate:
    """A published aggregate beside a measure of ours, models in the order of the page."""

    title: str
    suite: str
    metric: str
    decoding: str
    variants: str
    aggregates: tuple[str, ...]
    rows: tuple[ComparedRow, ...]


def compared(inputs: Inputs) -> list[ComparedAggregate]:
    """Return every published aggregate beside ours, those of most models first; none without a published study."""
    if not inputs.has("published"):
        return []
    titles = {row["published_aggregate"]: row["title"] for row in inputs.rows("published")}
    groups: dict[tuple[str, ...], list[Row]] = {}
    for name in ("mcqa", "oeq"):
        for row in inputs.rows(name):
            if row["published"]:
                key = tuple(row[part] for part in ("published_aggregate", "suite", "metric", "decoding", "variants"))
                groups.setdefault(key, []).append(row)
    aggregates_compared = []
    for (published, suite, metric, decoding, variants), rows in sorted(groups.items()):
        present = {row["aggregate"] for row in rows}
        lines = []
        for arm in inputs.arms:
            ours = {row["aggregate"]: row for row in rows if row["model"] == arm.model}
            if ours:
                value = next(iter(ours.values())).needed("published")
                lines.append(ComparedRow(arm.name, arm.arm == "base", value, ours))
        aggregates = tuple(aggregate for aggregate in AGGREGATES if aggregate in present)
        aggregates_compared.append(
            ComparedAggregate(
                titles.get(published, published),
                suite,
                metric,
                decoding=decoding,
                variants=variants,
                aggregates=aggregates,
                rows=tuple(lines),
            )
        )
    with_rows = (aggregate for aggregate in aggregates_compared if aggregate.rows)
    return sorted(with_rows, key=lambda aggregate: -len(aggregate.rows))


def section(inputs: Inputs, figure: Figure | None) -> Section | None:
    """Return the section; None if no number of ours has a published counterpart."""
    aggregates = compared(inputs)
    if not aggregates:
        return None
    rows = inputs.rows("published")
    lead = agreement(rows)
    blocks: list[Block] = [Prose((lead,), "lead")] if lead else []
    blocks += [figure] if figure else []
    blocks.append(
        Prose(
            (
                "Each printed number is beside every aggregate of ours that it may correspond to. Ranks and "
                "signs say more than values here: benchmarks, items and weights may differ.",
            )
        )
    )
    if rows:
        blocks.append(_agreement_table(rows))
    blocks += [_table(number, aggregate) for number, aggregate in enumerate(aggregates)]
    return Section("published", f"{rows[0]['study'] if rows else 'A published study'} beside this one", tuple(blocks))


def agreement(rows: list[Row]) -> str:
    """Say how far signs and ranks agree on the first published aggregate that can be compared; empty without one."""
    for row in rows:
        equal, total = row.number("signs_equal"), row.number("signs_compared")
        if equal is None or not total:
            continue
        tau = row.number("kendall_tau")
        between = interval(row.number("low"), row.number("high"), 2)
        ranks = "" if tau is None else f", and the rankings agree with Kendall's τ = {decimal(tau)} {between}".rstrip()
        return (
            f"On “{row['title']}”, {equal:.0f} of {total:.0f} mixes differ from base in the published direction{ranks}."
        )
    return ""


def _table(number: int, printed: ComparedAggregate) -> Table:
    base = next((row for row in printed.rows if row.is_base), None)
    signs = base is not None and len(printed.rows) > 1
    columns = [Column("model", heading=True), Column("published", number=True)]
    columns += [Column(f"ours, {aggregate.replace('_', ' ')}", number=True) for aggregate in printed.aggregates]
    if signs:
        columns += [Column("published − base", number=True), Column("ours − base", number=True), Column("sign")]
    lines = []
    for row in printed.rows:
        cells = [Cell(row.name), number_cell(row.published, 2)]
        cells += [estimate(row.ours.get(aggregate), 1) for aggregate in printed.aggregates]
        if base is not None and signs:
            cells += _signs(row, base, printed.aggregates[0])
        lines.append(cells)
    variants = "" if printed.variants == "original" else f", options {printed.variants}"
    counts = "; ".join(f"{name.replace('_', ' ')}: {AGGREGATES[name]}" for name in printed.aggregates)
    return table(
        f"published-{number}",
        f"Published “{printed.title}” beside suite {printed.suite}",
        f"In %. Ours: {measure_name(printed.metric, printed.decoding)}{variants}; {counts}.",
        columns,
        lines,
    )


def _signs(row: ComparedRow, base: ComparedRow, aggregate: str) -> list[Cell]:
    """Return the differences from base, published and ours, and whether they point the same way."""
    if row.is_base or aggregate not in row.ours or aggregate not in base.ours:
        return [NOTHING, NOTHING, Cell("")]
    theirs = row.published - base.published
    own, of_base = row.ours[aggregate].number("value"), base.ours[aggregate].number("value")
    if own is None or of_base is None:  # a judge that was silent too often gives bounds and no value
        return [number_cell(theirs, 2, sign=True), NOTHING, Cell("")]
    ours = own - of_base
    sign = "same" if theirs * ours > 0 else "opposite" if theirs * ours < 0 else "no difference"
    return [number_cell(theirs, 2, sign=True), number_cell(ours, 1, sign=True), Cell(sign)]


def _agreement_table(rows: list[Row]) -> Table:
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
        measure = measure_name(row["metric"], row["decoding"])
        equal, total = row.number("signs_equal"), row.number("signs_compared")
        agree = NOTHING if equal is None or not total else Cell(f"{equal:.0f} of {total:.0f}", sort=equal / total)
        lines.append(
            (
                Cell(row["title"]),
                Cell(f"{measure}, {row['variants']}, {row['aggregate'].replace('_', ' ')}"),
                number_cell(row.number("mixes")),
                Cell(
                    decimal(row.number("kendall_tau")),
                    row.number("kendall_tau"),
                    interval=interval(row.number("low"), row.number("high"), 2),
                    note=row["note"],
                ),
                agree,
                number_cell(row.number("mean_difference"), 1, sign=True),
            )
        )
    caption = (
        "How far this study ranks the mixes like the published one, for every aggregate that the printed one may"
        " correspond to."
    )
    return table(
        "published-agreement", "Agreement with the published study", caption, columns, lines, layout.table("published")
    )
