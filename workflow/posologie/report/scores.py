"""The tables of all scores: every model, every benchmark, component and task."""

from collections.abc import Sequence

from posologie.records import layout
from posologie.records.components import in_order
from posologie.report import bias
from posologie.report.blocks import Block, Cell, Column, Figure, Heading, Prose, Section, Table
from posologie.report.inputs import Inputs
from posologie.report.names import measure_name, scope_title, sentence
from posologie.report.tables import Row, decimal, estimate, number_cell, table
from posologie.scoring.metrics import shown_columns
from posologie.statistics.spec import Measured


def section(inputs: Inputs, figures: dict[str, Figure]) -> Section | None:
    """Return the section of score tables; None if there are none."""
    blocks: list[Block] = []
    statistics = inputs.spec.statistics
    for suite in inputs.suites_of("mcqa"):
        blocks.append(Heading(f"Choice questions: {suite}"))
        if figure := figures.pop("mcqa", None):
            blocks.append(figure)
        blocks += [
            _models_table(inputs, "mcqa", suite, shown_columns("choice")),
            *_scopes_tables(inputs, "mcqa", suite, statistics.primary_choice),
        ]
    for suite in inputs.suites_of("oeq"):
        blocks.append(Heading(f"Open questions: {suite}"))
        if figure := figures.pop("oeq", None):
            blocks.append(figure)
        blocks += [
            _models_table(inputs, "oeq", suite, [*open_measures(inputs, suite), *_silences(inputs, suite)]),
            *_scopes_tables(inputs, "oeq", suite, statistics.primary_text),
        ]
    if not blocks:
        return None
    lead = Prose((" ".join(filter(None, (highest(inputs, name) for name in ("mcqa", "oeq")))),), "lead")
    intro = Prose(
        (
            "Sort a table by the title of a column, filter its rows by words, copy what is shown. The files behind the "
            "tables hold every benchmark, task, aggregate, decoding and order of options.",
        )
    )
    return Section("scores", "All scores", (*([lead] if lead.paragraphs[0] else []), *blocks, intro))


def highest(inputs: Inputs, name: str) -> str:
    """Say which model scores highest in the primary measure of the first suite, beside base; empty without scores."""
    suites = inputs.suites_of(name)
    statistics = inputs.spec.statistics
    measured = statistics.primary_choice if name == "mcqa" else statistics.primary_text
    if not suites:
        return ""
    rows = inputs.measured(inputs.rows(name, suite=suites[0], scope_kind="all", task="all"), measured)
    values = {row["model"]: value for row in rows if (value := row.number("value")) is not None}
    ways = {row["model"]: " or ".join(bias.procedures_of(row)) for row in rows}
    known = [arm for arm in inputs.arms if arm.model in values]
    if not known:
        return ""
    kind = "choice" if name == "mcqa" else "open"
    top = max(known, key=lambda arm: values[arm.model])
    unit = f" {rows[0]['unit']}".rstrip()
    of = f"{measure_name(measured.metric, measured.decoding)} ({int(rows[0].needed('n')):,} items)"
    if len(known) > 1 and len({values[arm.model] for arm in known}) == 1:
        return f"On {kind} questions all {len(known)} models score {decimal(values[top.model], 1)}{unit} in {of}."
    base = next((arm for arm in known if arm.arm == "base" and arm.backbone == top.backbone), None)
    beside = ""
    if base is not None and base is not top:
        beside = f", against {decimal(values[base.model], 1)}{unit} of the base model"
    by = f", with labels by {ways[top.model]}" if ways[top.model] else ""
    name = "the base model" if top is base else top.name
    return f"On {kind} questions {name} scores highest, {decimal(values[top.model], 1)}{unit} in {of}{by}{beside}."


def open_measures(inputs: Inputs, suite: str) -> list[tuple[str, str]]:
    """Return the measures of open answers that a suite has: judges first, then the text metrics."""
    present = dict.fromkeys((row["metric"], row["decoding"]) for row in inputs.rows("oeq", suite=suite))
    judged = [measure for measure in present if measure[0].startswith("judge:")]
    return judged + [column for column in shown_columns("open") if column in present]


def drawn_choices(inputs: Inputs) -> list[Row]:
    """Return the rows that the figure of choice questions draws: exact match on the first suite."""
    aggregate = inputs.spec.statistics.primary_choice.aggregate
    cells = {"task": "all", "metric": "em", "variants": "original", "aggregate": aggregate}
    rows = [row for suite in inputs.suites_of("mcqa")[:1] for row in inputs.rows("mcqa", suite=suite, **cells)]
    return [row for row in rows if row["scope_kind"] != "benchmark"]


def drawn_texts(inputs: Inputs) -> list[Row]:
    """Return the rows that the figure of open questions draws: every measure of the first suite but the length."""
    drawn: list[Row] = []
    for suite in inputs.suites_of("oeq")[:1]:
        rows = inputs.rows("oeq", suite=suite, scope_kind="all", task="all", aggregate="item_weighted")
        for measure in open_measures(inputs, suite):
            if measure[0] != "words":
                drawn += [row for row in rows if (row["metric"], row["decoding"]) == measure]
    return drawn


def _silences(inputs: Inputs, suite: str) -> list[tuple[str, str]]:
    """Return the measures that count a judge's replies without a verdict."""
    present = dict.fromkeys((row["metric"], row["decoding"]) for row in inputs.rows("oeq", suite=suite))
    return [measure for measure in present if measure[0].startswith("judge_unparsable:")]


