"""The tables of all scores: every model, every benchmark, component and task."""

from collections.abc import Sequence

from posologie.records import layout
from posologie.records.components import in_order
from posologie.report import flips
from posologie.report.blocks import Block, Cell, Column, Figure, Heading, Prose, Section, Table
from posologie.report.inputs import Inputs
from posologie.report.tables import Row, estimate, number_cell, table
from posologie.report.words import measure_name, scope_title, sentence
from posologie.statistics.spec import Measured

_CHOICES = [
    ("em", "constrained"),
    ("em", "greedy"),
    ("hamming", "constrained"),
    ("hamming", "greedy"),
    ("invalid", "greedy"),
    ("cut_unread", "greedy"),
    ("label_mass", "probabilities"),
    ("calibration_error", "probabilities"),
]
_TEXTS = ("rouge2", "rougeL", "meteor", "chrf_corpus", "bleu_corpus", "bertscore", "words")


def section(inputs: Inputs, figures: dict[str, Figure]) -> Section | None:
    """Return the section of score tables; None if there are none."""
    blocks: list[Block] = []
    statistics = inputs.spec.statistics
    for suite in inputs.suites_of("mcqa"):
        blocks.append(Heading(f"Choice questions: {suite}"))
        if figure := figures.pop("mcqa", None):
            blocks.append(figure)
        blocks += [
            _models_table(inputs, "mcqa", suite, _CHOICES),
            _scopes_table(inputs, "mcqa", suite, statistics.primary_choice),
        ]
    for suite in inputs.suites_of("oeq"):
        blocks.append(Heading(f"Open questions: {suite}"))
        if figure := figures.pop("oeq", None):
            blocks.append(figure)
        blocks += [
            _models_table(inputs, "oeq", suite, [*open_measures(inputs, suite), *_silences(inputs, suite)]),
            _scopes_table(inputs, "oeq", suite, statistics.primary_text),
        ]
    if not blocks:
        return None
    intro = Prose(
        (
            "Sort a table by the title of a column, filter its rows by words, copy what is shown. The files behind the "
            "tables hold every benchmark, task, aggregate, decoding and order of options.",
        )
    )
    return Section("scores", "All scores", (intro, *blocks))


def open_measures(inputs: Inputs, suite: str) -> list[tuple[str, str]]:
    """Return the measures of open answers that a suite has: judges first, then the text metrics."""
    found = dict.fromkeys((row["metric"], row["decoding"]) for row in inputs.rows("oeq", suite=suite))
    judged = [measure for measure in found if measure[0].startswith("judge:")]
    return judged + [(metric, "greedy") for metric in _TEXTS if (metric, "greedy") in found]


def drawn_choices(inputs: Inputs) -> list[Row]:
    """Return the rows that the figure of choice questions draws: exact match on the first suite."""
    aggregate = inputs.spec.statistics.primary_choice.aggregate
    asked = {"task": "all", "metric": "em", "variants": "original", "aggregate": aggregate}
    rows = [row for suite in inputs.suites_of("mcqa")[:1] for row in inputs.rows("mcqa", suite=suite, **asked)]
    return [row for row in rows if row["scope_kind"] != "benchmark"]


def drawn_texts(inputs: Inputs) -> list[Row]:
    """Return the rows that the figure of open questions draws: every measure of the first suite but the length."""
    found: list[Row] = []
    for suite in inputs.suites_of("oeq")[:1]:
        rows = inputs.rows("oeq", suite=suite, scope_kind="all", task="all", aggregate="item_weighted")
        for measure in open_measures(inputs, suite):
            if measure[0] != "words":
                found += [row for row in rows if (row["metric"], row["decoding"]) == measure]
    return found


def _silences(inputs: Inputs, suite: str) -> list[tuple[str, str]]:
    """Return the measures that count a judge's replies without a verdict."""
    found = dict.fromkeys((row["metric"], row["decoding"]) for row in inputs.rows("oeq", suite=suite))
    return [measure for measure in found if measure[0].startswith("judge_unparsable:")]


def _models_table(inputs: Inputs, name: str, suite: str, measures: Sequence[tuple[str, str]]) -> Table:
    """Return a row for each arm and a column for each measure, on all items in their original order of options."""
    rows = inputs.rows(name, suite=suite, scope_kind="all", task="all", variants="original", aggregate="item_weighted")
    found = {(row["model"], row["metric"], row["decoding"]): row for row in rows}
    units = {(row["metric"], row["decoding"]): row["unit"] for row in rows}
    there = [measure for measure in measures if measure in units]
    columns = [Column("model", heading=True)]
    for measure in there:
        title = measure_name(*measure)
        columns.append(Column(f"{title}, %" if units[measure] == "%" else title, number=True))
    lines = [
        [Cell(arm.name), *(estimate(found.get((arm.model, *measure))) for measure in there)] for arm in inputs.arms
    ]
    count = max((int(row.needed("n")) for row in rows), default=0)
    caption = f"All {count:,} items in their original order of options, every item counting the same."
    return table(
        f"models-{suite}-{name}",
        f"All models, suite {suite}",
        f"{caption} {flips.procedures(inputs)}".strip() if name == "mcqa" else caption,
        columns,
        lines,
        layout.table(name),
    )


def _scopes_table(inputs: Inputs, name: str, suite: str, measured: Measured) -> Table:
    """Return a row for each scope and task and a column for each arm, for the primary measure."""
    groups: dict[tuple[str, str, str, str], dict[str, Row]] = {}
    for row in inputs.rows(name, suite=suite, metric=measured.metric, decoding=measured.decoding):
        if row["variants"] == measured.variants and (row["aggregate"] == "item_weighted" or row["task"] == "all"):
            key = (row["scope_kind"], row["scope"], row["task"], row["aggregate"])
            groups.setdefault(key, {})[row["model"]] = row
    columns = [Column("items", heading=True), Column("task"), Column("counts the same"), Column("n", number=True)]
    columns += [Column(arm.name, number=True) for arm in inputs.arms]
    lines = []
    components = in_order({key[1] for key in groups}, (one.name for one in inputs.spec.components))
    for key in sorted(groups, key=lambda key: _place(key, components)):
        kind, scope, task, aggregate = key
        first = next(iter(groups[key].values()))
        weighted = {"item_weighted": "item", "mean_of_benchmarks": "benchmark", "mean_of_tasks": "task"}[aggregate]
        cells = [
            Cell(scope_title(kind, scope, inputs.spec.components)),
            Cell(task.upper() if task != "all" else "all"),
            Cell(weighted),
        ]
        values = [estimate(groups[key].get(arm.model)) for arm in inputs.arms]
        lines.append([*cells, number_cell(first.number("n")), *values])
    return table(
        f"scopes-{suite}-{name}",
        f"By benchmark, component and task, suite {suite}",
        f"{sentence(measure_name(measured.metric, measured.decoding))}. An average over many items may count each "
        "item, each benchmark or each task the same. MCQU: one right answer; MCQ: several.",
        columns,
        lines,
        layout.table(name),
    )


def _place(key: tuple[str, str, str, str], components: Sequence[str]) -> tuple[int, int, str, str, str]:
    kind, scope, task, aggregate = key
    return (
        ("all", "provenance", "benchmark").index(kind),
        components.index(scope) if kind == "provenance" else 0,
        scope,
        "" if task == "all" else task,
        aggregate,
    )
