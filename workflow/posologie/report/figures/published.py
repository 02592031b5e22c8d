"""The published numbers beside ours."""

from matplotlib.figure import Figure

from posologie.report.figures.style import new_figure
from posologie.report.inputs import Inputs
from posologie.report.names import INK, PROVENANCE_COLOURS
from posologie.report.published import compared


def draw(inputs: Inputs) -> Figure | None:
    """Return, for each published aggregate, what was printed and what we found, model by model."""
    found = compared(inputs)
    if not found:
        return None
    most = max(len(one.rows) for one in found)
    figure = new_figure(1.2 + 0.3 * most)
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for panel, one in zip(panels, found, strict=True):
        panel.grid(axis="x")
        for place, row in enumerate(one.rows):
            if row.low is not None and row.high is not None:
                panel.plot([row.low, row.high], [place, place], color=INK, linewidth=1.3)
            panel.plot([row.ours], [place], "o", color=INK, markersize=5, label="this study" if not place else None)
            panel.plot(
                [row.published], [place], "X", color=PROVENANCE_COLOURS["translated"], markersize=6,
                label="published" if not place else None,
            )  # fmt: skip
        panel.set_yticks(range(len(one.rows)), [row.name for row in one.rows])
        panel.set_ylim(most - 0.5, -0.5)
        panel.set_title(one.short, fontsize=8.5)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2)
    figure.supxlabel("%", fontsize=9, color=INK)
    return figure
