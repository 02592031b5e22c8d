"""How far judges agree with people, and what else than the answer moves them."""

from posologie import layout
from posologie.report.blocks import Block, Cell, Column, Figure, Heading, Prose, Section, Table
from posologie.report.inputs import Inputs
from posologie.report.tables import Row, estimate, number_cell, p_cell, table

STATISTICS = {
    "pearson": "Pearson r",
    "spearman": "Spearman ρ",
    "kendall": "Kendall τ",
    "accuracy": "accuracy",
    "f1": "F1",
    "kappa": "Cohen κ",
    "auc": "area under the curve",
}
_VERBOSITY = {
    "length_human": "length and human score (Spearman)",
    "length_judge": "length and judge score (Spearman)",
    "length_judge_given_human": "length and judge score, human score held equal",
}


def agreements(inputs: Inputs, calibration_set: str) -> list[Row]:
    """Return the rows of the agreement with people, over all generators, people themselves first."""
    rows = inputs.rows("agreement", set=calibration_set, against="human", generator="pooled")
    kinds = ("human", "judge", "metric")
    return sorted(rows, key=lambda row: kinds.index(row["rater_kind"]) if row["rater_kind"] in kinds else len(kinds))


def section(inputs: Inputs, figures: dict[str, Figure]) -> Section | None:
    """Return the section; None if no judge was calibrated."""
    sets = list(dict.fromkeys(row["set"] for row in inputs.rows("agreement")))
    if not sets:
        return None
    blocks: list[Block] = [
        Prose(
            (
                "A judge's number is worth what its agreement with people is worth. Intervals say how little a hundred "
                "rated answers settle: judges whose intervals overlap are not ordered by them.",
            )
        )
    ]
    for name in sets:
        blocks.append(Heading(f"Agreement with people: {name}"))
        if figure := figures.pop("agreement", None):
            blocks.append(figure)
        if figure := figures.pop("calibration", None):
            blocks.append(figure)
        blocks.append(_agreement_table(inputs, name))
        if rows := inputs.rows("agreement_contrasts", set=name):
            blocks.append(_contrasts_table(name, rows))
        if rows := inputs.rows("verbosity", set=name):
            blocks.append(_verbosity_table(name, rows))
        if rows := inputs.rows("generator", set=name):
            if figure := figures.pop("generator", None):
                blocks.append(figure)
            blocks.append(_generator_table(name, rows))
    return Section("judges", "Judges against people", tuple(blocks))


def _agreement_table(inputs: Inputs, name: str) -> Table:
    rows = agreements(inputs, name)
    statistics = [statistic for statistic in STATISTICS if any(row["statistic"] == statistic for row in rows)]
    found = {(row["rater"], row["statistic"]): row for row in rows}
    raters = dict.fromkeys((row["rater"], row["rater_kind"]) for row in rows)
    columns = [Column("rater", heading=True), Column("kind"), Column("n", number=True)]
    columns += [Column(STATISTICS[statistic], number=True) for statistic in statistics]
    lines = []
    for rater, kind in raters:
        here = [found.get((rater, statistic)) for statistic in statistics]
        count = max((row.needed("n") for row in here if row is not None), default=None)
        lines.append([Cell(rater), Cell(kind), number_cell(count), *(estimate(row, 2) for row in here)])
    caption = "Agreement of each judge and metric with the mean human rating, over all generators."
    return table(
        f"agreement-{name}", f"Agreement with people, {name}", caption, columns, lines, layout.table("agreement")
    )


def _contrasts_table(name: str, rows: list[Row]) -> Table:
    columns = (
        Column("left", heading=True),
        Column("right"),
        Column("statistic"),
        Column("difference", number=True),
        Column("p, corrected", number=True),
    )
    lines = [
        (
            Cell(row["left"]),
            Cell(row["right"]),
            Cell(STATISTICS.get(row["statistic"], row["statistic"])),
            estimate(row, 2, sign=True),
            p_cell(row.number("p_holm")),
        )
        for row in rows
        if row["generator"] == "pooled"
    ]
    caption = "Paired over the same answers; p is corrected by Holm's method."
    title = f"Is one rater nearer to people than another, {name}"
    return table(f"agreement-contrasts-{name}", title, caption, columns, lines, layout.table("agreement_contrasts"))


def _verbosity_table(name: str, rows: list[Row]) -> Table:
    there = [statistic for statistic in _VERBOSITY if any(row["statistic"] == statistic for row in rows)]
    found = {
        (row["judge"], row["statistic"]): row for row in rows if not row["generator"] or row["generator"] == "pooled"
    }
    columns = [Column("judge", heading=True), *(Column(_VERBOSITY[statistic], number=True) for statistic in there)]
    judges = dict.fromkeys(row["judge"] for row in rows)
    lines = [[Cell(judge), *(estimate(found.get((judge, statistic)), 2) for statistic in there)] for judge in judges]
    caption = (
        "A judge that favours longer answers beyond what people do has a correlation left when the human score is held."
    )
    return table(f"verbosity-{name}", f"Length of answers, {name}", caption, columns, lines, layout.table("verbosity"))


def _generator_table(name: str, rows: list[Row]) -> Table:
    columns = (
        Column("judge", heading=True),
        Column("answers of"),
        Column("n", number=True),
        Column("people, %", number=True),
        Column("judge, %", number=True),
        Column("judge − people, points", number=True),
        Column("p, corrected", number=True),
    )
    lines = [
        (
            Cell(row["judge"]),
            Cell(row["generator"]),
            number_cell(row.number("n")),
            number_cell(row.number("human"), 1),
            number_cell(row.number("judge_value"), 1),
            estimate(row, 1, sign=True),
            p_cell(row.number("p_holm")),
        )
        for row in rows
    ]
    caption = "A judge that favours a generator gives its answers more than people do."
    return table(
        f"generator-{name}", f"Judges by generator, {name}", caption, columns, lines, layout.table("generator")
    )