def _models_table(inputs: Inputs, name: str, suite: str, measures: Sequence[tuple[str, str]]) -> Table:
    """Return a row for each arm and a column for each measure, on all items in their original order of options."""
    rows = inputs.rows(name, suite=suite, scope_kind="all", task="all", variants="original", aggregate="item_weighted")
    by_measure = {(row["model"], row["metric"], row["decoding"]): row for row in rows}
    units = {(row["metric"], row["decoding"]): row["unit"] for row in rows}
    present = [measure for measure in measures if measure in units]
    columns = [Column("model", heading=True)]
    for measure in present:
        title = measure_name(*measure)
        columns.append(Column(f"{title}, %" if units[measure] == "%" else title, number=True))
    lines = [
        [Cell(arm.name), *(estimate(by_measure.get((arm.model, *measure))) for measure in present)]
        for arm in inputs.arms
    ]
    count = max((int(row.needed("n")) for row in rows), default=0)
    caption = f"All {count:,} items in their original order of options, every item counting the same."
    return table(
        f"models-{suite}-{name}",
        f"All models, suite {suite}",
        f"{caption} {bias.procedures(inputs)}".strip() if name == "mcqa" else caption,
        columns,
        lines,
        layout.table(name),
    )


_WEIGHTED = {"item_weighted": "item", "mean_of_benchmarks": "benchmark", "mean_of_tasks": "task"}


def _scopes_tables(inputs: Inputs, name: str, suite: str, measured: Measured) -> list[Table]:
    """Return the primary measure by component and benchmark, a table for all tasks and each single one; and weights.

    A row is a model, or a scope where there are more of these: the longer list goes down the page.
    """
    groups: dict[tuple[str, str, str, str], dict[str, Row]] = {}
    for row in inputs.rows(name, suite=suite, metric=measured.metric, decoding=measured.decoding):
        if row["variants"] == measured.variants and (row["aggregate"] == "item_weighted" or row["task"] == "all"):
            key = (row["task"], row["scope_kind"], row["scope"], row["aggregate"])
            groups.setdefault(key, {})[row["model"]] = row
    components = in_order({key[2] for key in groups}, (component.name for component in inputs.spec.components))
    keys = sorted(groups, key=lambda key: _place(key, components))
    tasks = sorted({key[0] for key in keys}, key=lambda task: (task != "all", task))
    shown = [(task, [key for key in keys if key[0] == task and key[3] == "item_weighted"]) for task in tasks]
    shown = [(task, here) for task, here in shown if here and (task == "all" or len(tasks) > 2)]
    weights = [key for key in keys if key[:3] == ("all", "all", "all")]
    about = f"{sentence(measure_name(measured.metric, measured.decoding))}"
    procedures = f" {named}" if measured.decoding == "constrained" and (named := bias.procedures(inputs)) else ""
    tables = []
    for task, here in shown:
        of = "" if task == "all" else f", {task.upper()}"
        titles = [scope_title(kind, scope, inputs.spec.components) for _, kind, scope, _ in here]
        tables.append(
            _grid(
                inputs,
                f"scopes-{suite}-{name}" + ("" if task == "all" else f"-{task}"),
                f"By component and benchmark{of}, suite {suite}",
                f"{about}, every item counting the same.{_TASKS.get(task, '')}{procedures}",
                [(title, groups[key]) for title, key in zip(titles, here, strict=True)],
                name,
            )
        )
    if len(weights) > 1:
        columns = [(f"every {_WEIGHTED[key[3]]} counts the same", groups[key]) for key in weights]
        caption = f"{about}. An average over many items may weight items, benchmarks or tasks equally."
        caption += procedures
        tables.append(_grid(inputs, f"weights-{suite}-{name}", f"By weighting, suite {suite}", caption, columns, name))
    return tables


_TASKS = {"mcqu": " MCQU: one right answer.", "mcq": " MCQ: several right answers."}


def _grid(
    inputs: Inputs, id: str, title: str, caption: str, scopes: Sequence[tuple[str, dict[str, Row]]], file: str
) -> Table:
    """Return a table of arms and scopes, the longer list as rows."""
    counts = {name: int(next(iter(rows.values())).needed("n")) for name, rows in scopes}
    if len(scopes) <= max(len(inputs.arms), 4):
        columns = [Column("model", heading=True)]
        columns += [Column(f"{name} (n = {counts[name]:,})", number=True) for name, _ in scopes]
        lines = [[Cell(arm.name), *(estimate(rows.get(arm.model)) for _, rows in scopes)] for arm in inputs.arms]
    else:
        columns = [Column("items", heading=True), Column("n", number=True)]
        columns += [Column(arm.name, number=True) for arm in inputs.arms]
        lines = [
            [Cell(name), number_cell(counts[name]), *(estimate(rows.get(arm.model)) for arm in inputs.arms)]
            for name, rows in scopes
        ]
    return table(id, title, caption, columns, lines, layout.table(file))


def _place(key: tuple[str, str, str, str], components: Sequence[str]) -> tuple[int, int, str, str]:
    _, kind, scope, aggregate = key
    return (
        ("all", "provenance", "benchmark").index(kind),
        components.index(scope) if kind == "provenance" else 0,
        scope,
        aggregate,
    )
