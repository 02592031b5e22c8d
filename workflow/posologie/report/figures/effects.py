"""What each mix changes: the figure of the answer, the main figure, and whether gains carry over."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from posologie.report.answer import overall_effects
from posologie.report.composition import components_of, mixes
from posologie.report.effects import Comparison, Effect, compared, comparisons
from posologie.report.figures.style import (
    PANEL,
    Mark,
    legend_columns,
    name_rows,
    new_figure,
    point,
    row_panels,
    x_title,
)
from posologie.report.inputs import Inputs
from posologie.report.names import COLOURS, INK, MUTED, PAPER, component_title, hatch, measure_name, unit_name
from posologie.report.surface import SurfaceTable, mix_of, surface_table
from posologie.report.tables import Row, decimal, interval

_NARROW = 4.9
"""Inches: a figure that a phone shows without scrolling sideways."""

_MOST = 12
"""Mixes in the figure of the answer: the highest."""


def draw(inputs: Inputs) -> Figure | None:
    """Return the figure of the first suite that has contrasts; None if none has."""
    all_comparisons = comparisons(inputs)
    if not all_comparisons:
        return None
    comparison = all_comparisons[0]
    whole = comparison.on("all", "all")
    names = [effect.name for effect in whole]
    figure, panels = row_panels(names, len(comparison.scopes))
    name_rows(panels[0], [Mark(effect.name, effect.name, inputs.components_of(effect.arm)) for effect in whole])
    for panel, (kind, scope) in zip(panels, comparison.scopes, strict=True):
        effects = comparison.on(kind, scope)
        title = comparison.title(kind, scope)
        panel.axvline(0, color=MUTED, linewidth=1)
        for effect in effects:
            _point(inputs, panel, effect, names.index(effect.name), title)
        panel.set_title(f"{title} (n = {max((effect.n for effect in effects), default=0):,})")
    x_title(figure, _axis(comparison, "percentage points"))
    return figure


def _axis(comparison: Comparison, points: str) -> str:
    measured, unit = comparison.measured, comparison.effects[0].unit
    return (
        f"{measure_name(measured.metric, measured.decoding)}: difference from base ({points if unit == '%' else unit})"
    )


def _point(inputs: Inputs, panel: Axes, effect: Effect, y: float, title: str) -> None:
    """Draw an effect: filled where it is settled."""
    between = interval(effect.low, effect.high, 1, sign=True)
    text = f"{effect.name}, {title}: {decimal(effect.value, 1, sign=True)} {unit_name(effect.unit)} {between}".rstrip()
    mark = Mark(f"{text}; {effect.verdict}", effect.name, inputs.components_of(effect.arm), effect.value)
    fill = PAPER if effect.verdict == "not settled" else INK
    point(panel, effect.value, y, effect.low, effect.high, fill=fill, mark=mark)


def draw_answer(inputs: Inputs) -> Figure | None:
    """Return the dose and its region where a surface is supported, or else what each mix holds and what it changes."""
    fitted = surface_table(inputs)
    if fitted is not None and fitted.supported and fitted.rows("share"):
        return _dose(inputs, fitted)
    comparison, overall = overall_effects(comparisons(inputs))
    return None if comparison is None else _response(inputs, comparison, overall)


def _dose(inputs: Inputs, fitted: SurfaceTable) -> Figure:
    """Return a row for each component: its share in the best mix, and in the mixes that may be as good."""
    best = mix_of(fitted.only_row("optimum"))
    bounds = {row["name"]: (100 * row.needed("low"), 100 * row.needed("high")) for row in fitted.rows("share")}
    shown = {component.name: COLOURS[component.colour] for component in inputs.spec.components}
    figure, (panel,) = row_panels([fitted.title(name) for name in best], 1, extra=0.75, width=_NARROW)
    for y, (name, share) in enumerate(best.items()):
        low, high = bounds.get(name, (0.0, 100.0))
        text = (
            f"{fitted.title(name)}: {decimal(100 * share, 0)} % of the best mix; {decimal(low, 0)} to "
            f"{decimal(high, 0)} % in mixes that may be as good"
        )
        mark = Mark(text, name)
        colour = shown.get(name, INK)
        panel.barh(y, high - low, left=low, height=0.5, color=colour, alpha=0.3, linewidth=0, gid=mark.gid)
        point(panel, 100 * share, y, None, None, colour=colour, marker="D", mark=mark)
    panel.set_xlim(-2, 102)
    x_title(figure, "% of the mix: the best dose, and its region")
    return figure


def _response(inputs: Inputs, comparison: Comparison, overall: Sequence[Effect]) -> Figure:
    """Return a row for each mix, the highest first: bars of what it holds, and its difference from base."""
    ranked = sorted(overall, key=lambda effect: -effect.value)[:_MOST]
    contents = mixes(inputs)
    shown = [
        component
        for component in components_of(inputs, contents)
        if any(mix.components.get(component.name) for mix in contents)
    ]
    columns = legend_columns([component.title for component in shown], _NARROW)
    lines = -(-len(shown) // columns) if shown else 0
    figure = new_figure(0.75 + 0.26 * max(len(ranked), 2) + 0.2 * lines, _NARROW)
    if shown:
        left, panel = figure.subplots(1, 2, sharey=True, width_ratios=(1, 2.4))
    else:
        panel = figure.subplots()
        left = panel
    left.set_yticks(range(len(ranked)), [effect.arm for effect in ranked])
    name_rows(left, [Mark(effect.arm, effect.arm, inputs.components_of(effect.arm)) for effect in ranked])
    left.set_ylim(len(ranked) - 0.4, -0.6)
    for number, component in enumerate(shown):
        start = [_start(inputs, effect.arm, [earlier.name for earlier in shown[:number]]) for effect in ranked]
        for y, effect in enumerate(ranked):
            share = 100 * inputs.shares.get(effect.arm, {}).get(component.name, 0)
            if share:
                mark = Mark(
                    f"{effect.arm}: {decimal(share, 0)} % {component.title}",
                    effect.arm,
                    inputs.components_of(effect.arm),
                )
                left.barh(y, share, left=start[y], height=0.6, color=COLOURS[component.colour], hatch=hatch(number),
                          edgecolor=PAPER, linewidth=0.6, label=component.title, gid=mark.gid)  # fmt: skip
    if shown:
        left.set_xlim(0, 100)
        left.set_xticks([])
        left.spines[["bottom", "left"]].set_visible(False)
        left.set_title("holds")
        handles, names = left.get_legend_handles_labels()
        named = dict(zip(names, handles, strict=True))
        figure.legend(list(named.values()), list(named), loc="outside upper left", ncols=columns)
    panel.axvline(0, color=MUTED, linewidth=1)
    panel.grid(axis="x")
    panel.set_gid(PANEL)
    panel.spines["left"].set_visible(not shown)
    for y, effect in enumerate(ranked):
        _point(inputs, panel, effect, y, "all items")
    panel.set_title(f"changes, in {unit_name(ranked[0].unit)} (n = {ranked[0].n:,})")
    measured = comparison.measured
    which = f"\nthe {len(ranked)} highest of {len(overall)} mixes" if len(overall) > len(ranked) else ""
    x_title(figure, f"{measure_name(measured.metric, measured.decoding)}: difference from base{which}")
    return figure


def _start(inputs: Inputs, mix: str, names: Sequence[str]) -> float:
    return 100 * sum(inputs.shares.get(mix, {}).get(name, 0.0) for name in names)


def draw_transfer(inputs: Inputs) -> Figure | None:
    """Return, for the first suite, how much more each mix gains on items of one component than on another's."""
    by_suite = compared(inputs)
    if not by_suite:
        return None
    _, rows = by_suite[0]
    pairs = list(dict.fromkeys((row["left"], row["right"]) for row in rows))
    names = list(dict.fromkeys(_mix_name(row, rows) for row in rows))
    figure, panels = row_panels(names, len(pairs))
    titles = inputs.spec.components
    for panel, pair in zip(panels, pairs, strict=True):
        panel.axvline(0, color=MUTED, linewidth=1)
        for row in (row for row in rows if (row["left"], row["right"]) == pair):
            value, low, high = (row.number(key) for key in ("value", "low", "high"))
            if value is not None:
                name = _mix_name(row, rows)
                text = f"{name}: {decimal(value, 1, sign=True)} {interval(low, high, 1, sign=True)}".rstrip()
                mark = Mark(text, name, inputs.components_of(row["mix"]), value)
                fill = PAPER if row["verdict"] == "not settled" else INK
                point(panel, value, names.index(name), low, high, fill=fill, mark=mark)
        panel.set_title(" less ".join(component_title(name, titles) for name in pair))
    x_title(figure, f"gain on items of the first less gain on those of the second ({unit_name(rows[0]['unit'])})")
    return figure


def _mix_name(row: Row, rows: Sequence[Row]) -> str:
    several = len({other["backbone"] for other in rows}) > 1
    return f"{row['mix']} ({row['backbone']})" if several else row["mix"]
