"""What each provenance adds: Shapley values, interactions, the mixture model, and dose–response curves."""

from posologie import layout
from posologie.report.blocks import Block, Cell, Column, Figure, Heading, Prose, Section, Table
from posologie.report.inputs import Inputs
from posologie.report.tables import Row, estimate, number_cell, table
from posologie.report.words import measure_name, scope_title, scopes, sentence, unit_name

METHODS = {
    "shapley": "average over all orders of adding the provenances (Shapley)",
    "interaction": "what two or more add together beyond each alone (Grabisch and Roubens)",
    "scheffe": "coefficients of the special cubic through the mixes (Scheffé); those of one provenance are the "
    "values of its own mix",
}
NAMES = {"shapley": "Shapley value", "interaction": "interaction", "scheffe": "mixture model"}


def terms(inputs: Inputs, suite: str, method: str, scope: str) -> list[Row]:
    """Return the rows of one method on one scope, under the suite's primary measure."""
    rows = [
        row
        for row in inputs.rows("attribution", suite=suite, method=method, scope=scope, task="all")
        if row["scope_kind"] != "benchmark"
    ]  # a benchmark may be called like a provenance
    for measured in (inputs.spec.statistics.primary_choice, inputs.spec.statistics.primary_text):
        if found := inputs.measured(rows, measured):
            return found
    return []


def section(inputs: Inputs, figures: dict[str, Figure]) -> Section | None:
    """Return the section; None if the study has neither an attribution nor a sweep."""
    blocks: list[Block] = []
    for suite in inputs.suites_of("attribution"):
        if figure := figures.pop("attribution", None):
            blocks.append(figure)
        blocks.append(_attribution_table(inputs, suite))
    if blocks:
        blocks.insert(
            0,
            Prose(
                (
                    "What a provenance adds is its mean effect over all orders in which the provenances can join a "
                    "mix; the values sum to the difference between the mix of all and base. " + _sizes(inputs),
                )
            ),
        )
    for suite in inputs.suites_of("dose_response"):
        blocks.append(Heading(f"Dose and response: {suite}"))
        if figure := figures.pop("dose_response", None):
            blocks.append(figure)
        blocks.append(_dose_table(inputs, suite))
    return Section("attribution", "What each provenance adds", tuple(blocks)) if blocks else None


def _sizes(inputs: Inputs) -> str:
    """Return what the sizes of the mixes mean for the values."""
    noted = {part for row in inputs.rows("attribution") for part in row["note"].split("; ") if "sizes" in part}
    if noted:
        return f"Beware: {'; '.join(sorted(noted))}. What any training does is shared out among the provenances."
    return (
        "All mixes have one size, so a provenance that joins takes the place of others' data, and what any training "
        "does is shared out among them."
    )


def _attribution_table(inputs: Inputs, suite: str) -> Table:
    rows = [row for row in inputs.rows("attribution", suite=suite, task="all") if row["scope_kind"] != "benchmark"]
    here = scopes((row["scope_kind"], row["scope"]) for row in rows)
    lines = []
    for method in METHODS:
        found = {scope: terms(inputs, suite, method, scope) for _, scope in here}
        backbones = dict.fromkeys(row["backbone"] for row in found["all"])
        for backbone in backbones:
            for term in dict.fromkeys(row["term"] for row in found["all"]):
                values = [
                    next((row for row in found[scope] if (row["term"], row["backbone"]) == (term, backbone)), None)
                    for _, scope in here
                ]
                name = f"{term} ({backbone})" if len(backbones) > 1 else term
                signed = method != "scheffe"
                lines.append([Cell(name), Cell(NAMES[method]), *(estimate(row, 1, sign=signed) for row in values)])
    first = next((row for method in METHODS for row in terms(inputs, suite, method, "all")), rows[0])
    columns = [Column("term", heading=True), Column("method")]
    columns += [Column(scope_title(*scope), number=True) for scope in here]
    methods = "; ".join(f"{NAMES[method]}: {told}" for method, told in METHODS.items())
    return table(
        f"attribution-{suite}",
        f"What each provenance adds, suite {suite}",
        f"{sentence(measure_name(first['metric'], first['decoding']))}, in {unit_name(first['unit'])}. {methods}.",
        columns,
        lines,
        layout.table("attribution"),
    )


def _dose_table(inputs: Inputs, suite: str) -> Table:
    rows = inputs.rows("dose_response", suite=suite, scope="all", task="all")
    columns = (
        Column("sweep", heading=True),
        Column("mix"),
        Column("dose", number=True),
        Column("measure"),
        Column("value", number=True),
        Column("best dose in, % of draws", number=True),
    )
    lines = [
        (
            Cell(row["sweep"]),
            Cell(row["mix"]),
            number_cell(row.number("dose"), 2),
            Cell(measure_name(row["metric"], row["decoding"])),
            estimate(row),
            number_cell(row.number("best_share"), 0),
        )
        for row in rows
    ]
    return table(
        f"dose-{suite}",
        f"Dose and response, suite {suite}",
        "How often a dose is the best of its sweep says how sure the optimum is.",
        columns,
        lines,
        layout.table("dose_response"),
    )
