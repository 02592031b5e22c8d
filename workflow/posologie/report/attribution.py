"""What each component adds: Shapley values, interactions, the mixture model, and dose–response curves."""

from posologie.records import layout
from posologie.report.blocks import Block, Cell, Column, Figure, Heading, Prose, Section, Table
from posologie.report.inputs import Inputs
from posologie.report.names import component_title, measure_name, scope_title, scopes, sentence, unit_name
from posologie.report.tables import Row, decimal, estimate, number_cell, table

METHODS = {
    "shapley": "average over all orders of adding the components (Shapley)",
    "interaction": "what two or more add together beyond each alone (Grabisch and Roubens)",
    "scheffe": "coefficients of the polynomial through the mixes (Scheffé); those of one component are the values of "
    "its own mix",
    "shapley_linear": "the same average, where the value of a coalition is that of the linear surface at its equal "
    "blend",
    "scheffe_linear": "coefficients of the linear surface: the fitted values of a mix of one component alone",
}
NAMES = {
    "shapley": "Shapley value",
    "interaction": "interaction",
    "scheffe": "mixture model",
    "shapley_linear": "Shapley value of the linear surface",
    "scheffe_linear": "linear surface",
}
SHAPLEY = ("shapley", "shapley_linear")


def terms(inputs: Inputs, suite: str, method: str, scope: str) -> list[Row]:
    """Return the rows of one method on one scope, under the suite's primary measure."""
    rows = [
        row
        for row in inputs.rows("attribution", suite=suite, method=method, scope=scope, task="all")
        if row["scope_kind"] != "benchmark"
    ]  # a benchmark may be called like a component
    for measured in (inputs.spec.statistics.primary_choice, inputs.spec.statistics.primary_text):
        if chosen := inputs.measured(rows, measured):
            return chosen
    return []


def section(inputs: Inputs, figures: dict[str, Figure], lead: str = "") -> Section | None:
    """Return the section; None if the study has neither an attribution nor a sweep."""
    blocks: list[Block] = []
    for suite in inputs.suites_of("attribution"):
        blocks += _attribution_tables(inputs, suite)
    if blocks:
        opening: list[Block] = [Prose((lead,), "lead")] if lead else []
        if figure := figures.pop("attribution", None):
            opening.append(figure)
        blocks = [
            *opening,
            Prose(
                (
                    "What a component adds is its mean effect over all orders in which the components can join a "
                    f"mix. {_total(inputs)} {_sizes(inputs)}",
                )
            ),
            *blocks,
        ]
    for suite in inputs.suites_of("dose_response"):
        blocks.append(Heading(f"Dose and response: {suite}"))
        if dose := best_dose(inputs, suite):
            blocks.append(Prose((dose,), "lead"))
        if figure := figures.pop("dose_response", None):
            blocks.append(figure)
        blocks.append(_dose_table(inputs, suite))
    return Section("attribution", "What each component adds", tuple(blocks)) if blocks else None


def best_dose(inputs: Inputs, suite: str) -> str:
    """Say which dose of each sweep scored best, and how sure that is, in the first measure; empty without doses."""
    rows = inputs.rows("dose_response", suite=suite, scope="all", task="all")
    first = rows[0] if rows else None
    same = ("metric", "decoding", "variants", "aggregate", "backbone")
    sentences = []
    for sweep in dict.fromkeys(row["sweep"] for row in rows):
        here = [row for row in rows if row["sweep"] == sweep and all(row[key] == first[key] for key in same if first)]
        known = [(value, row) for row in here if (value := row.number("value")) is not None]
        if not known:
            continue
        best = max(known, key=lambda pair: pair[0])[1]
        sure = best.number("best_share")
        share = "" if sure is None else f" (the best in {decimal(sure, 0)} % of draws)"
        sentences.append(f"{sweep}: a dose of {decimal(best.needed('dose'), 2)}, {best['mix']}, scored highest{share}")
    return f"{'; '.join(sentences)}." if sentences else ""


