"""Judged scores put right by people's ratings, and how far people and judges agree among themselves."""

from posologie.records import layout
from posologie.report.blocks import Block, Cell, Column, Heading, Prose, Table
from posologie.report.inputs import Inputs
from posologie.report.names import counted
from posologie.report.tables import NOTHING, Row, decimal, estimate, interval, number_cell, p_cell, table


def corrections(inputs: Inputs) -> list[Block]:
    """Return what the page says of corrected scores: a sentence, and tables of models and of differences."""
    blocks: list[Block] = []
    places = dict.fromkeys((row["set"], row["suite"]) for row in inputs.rows("corrected"))
    for name, suite in places:
        rows = inputs.rows("corrected", set=name, suite=suite, scope_kind="all")
        blocks += [
            Heading(f"Scores as people would give them: {suite}, ratings {name}"),
            Prose(
                (
                    *_conclusions(rows),
                    "A judge has read every answer, and people some. The corrected score is the judge's mean "
                    "over all answers plus the mean difference between people and judge on the answers that people"
                    " rated: it is unbiased however wrong the judge is, and the better the judge, the shorter the"
                    " interval "
                    "(prediction-powered inference).",
                    *_further(rows),
                )
            ),
            _models(name, suite, [row for row in rows if row["kind"] == "model"]),
        ]
        if differences := [row for row in rows if row["kind"] == "difference"]:
            blocks.append(_differences(name, suite, differences))
    return blocks


def _conclusions(rows: list[Row]) -> list[str]:
    """Return one sentence for each judge: which corrected differences are clear of 0, and the largest of them."""
    sentences = []
    tested = [row for row in rows if row["kind"] == "difference" and row.number("p_holm") is not None]
    for judge in dict.fromkeys(row["judge"] for row in tested):
        differences = [row for row in tested if row["judge"] == judge]
        clear = [row for row in differences if row.needed("p_holm") < 1 - row.needed("level")]
        if not clear:
            none = "the one" if len(differences) == 1 else f"none of the {len(differences)}"
            cannot = "difference cannot" if len(differences) == 1 else "differences can"
            sentences.append(f"With {judge}, {none} corrected {cannot} be distinguished from 0.")
            continue
        largest = max(clear, key=lambda row: abs(row.needed("value")))
        cell, naive = estimate(largest, 1, sign=True), largest.number("naive")
        alone = "" if naive is None else f"; the judge alone says {decimal(naive, 1, True)}"
        pair = f"{largest['model']} minus {largest['against']}"
        sentences.append(
            f"With {judge}, {len(clear)} of {counted(len(differences), 'corrected difference')} can be distinguished "
            f"from 0; the largest is {pair}: {cell.text} points {cell.interval}{alone}."
        )
    return sentences


def _further(rows: list[Row]) -> list[str]:
    """Return what further ratings would do: one sentence for the judge that needs the fewest."""
    needed: dict[str, float] = {}
    for row in rows:
        more = row.number("more_ratings")
        if row["kind"] == "model" and more is not None:
            needed[row["judge"]] = max(more, needed.get(row["judge"], 0))
    if not needed:
        return []
    judge = min(needed, key=lambda name: needed[name])
    if needed[judge] == 0:
        return [f"With {judge}, further ratings of these answers would hardly shorten any interval."]
    return [
        f"With {judge}, {counted(round(needed[judge]), 'more rating')} of each model's answers would bring every "
        "model's interval to within a tenth of what the rating of all answers would give."
    ]


def _naive(row: Row) -> Cell:
    value = row.number("naive")
    if value is None:
        return NOTHING
    shown = interval(row.number("naive_low"), row.number("naive_high"), 1)
    return Cell(decimal(value, 1, row["kind"] == "difference"), value, interval=shown)


def _models(name: str, suite: str, rows: list[Row]) -> Table:
    columns = (
        Column("model", heading=True),
        Column("judge"),
        Column("answers", number=True),
        Column("rated", number=True),
        Column("without a verdict", number=True),
        Column("judge alone, %", number=True),
        Column("corrected, %", number=True),
        Column("check (Rogan–Gladen), %", number=True),
        Column("worth in ratings", number=True),
        Column("useful further ratings", number=True),
    )
    lines = [
        (
            Cell(row["model"]),
            Cell(row["judge"]),
            number_cell(row.number("n")),
            number_cell(row.number("rated")),
            number_cell(row.number("silent")),
            _naive(row),
            estimate(row, 1),
            number_cell(row.number("rogan_gladen"), 1),
            number_cell(row.number("worth")),
            number_cell(row.number("more_ratings")),
        )
        for row in rows
    ]
    caption = (
        "Share of answers that people judge correct. Worth: how many ratings without the judge would give "
        "the same interval. Useful further ratings: until the interval is within a tenth of what the rating of all"
        " would give."
    )
    title = f"Corrected scores, suite {suite}, ratings {name}"
    return table(f"corrected-{name}-{suite}", title, caption, columns, lines, layout.table("corrected"))


def _differences(name: str, suite: str, rows: list[Row]) -> Table:
    columns = (
        Column("left", heading=True),
        Column("right"),
        Column("judge"),
        Column("rated", number=True),
        Column("without a verdict", number=True),
        Column("judge alone, points", number=True),
        Column("corrected, points", number=True),
        Column("p, corrected", number=True),
    )
    lines = [
        (
            Cell(row["model"]),
            Cell(row["against"]),
            Cell(row["judge"]),
            number_cell(row.number("rated")),
            number_cell(row.number("silent")),
            _naive(row),
            estimate(row, 1, sign=True),
            p_cell(row.number("p_holm")),
        )
        for row in rows
    ]
    caption = "Left minus right, paired over the questions; p by Holm's method over the differences of one judge."
    title = f"Corrected differences, suite {suite}, ratings {name}"
    return table(f"corrected-differences-{name}-{suite}", title, caption, columns, lines, layout.table("corrected"))


_STATISTICS = {
    "alpha": "Krippendorff's α",
    "ceiling": "highest correlation that a judge can reach",
    "against_others": "Pearson r with the mean of the others",
}
_KINDS = {"people": "people", "judges": "all judges", "panel": "the panel"}


def raters_table(name: str, rows: list[Row]) -> Table:
    """Return the table of how far people, and judges, agree among themselves."""
    columns = (
        Column("who", heading=True),
        Column("what"),
        Column("raters", number=True),
        Column("n", number=True),
        Column("value", number=True),
    )
    lines = [
        (
            Cell(row["rater"] or _KINDS.get(row["raters_kind"], row["raters_kind"])),
            Cell(_STATISTICS.get(row["statistic"], row["statistic"])),
            number_cell(row.number("raters")),
            number_cell(row.number("n")),
            estimate(row, 2),
        )
        for row in rows
    ]
    caption = (
        "α is 1 if all agree and 0 if they agree as by chance. People differ among themselves: even a "
        "judge that knew exactly what they have in common would correlate with their mean only as highly as the"
        " table says."
    )
    title = f"Agreement of people and judges among themselves, {name}"
    return table(f"among-{name}", title, caption, columns, lines, layout.table("raters"))
