"""Figures of components: what each adds, what each mix holds, and the response surface."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

from posologie.report.attribution import SHAPLEY, terms
from posologie.report.composition import components_of, mixes
from posologie.report.figures import designs
from posologie.report.figures.designs import Array
from posologie.report.figures.style import Mark, legend_above, name_rows, new_figure, point, row_panels, x_title
from posologie.report.inputs import Inputs
from posologie.report.names import (
    COLOURS,
    INK,
    MUTED,
    PAPER,
    component_title,
    hatch,
    line_style,
    measure_name,
    scope_title,
    scopes,
    unit_name,
)
from posologie.report.surface import SurfaceTable, mix_of, surface_table
from posologie.report.tables import Row, decimal, interval

_MOST_WITH_INTERACTIONS = 4


def draw_attribution(inputs: Inputs) -> Figure | None:
    """Return Shapley values and interactions on all items and on those of each component, for the first backbone.

    With more than four components the interactions are left to the table: there are too many for a figure.
    """
    suites = inputs.suites_of("attribution")
    if not suites:
        return None
    rows = inputs.rows("attribution", suite=suites[0], task="all")
    here = scopes(((row["scope_kind"], row["scope"]) for row in rows), inputs.spec.components)
    several = len({row["term"] for row in rows if row["method"] in SHAPLEY}) > _MOST_WITH_INTERACTIONS
    methods = SHAPLEY if several else (*SHAPLEY, "interaction")
    shown = {(method, scope): terms(inputs, suites[0], method, scope) for method in methods for _, scope in here}
    first = [row for method in methods for row in shown[method, "all"]]
    if not first:
        return None
    backbone = first[0]["backbone"]
    names = [row["term"] for row in first if row["backbone"] == backbone]
    colours = {component.name: COLOURS[component.colour] for component in inputs.spec.components}
    figure, panels = row_panels([component_title(name, inputs.spec.components) for name in names], len(here))
    for panel, (kind, scope) in zip(panels, here, strict=True):
        panel.axvline(0, color=MUTED, linewidth=1)
        for row in (row for method in methods for row in shown[method, scope] if row["backbone"] == backbone):
            colour = colours.get(row["term"], INK)
            low, high = row.number("low"), row.number("high")
            title, value = component_title(row["term"], inputs.spec.components), row.needed("value")
            value_text = f"{decimal(value, 1, sign=True)} {unit_name(row['unit'])} {interval(low, high, 1, sign=True)}"
            mark = Mark(f"{title}: {value_text}".rstrip(), title, tuple(row["term"].split("+")), value)
            point(panel, value, names.index(row["term"]), low, high, colour=colour, mark=mark)
        panel.set_title(scope_title(kind, scope, inputs.spec.components))
    x_title(figure, f"{measure_name(first[0]['metric'], first[0]['decoding'])}: {unit_name(first[0]['unit'])} added")
    return figure


def draw_doses(inputs: Inputs) -> Figure | None:
    """Return a panel for each sweep: value by dose, with intervals, on the first backbone and measure."""
    suites = inputs.suites_of("dose_response")
    if not suites:
        return None
    rows = inputs.rows("dose_response", suite=suites[0], scope="all", task="all")
    first = rows[0]
    same = ("metric", "decoding", "variants", "aggregate", "backbone")
    rows = [row for row in rows if all(row[key] == first[key] for key in same)]
    sweeps = list(dict.fromkeys(row["sweep"] for row in rows))
    figure = new_figure(2.8)
    panels = figure.subplots(1, len(sweeps), sharey=True, squeeze=False)[0]
    colour, _ = line_style(0)
    for panel, sweep in zip(panels, sweeps, strict=True):
        points = sorted((row for row in rows if row["sweep"] == sweep), key=lambda row: row.needed("dose"))
        doses, values = ([row.needed(key) for row in points] for key in ("dose", "value"))
        panel.plot(doses, values, color=colour)
        for row, dose, value in zip(points, doses, values, strict=True):
            low, high = row.number("low"), row.number("high")
            shown = f"{decimal(value, 1)} {row['unit']}".rstrip()
            text = f"{row['mix']}, dose {decimal(dose)}: {shown} {interval(low, high, 1)}".rstrip()
            mark = Mark(text, row["mix"], inputs.components_of(row["mix"]))
            panel.plot([dose], [value], "o", color=colour, markersize=5, gid=mark.gid)
            if low is not None and high is not None:
                panel.plot([dose, dose], [low, high], color=colour, linewidth=1.3)
        panel.set_title(sweep)
        panel.set_xlabel("dose")
        panel.grid(axis="y")
    panels[0].set_ylabel(f"{measure_name(first['metric'], first['decoding'])} ({first['unit']})")
    return figure


_LEGEND_COLUMNS = 5
"""Names in a line of the legend."""


def draw_composition(inputs: Inputs) -> Figure | None:
    """Return the number of training items of every mix by component."""
    contents = mixes(inputs)
    if not contents:
        return None
    shown = [
        component
        for component in components_of(inputs, contents)
        if any(mix.components.get(component.name) for mix in contents)
    ]
    segments = [
        _Segment(
            component.title,
            [mix.components.get(component.name, 0) for mix in contents],
            COLOURS[component.colour],
            hatch(number),
        )
        for number, component in enumerate(shown)
    ]
    held = [tuple(component.name for component in shown if mix.components.get(component.name)) for mix in contents]
    figure = _bars([mix.name for mix in contents], segments, held, "items", 0)
    x_title(figure, "training items")
    return figure


def draw_screening(inputs: Inputs) -> Figure | None:
    """Return the share of each source that matches another item, a panel for each thing that it was compared with."""
    rows = [row for row in inputs.rows("screening") if row.number("share") is not None]
    if not rows:
        return None
    sources = list(dict.fromkeys((row["source"], row["split"]) for row in rows))
    single = len({source for source, _ in sources}) == len(sources)
    names = [source if single else f"{source}, {split}" for source, split in sources]
    against = list(dict.fromkeys("itself" if row["against"] == "within" else row["name"] for row in rows))
    figure, panels = row_panels(names, len(against))
    for panel, other in zip(panels, against, strict=True):
        for row in rows:
            if ("itself" if row["against"] == "within" else row["name"]) == other:
                y = sources.index((row["source"], row["split"]))
                value, low, high = (row.number(key) for key in ("share", "low", "high"))
                text = f"{names[y]}, against {other}: {decimal(value, 1)} % {interval(low, high, 1)}".rstrip()
                point(panel, row.needed("share"), y, low, high, mark=Mark(text, names[y], (), value))
        panel.set_title(f"against {other}")
        panel.set_xlim(left=0)
    x_title(figure, "items that match (%)")
    return figure


def draw_leakage(inputs: Inputs) -> Figure | None:
    """Return the gain of each mix over base with and without the leaked items, on the first suite."""
    rows = [row for row in inputs.rows("leakage", statistic="gain") if row["items"] in ("all", "without_leaked")]
    rows = [row for row in rows if row.number("value") is not None]
    rows = [row for row in rows if (row["suite"], row["tasks"]) == (rows[0]["suite"], rows[0]["tasks"])]
    if not rows:
        return None
    models = {model.name: model for model in inputs.models}
    order = [name for name in models if any(row["model"] == name for row in rows)]
    if not order:
        return None
    figure, (panel,) = row_panels([inputs.name(models[name]) for name in order], 1, extra=1.1)
    panel.axvline(0, color=MUTED, linewidth=1)
    for items, shift, fill, name in (
        ("all", -0.14, INK, "all items"), ("without_leaked", 0.14, PAPER, "without leaked items"),
    ):  # fmt: skip
        for row in (row for row in rows if row["items"] == items and row["model"] in models):
            value, low, high = (row.number(key) for key in ("value", "low", "high"))
            model = models[row["model"]]
            text = f"{inputs.name(model)}, {name}: {decimal(value, 1, True)} {interval(low, high, 1, True)}".rstrip()
            mark = Mark(text, inputs.name(model), inputs.components_of(model.mix), value)
            y = order.index(row["model"]) + shift
            point(panel, row.needed("value"), y, low, high, fill=fill, name=name, mark=mark)
    legend_above(figure, panel, 2)
    x_title(figure, f"{rows[0]['suite']}, {rows[0]['tasks']}: gain over base (points)")
    return figure


def draw_compute(inputs: Inputs) -> Figure | None:
    """Return the hours of every model, training and prediction."""
    rows = inputs.rows("compute")
    if not rows:
        return None
    stages = sorted({row["stage"] for row in rows}, reverse=True)  # training before prediction
    segments = [
        _Segment(
            stage,
            [
                sum(row.number("hours") or 0.0 for row in rows if (row["model"], row["stage"]) == (model.name, stage))
                for model in inputs.models
            ],
            colour,
        )
        for stage, colour in zip(stages, (INK, MUTED, COLOURS["blue"]), strict=False)
    ]
    held = [inputs.components_of(model.mix) for model in inputs.models]
    figure = _bars([inputs.name(model) for model in inputs.models], segments, held, "hours", 3)
    x_title(figure, "hours")
    return figure


class _Segment(NamedTuple):
    """What each bar has a piece of: its name, the length of the piece in every bar, its colour and texture."""

    name: str
    lengths: Sequence[float]
    colour: str
    hatch: str = ""


def _bars(
    names: Sequence[str], segments: Sequence[_Segment], held: Sequence[tuple[str, ...]], unit: str, digits: int
) -> Figure:
    """Return one bar for each name, made of segments; `held` are the components of each."""
    lines = -(-len(segments) // _LEGEND_COLUMNS)
    figure, (panel,) = row_panels(names, 1, extra=0.9 + 0.2 * lines)
    name_rows(panel, [Mark(name, name, components) for name, components in zip(names, held, strict=True)])
    starts = [0.0] * len(names)
    for segment in segments:  # segment by segment, so that the legend has them in order
        for place, length in enumerate(segment.lengths):
            if length:
                text = f"{names[place]}: {decimal(length, digits)} {unit}, {segment.name}"
                mark = Mark(text, names[place], held[place])
                panel.barh(
                    place, length, left=starts[place], height=0.62, color=segment.colour, edgecolor=PAPER,
                    hatch=segment.hatch, linewidth=0.6, label=segment.name, gid=mark.gid,
                )  # fmt: skip
            starts[place] += length
    panel.set_xlim(left=0)
    legend_above(figure, panel, min(len(segments), _LEGEND_COLUMNS))
    return figure


_A_ROW = 4


def draw_surface(inputs: Inputs) -> Figure | None:
    """Return the surface of the first suite: a triangle where there are three components, and a trace for each."""
    fitted = surface_table(inputs)
    if fitted is None or not fitted.rows("trace"):
        return None
    components = fitted.components
    if len(components) == 3:
        figure = new_figure(3.5)
        left, right = figure.subfigures(1, 2, width_ratios=(1.25, 1), squeeze=False)[0]
        triangle = left.subplots()
        _triangle(triangle, fitted)
        legend_above(figure, triangle, 3)
        panels = list(right.subplots(3, 1, sharey=True, squeeze=False)[:, 0])
    else:
        rows = -(-len(components) // _A_ROW)
        figure = new_figure(0.6 + 1.9 * rows)
        every = figure.subplots(rows, min(len(components), _A_ROW), sharey=True, squeeze=False).ravel()
        panels = list(every[: len(components)])
        for panel in every[len(components) :]:
            panel.set_axis_off()
    best = mix_of(fitted.only_row("optimum"))
    shown = {component.name: component for component in inputs.spec.components}
    for panel, component in zip(panels, components, strict=True):
        rows_of = [row for row in fitted.rows("trace") if row["name"] == component]
        known = shown.get(component)
        title, colour = (component, INK) if known is None else (known.title, COLOURS[known.colour])
        _trace(panel, rows_of, component, best[component], title, colour)
    if len(components) != 3:  # the colour bar names it
        figure.supylabel(fitted.axis, fontsize=9, color=INK)
    return figure


def _triangle(panel: Axes, fitted: SurfaceTable) -> None:
    """Draw contours of the expected score, the region of mixes like the best, and the measured mixes."""
    rows = fitted.rows("prediction")
    shares = np.array([list(mix_of(row).values()) for row in rows])
    filled = designs.contours(panel, shares, np.array([row.needed("value") for row in rows]))
    designs.frame(panel, fitted.components)
    _outline(panel, shares, rows)
    for row in rows:  # nothing is seen of them; the report shows the value under the pointer
        designs.points(panel, _at(row), "", unseen=True, gid=_mix_text(fitted, row, "expected"))
    for row in fitted.rows("run"):
        designs.points(panel, _at(row), "trained", gid=_mix_text(fitted, row, f"{row['name']}, trained"))
    best = fitted.only_row("optimum")
    designs.points(panel, _at(best), "best", marker="*", filled=False, gid=_mix_text(fitted, best, "best"))
    panel.plot([], [], color=INK, linestyle="--", linewidth=1, label="as good as the best")
    if filled is not None:
        panel.figure.colorbar(filled, ax=panel, shrink=0.7, label=fitted.axis)


def _at(row: Row) -> Array:
    """Return a row's mix as an array [1, component]."""
    return np.array([list(mix_of(row).values())])


