"""The response surface: the score over all mixes, and along the share of each component."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

from posologie.report.figures import ternary
from posologie.report.figures.style import Mark, legend_above, new_figure
from posologie.report.figures.ternary import Array
from posologie.report.inputs import Inputs
from posologie.report.names import COLOURS, INK, MUTED
from posologie.report.surface import SurfaceTable, mix_of, surface_table
from posologie.report.tables import Row, decimal, interval

_A_ROW = 4


def draw(inputs: Inputs) -> Figure | None:
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
    best = mix_of(fitted.one("optimum"))
    shown = {one.name: one for one in inputs.spec.components}
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
    filled = ternary.contours(panel, shares, np.array([row.needed("value") for row in rows]))
    ternary.frame(panel, fitted.components)
    _outline(panel, shares, rows)
    for row in rows:  # nothing is seen of them; the report shows the value under the pointer
        ternary.points(panel, _at(row), "", unseen=True, gid=_said(fitted, row, "expected"))
    for row in fitted.rows("run"):
        ternary.points(panel, _at(row), "trained", gid=_said(fitted, row, f"{row['name']}, trained"))
    best = fitted.one("optimum")
    ternary.points(panel, _at(best), "best", marker="*", filled=False, gid=_said(fitted, best, "best"))
    panel.plot([], [], color=INK, linestyle="--", linewidth=1, label="as good as the best")
    if filled is not None:
        panel.figure.colorbar(filled, ax=panel, shrink=0.7, label=fitted.axis)


def _at(row: Row) -> Array:
    """Return a row's mix as an array [1, component]."""
    return np.array([list(mix_of(row).values())])


def _said(fitted: SurfaceTable, row: Row, what: str) -> str:
    """Return the id of a mark that says a row's score and mix."""
    value, low, high = (row.number(key) for key in ("value", "low", "high"))
    return Mark(f"{what}: {decimal(value, 1)} {interval(low, high, 1)}, {fitted.mix(row)}", row["name"]).gid


def _outline(panel: Axes, shares: Array, rows: Sequence[Row]) -> None:
    """Draw the border of the region between the lattice's mixes."""
    inside = np.array([row.number("in_region") or 0.0 for row in rows])
    if len(shares) > 2 and 0 < inside.sum() < len(inside):
        at = ternary.place(shares)
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
