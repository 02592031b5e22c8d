"""Scores of all models with their intervals: choice questions, open questions, and what permuting the options does."""

from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from posologie.report.figures.style import Mark, legend_above, name_rows, point, row_panels, x_title
from posologie.report.inputs import Inputs
from posologie.report.names import COLOURS, INK, MUTED
from posologie.report.scores import drawn_choices, drawn_texts
from posologie.report.tables import Row, decimal, interval
from posologie.report.words import metric_name, scope_title, scopes

_LEAST = 10.0
"""Percentage points that an axis shows at least: a difference of half a point shall not fill a panel."""


def draw_choices(inputs: Inputs) -> Figure | None:
    """Return exact match of every arm, under both decodings, on all items and on those of each component."""
    suites = inputs.suites_of("mcqa")
    if not suites:
        return None
    rows = drawn_choices(inputs)
    here = scopes(((row["scope_kind"], row["scope"]) for row in rows), inputs.spec.components)
    figure, panels = _panels(inputs, len(here), extra=1.1)
    for panel, (kind, scope) in zip(panels, here, strict=True):
        found = [row for row in rows if (row["scope_kind"], row["scope"]) == (kind, scope)]
        for decoding, shift, marker, colour in (("constrained", -0.14, "o", INK), ("greedy", 0.14, "s", MUTED)):
            _points(
                inputs, panel, (row for row in found if row["decoding"] == decoding), shift, marker, colour, decoding
            )
        panel.set_title(f"{scope_title(kind, scope, inputs.spec.components)} (n = {int(found[0].needed('n')):,})")
    legend_above(figure, panels[0], 2)
    x_title(figure, "exact match, original order of options (%)")
    return figure


def draw_texts(inputs: Inputs) -> Figure | None:
    """Return what judges and text metrics say of every arm's open answers."""
    suites = inputs.suites_of("oeq")
    if not suites:
        return None
    rows = drawn_texts(inputs)
    measures = list(dict.fromkeys((row["metric"], row["decoding"]) for row in rows))
    figure, panels = _panels(inputs, len(measures), sharex=False)
    for panel, (metric, decoding) in zip(panels, measures, strict=True):
        here = [row for row in rows if (row["metric"], row["decoding"]) == (metric, decoding)]
        _points(inputs, panel, here, 0, "o", INK, None, metric_name(metric))
        panel.set_title(metric_name(metric).replace(" by ", "\nby "))
        panel.margins(x=0.08)
        low, high = panel.get_xlim()
        if here and here[0]["unit"] == "%" and high - low < _LEAST:
            middle = min(max((low + high) / 2, _LEAST / 2), 100 - _LEAST / 2)
            panel.set_xlim(middle - 0.54 * _LEAST, middle + 0.54 * _LEAST)  # so that no point at 0 is cut
    x_title(figure, f"open questions (n = {int(rows[0].needed('n')):,}), %")
    return figure


def draw_position(inputs: Inputs) -> Figure | None:
    """Return exact match in the original order, permuted, and permuted but scored against the letters of before."""
    suites = inputs.suites_of("mcqa")
    rows = [
        row
        for row in inputs.rows("mcqa", scope_kind="all", task="all", decoding="constrained")
        if row["suite"] in suites[:1] and row["aggregate"] == "item_weighted"
    ]
    if not any(row["variants"] == "permuted" for row in rows):
        return None
    figure, panels = _panels(inputs, 1, extra=1.1)
    for metric, variants, shift, marker, colour, name in (
        ("em", "original", -0.22, "o", INK, "original order"),
        ("em", "permuted", 0.0, "D", COLOURS["blue"], "permuted, gold follows its option"),
        ("em_unmapped", "permuted", 0.22, "X", COLOURS["vermillion"], "permuted, scored on old letters"),
    ):
        here = (row for row in rows if (row["metric"], row["variants"]) == (metric, variants))
        _points(inputs, panels[0], here, shift, marker, colour, name)
    legend_above(figure, panels[0], 3)
    x_title(figure, "exact match, constrained decoding (%)")
    return figure


def _panels(inputs: Inputs, count: int, *, sharex: bool = True, extra: float = 0.9) -> tuple[Figure, list[Axes]]:
    """Return panels whose rows are the arms."""
    figure, panels = row_panels([arm.name for arm in inputs.arms], count, sharex=sharex, extra=extra)
    name_rows(panels[0], [Mark(arm.name, arm.name, inputs.parts(arm.arm)) for arm in inputs.arms])
    return figure, panels


def _points(
    inputs: Inputs, panel: Axes, rows: Iterable[Row], shift: float, marker: str, colour: str, name: str | None,
    what: str = "",
) -> None:  # fmt: skip
    """Draw one value and interval for each arm."""
    place = {arm.model: number for number, arm in enumerate(inputs.arms)}
    for row in rows:
        value = row.number("value")
        if row["model"] in place and value is not None:
            low, high = row.number("low"), row.number("high")
            y = place[row["model"]]
            arm = inputs.arms[y]
            shown = f"{decimal(value, 1)} {row['unit']}".rstrip()
            text = f"{arm.name}, {name or what}: {shown} {interval(low, high, 1)}".rstrip()
            mark = Mark(text, arm.name, inputs.parts(arm.arm), value)
            point(panel, value, y + shift, low, high, colour=colour, marker=marker, name=name, mark=mark)
