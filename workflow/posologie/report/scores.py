"""The main tables: every model's scores, and each mix against base."""

from collections.abc import Sequence

from posologie import layout
from posologie.items import PROVENANCES
from posologie.report.blocks import Block, Cell, Column, Figure, Heading, Prose, Section, Table
from posologie.report.effects import Comparison
from posologie.report.inputs import AGGREGATES, Inputs, measure_name, metric_name, scope_title
from posologie.report.tables import Row, decimal, estimate, number_cell
from posologie.statistics.spec import Measured

_CHOICES = (
    ("em", "constrained"),
    ("em", "greedy"),
    ("hamming", "constrained"),
    ("hamming", "greedy"),
    ("invalid", "greedy"),
)
_TEXTS = ("rouge2", "rougeL", "meteor", "chrf_corpus", "bleu_corpus", "bertscore", "words")


def effects_table(inputs: Inputs, comparison: Comparison) -> Table:
    """Return each mix against base: a column for each scope, and the verdict on all items."""
    arms = list(dict.fromkeys((effect.backbone, effect.arm) for effect in comparison.effects))
    several = len({backbone for backbone, _ in arms}) > 1
    unit = "points" if comparison.effects[0].unit == "%" else comparison.effects[0].unit
    scopes = comparison.scopes
    columns = [Column("mix", heading=True)]
    columns += [
        Column(f"{scope_title('all' if scope == 'all' else 'provenance', scope)}, {unit}", number=True)
        for scope in scopes
    ]
    columns += [
        Column("p, corrected", number=True),
        Column("smallest detectable", number=True),
        Column("verdict, all items"),
    ]
    rows = []
    for backbone, arm in arms:
        found = {
            effect.scope: effect for effect in comparison.effects if (effect.backbone, effect.arm) == (backbone, arm)
        }
        whole = found["all"]
        cells = [Cell(f"{arm} ({backbone})" if several else arm)]
        for scope in scopes:
            effect = found.get(scope)
            cells.append(Cell("–") if effect is None else estimate(effect.value, effect.low, effect.high, _signed))
        cells += [
            Cell("< 0.001" if whole.p_holm < 0.001 else f"{whole.p_holm:.3f}", sort=whole.p_holm),
            number_cell(whole.detectable, 1),
            Cell(whole.verdict, note=whole.note),
        ]
        rows.append(tuple(cells))
    measured = comparison.measured
    level = decimal(100 * inputs.spec.statistics.level, 0)
    return Table(
        f"table-effects-{comparison.suite}",
        f"Each mix against base, suite {comparison.suite}",
        f"Paired difference in {measure_name(measured.metric, measured.decoding)} ({AGGREGATES[measured.aggregate]}), with "
        f"{level} % intervals from draws of whole clusters of items; p after Holm's correction over the "
        f"{comparison.effects[0].family_size} comparisons of a column.",
        tuple(columns),
        tuple(rows),
        layout.table("contrasts"),
    )


def section(inputs: Inputs, figures: dict[str, Figure]) -> Section:
    """Return the section of score tables."""
    blocks: list[Block] = [
        Prose(
            (
                "Every value stands with its interval; n is the number of questions. Sort by a column's title, filter rows by "
                "words, copy what is shown. The files hold every benchmark, task, aggregate and decoding.",
            )
        )  # fmt: skip
    ]
    for suite in inputs.suites_of("mcqa"):
        blocks.append(Heading(f"Choice questions: {suite}"))
        if figure := figures.pop("mcqa", None):
            blocks.append(figure)
        blocks.append(_models_table(inputs, "mcqa", suite, _CHOICES))
        blocks.append(_scopes_table(inputs, "mcqa", suite, inputs.spec.statistics.primary_choice))
    for suite in inputs.suites_of("oeq"):
        blocks.append(Heading(f"Open questions: {suite}"))
        if figure := figures.pop("oeq", None):
            blocks.append(figure)
        blocks.append(_models_table(inputs, "oeq", suite, [(metric, "greedy") for metric in _TEXTS]))
        blocks.append(_scopes_table(inputs, "oeq", suite, inputs.spec.statistics.primary_text))
    return Section("scores", "All scores", tuple(blocks))