def _total(inputs: Inputs) -> str:
    """Return what the values sum to; for a linear surface, what it rests on and how well it fits."""
    if inputs.rows("attribution", method="shapley"):
        return "The values sum to the difference between the mix of all and base."
    noted = [
        part
        for row in inputs.rows("attribution", method="shapley_linear", scope_kind="all", task="all")
        for part in row["note"].split("; ")
    ]
    through = next((part for part in noted if part.startswith("from a linear surface")), "from a linear surface")
    beware = (
        " It does not fit some of the measures (see the notes of the table): there the values describe the "
        "plane that best fits these mixes, not each mix."
        if any(part.startswith("the surface does not fit") for part in noted)
        else ""
    )
    return (
        f"Not every coalition of components was trained, so their values are read {through}; they sum to its value at "
        f"the equal blend of all less base. Interactions cannot be read from it.{beware}"
    )


def _sizes(inputs: Inputs) -> str:
    """Return what the sizes of the mixes mean for the values."""
    noted = {part for row in inputs.rows("attribution") for part in row["note"].split("; ") if "sizes" in part}
    if noted:
        return f"Note: {'; '.join(sorted(noted))}. The effect of training as such is shared among the components."
    return (
        "All mixes have one size, so a component that joins replaces data of the others, and the effect of "
        "training as such is shared among them."
    )


def _attribution_tables(inputs: Inputs, suite: str) -> list[Table]:
    """Return differences (Shapley values, interactions) in one table, levels of the fitted models in another."""
    rows = [row for row in inputs.rows("attribution", suite=suite, task="all") if row["scope_kind"] != "benchmark"]
    here = scopes(((row["scope_kind"], row["scope"]) for row in rows), inputs.spec.components)
    rows_of = {(method, scope): terms(inputs, suite, method, scope) for method in METHODS for _, scope in here}
    used = [method for method in METHODS if rows_of[method, "all"]]
    tables = []
    for levels in (False, True):
        methods = [method for method in used if method.startswith("scheffe") is levels]
        if methods:
            tables.append(_terms_table(inputs, suite, methods, here, rows_of))
    return tables


def _terms_table(
    inputs: Inputs,
    suite: str,
    methods: list[str],
    here: list[tuple[str, str]],
    rows_of: dict[tuple[str, str], list[Row]],
) -> Table:
    """Return a row for each term of some methods that are all differences, or all levels."""
    levels = methods[0].startswith("scheffe")
    lines = []
    for method in methods:
        backbones = dict.fromkeys(row["backbone"] for row in rows_of[method, "all"])
        for backbone in backbones:
            for term in dict.fromkeys(row["term"] for row in rows_of[method, "all"]):
                values = [
                    next(
                        (row for row in rows_of[method, scope] if (row["term"], row["backbone"]) == (term, backbone)),
                        None,
                    )
                    for _, scope in here
                ]
                title = component_title(term, inputs.spec.components)
                name = f"{title} ({backbone})" if len(backbones) > 1 else title
                lines.append([Cell(name), Cell(NAMES[method]), *(estimate(row, 1, sign=not levels) for row in values)])
    first = rows_of[methods[0], "all"][0]
    columns = [Column("term", heading=True), Column("method")]
    columns += [Column(scope_title(*scope, inputs.spec.components), number=True) for scope in here]
    described = "; ".join(f"{NAMES[method]}: {METHODS[method]}" for method in methods)
    unit = first["unit"] if levels else unit_name(first["unit"])
    return table(
        f"mixture-{suite}" if levels else f"attribution-{suite}",
        f"{'The model behind them' if levels else 'What each component adds'}, suite {suite}",
        f"{sentence(measure_name(first['metric'], first['decoding']))}, in {unit}. {described}.",
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
        "How often a dose is the best of its sweep shows how certain the optimum is.",
        columns,
        lines,
        layout.table("dose_response"),
    )