def _mix_text(fitted: SurfaceTable, row: Row, what: str) -> str:
    """Return the id of a mark that says a row's score and mix."""
    value, low, high = (row.number(key) for key in ("value", "low", "high"))
    return Mark(f"{what}: {decimal(value, 1)} {interval(low, high, 1)}, {fitted.mix(row)}", row["name"]).gid


def _outline(panel: Axes, shares: Array, rows: Sequence[Row]) -> None:
    """Draw the border of the region, between lattice mixes that are in it and those that are not."""
    members = [row.number("in_region") for row in rows]
    known = np.array([member is not None for member in members])
    inside = np.array([member for member in members if member is not None])
    if len(inside) > 2 and 0 < inside.sum() < len(inside):
        at = designs.place(shares[known])
        mesh = Triangulation(at[:, 0], at[:, 1])
        panel.tricontour(mesh, inside, levels=[0.5], colors=[INK], linewidths=1, linestyles="--", zorder=3)


def _trace(panel: Axes, rows: Sequence[Row], component: str, best: float, title: str, colour: str) -> None:
    """Draw the expected score by one component's share with its interval, and where the best mix lies."""
    shares = [100 * mix_of(row)[component] for row in rows]
    values, low, high = ([row.needed(key) for row in rows] for key in ("value", "low", "high"))
    panel.fill_between(shares, low, high, color=colour, alpha=0.18, linewidth=0)
    panel.plot(shares, values, color=colour)
    for share, value, least, most in zip(shares, values, low, high, strict=True):
        text = f"{title} {decimal(share, 0)} %: {decimal(value, 1)} {interval(least, most, 1)}"
        panel.plot([share], [value], "o", color="none", markersize=5, gid=Mark(text, value=share).gid)
    panel.axvline(100 * best, color=MUTED, linewidth=1, linestyle="--")
    panel.set_xlabel(f"{title}, % of the mix")
    panel.grid(axis="y")
