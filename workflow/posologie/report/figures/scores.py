"""Scores of all models with their intervals: choice questions, open questions, and what permuting the options does."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from posologie.items import PROVENANCES
from posologie.report.figures.style import new_figure
from posologie.report.inputs import Inputs, metric_name
from posologie.report.names import INK, MUTED, PROVENANCE_COLOURS
from posologie.report.tables import Row

_OPEN_METRICS = ("rouge2", "rougeL", "meteor", "chrf_corpus", "bleu_corpus", "bertscore")


def draw_choices(inputs: Inputs) -> Figure | None:
    """Return exact match of every model, under both decodings, on all items and on those of each provenance."""
    suites = inputs.suites_of("mcqa")
    if not suites:
        return None
    rows = [
        row
        for row in inputs.rows("mcqa", suite=suites[0], task="all", metric="em", variants="original")
        if row["aggregate"] == inputs.spec.statistics.primary_choice.aggregate
    ]
    scopes = _scopes(rows)
    figure, panels = _panels(inputs, len(scopes), sharex=True)
    for panel, (kind, scope) in zip(panels, scopes, strict=True):
        here = [row for row in rows if (row["scope_kind"], row["scope"]) == (kind, scope)]
        _points(
            inputs, panel, [row for row in here if row["decoding"] == "constrained"], -0.14, "o", INK, "constrained"
        )
        _points(inputs, panel, [row for row in here if row["decoding"] == "greedy"], 0.14, "s", MUTED, "greedy")
        panel.set_title(f"{'all items' if kind == 'all' else f'{scope} items'} (n = {int(float(here[0]['n'])):,})")
    _legend(figure, panels[0], 2)
    figure.supxlabel("exact match, original order of options (%)", fontsize=9, color=INK)
    return figure


def draw_texts(inputs: Inputs) -> Figure | None:
    """Return the text metrics of every model on all open questions."""
    suites = inputs.suites_of("oeq")
    if not suites:
        return None
    rows = [
        row
        for row in inputs.rows("oeq", suite=suites[0], scope_kind="all", task="all", variants="original")
        if row["aggregate"] == "item_weighted"
    ]
    metrics = [metric for metric in _OPEN_METRICS if any(row["metric"] == metric for row in rows)]
    figure, panels = _panels(inputs, len(metrics), sharex=False)
    for panel, metric in zip(panels, metrics, strict=True):
        here = [row for row in rows if row["metric"] == metric]
        _points(inputs, panel, here, 0, "o", INK, "")
        panel.set_title(metric_name(metric))
        panel.margins(x=0.08)
    figure.supxlabel(f"open questions (n = {int(float(rows[0]['n'])):,}), %", fontsize=9, color=INK)
    return figure


def draw_permutation(inputs: Inputs) -> Figure | None:
    """Return exact match in the original order, with permuted options, and permuted but scored against unmoved letters."""
    suites = inputs.suites_of("mcqa")
    measured = inputs.spec.statistics.primary_choice
    rows = [
        row
        for row in inputs.rows("mcqa", scope_kind="all", task="all", decoding="constrained")
        if row["suite"] in suites[:1] and row["aggregate"] == measured.aggregate
    ]
    if not any(row["variants"] == "permuted" for row in rows):
        return None
    figure, panels = _panels(inputs, 1, sharex=True)
    for metric, variants, shift, marker, colour, name in (
        ("em", "original", -0.2, "o", INK, "original order"),
        ("em", "permuted", 0.0, "D", PROVENANCE_COLOURS["native"], "permuted, gold follows its option"),
        ("em_unmapped", "permuted", 0.2, "X", PROVENANCE_COLOURS["translated"], "permuted, scored against the old letters"),
    ):  # fmt: skip
        here = [row for row in rows if (row["metric"], row["variants"]) == (metric, variants)]
        _points(inputs, panels[0], here, shift, marker, colour, name)
    _legend(figure, panels[0], 3)
    figure.supxlabel("exact match, constrained decoding (%)", fontsize=9, color=INK)
    return figure


def _scopes(rows: Sequence[Row]) -> list[tuple[str, str]]:
    found = {row["scope"] for row in rows if row["scope_kind"] == "provenance"}
    provenances = [("provenance", provenance) for provenance in PROVENANCES if provenance in found]
    return [("all", "all"), *(provenances if len(provenances) > 1 else [])]


def _panels(inputs: Inputs, count: int, *, sharex: bool) -> tuple[Figure, list[Axes]]:
    names = [inputs.name(model) for model in inputs.models]
    figure = new_figure(1.1 + 0.34 * len(names))
    panels = list(figure.subplots(1, count, sharex=sharex, sharey=True, squeeze=False)[0])
    for panel in panels:
        panel.grid(axis="x")
        panel.set_yticks(range(len(names)), names)
        panel.set_ylim(len(names) - 0.5, -0.5)
    return figure, panels


def _points(
    inputs: Inputs, panel: Axes, rows: Sequence[Row], shift: float, marker: str, colour: str, name: str
) -> None:
    """Draw one value and interval for each model."""
    place = {model.name: number for number, model in enumerate(inputs.models)}
    xs, ys = [], []
    for row in rows:
        value, low, high = (row.number(column) for column in ("value", "low", "high"))
        if row["model"] not in place or value is None:
            continue
        y = place[row["model"]] + shift
        if low is not None and high is not None:
            panel.plot([low, high], [y, y], color=colour, linewidth=1.3, solid_capstyle="butt")
        xs.append(value)
        ys.append(y)
    panel.plot(xs, ys, marker, color=colour, markersize=5, linestyle="none", label=name)


def _legend(figure: Figure, panel: Axes, columns: int) -> None:
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=columns)