def _models_table(inputs: Inputs, table: str, suite: str, measures: Sequence[tuple[str, str]]) -> Table:
    """Return a row for each model and a column for each measure, on all items in their original order of options."""
    rows = inputs.rows(table, suite=suite, scope_kind="all", task="all", variants="original", aggregate="item_weighted")
    found = {(row["model"], row["metric"], row["decoding"]): row for row in rows}
    there = [measure for measure in measures if any(key[1:] == measure for key in found)]
    units = {(row["metric"], row["decoding"]): row["unit"] for row in rows}
    columns = [Column("model", heading=True), Column("n", number=True)]
    columns += [
        Column(_column_title(metric, decoding, units[metric, decoding]), number=True) for metric, decoding in there
    ]
    lines = []
    for model in inputs.models:
        cells = [
            Cell(inputs.name(model)),
            number_cell(max((row.number("n") or 0 for row in rows if row["model"] == model.name), default=None)),
        ]
        cells += [_value(found.get((model.name, metric, decoding))) for metric, decoding in there]
        lines.append(tuple(cells))
    return Table(
        f"table-models-{suite}-{table}", f"All models, suite {suite}", "All items of the suite, every item counting the same.",
        tuple(columns), tuple(lines), layout.table(table),
    )  # fmt: skip


def _scopes_table(inputs: Inputs, table: str, suite: str, measured: Measured) -> Table:
    """Return a row for each scope and task and a column for each model, for the primary measure."""
    rows = [
        row
        for row in inputs.rows(table, suite=suite, metric=measured.metric, decoding=measured.decoding)
        if row["variants"] == measured.variants and (row["aggregate"] == "item_weighted" or row["task"] == "all")
    ]
    groups: dict[tuple[str, str, str, str], dict[str, Row]] = {}
    for row in rows:
        groups.setdefault((row["scope_kind"], row["scope"], row["task"], row["aggregate"]), {})[row["model"]] = row
    order = {"all": 0, "provenance": 1, "benchmark": 2}
    columns = [Column("items", heading=True), Column("task"), Column("aggregate"), Column("n", number=True)]
    columns += [Column(inputs.name(model), number=True) for model in inputs.models]
    lines = []
    for (kind, scope, task, aggregate), found in sorted(
        groups.items(), key=lambda entry: (order[entry[0][0]], _rank(entry[0][1]))
    ):
        first = next(iter(found.values()))
        cells = [
            Cell(scope_title(kind, scope)),
            Cell(task),
            Cell(aggregate.replace("_", " ")),
            number_cell(first.number("n")),
        ]
        cells += [_value(found.get(model.name)) for model in inputs.models]
        lines.append(tuple(cells))
    return Table(
        f"table-scopes-{suite}-{table}",
        f"By benchmark, provenance and task: {measure_name(measured.metric, measured.decoding)}, suite {suite}",
        "Aggregates are named by what counts the same: each item, each benchmark, or each task.",
        tuple(columns),
        tuple(lines),
        layout.table(table),
    )


def _rank(scope: str) -> tuple[int, str]:
    return (list(PROVENANCES).index(scope) if scope in PROVENANCES else 0, scope)  # type: ignore[arg-type]


def _column_title(metric: str, decoding: str, unit: str) -> str:
    shown = (
        metric_name(metric)
        if decoding == "greedy" and not metric.startswith(("em", "hamming"))
        else measure_name(metric, decoding)
    )
    return f"{shown}, {unit}" if unit and unit != "words" else shown


def _value(row: Row | None) -> Cell:
    if row is None:
        return Cell("–")
    digits = 1 if row["unit"] in ("%", "words") else 3
    return estimate(
        row.number("value"), row.number("low"), row.number("high"), lambda value: decimal(value, digits), row["note"]
    )


def _signed(value: float | None) -> str:
    return decimal(value, 1, sign=True)
