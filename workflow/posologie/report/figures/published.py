"""The published numbers beside ours."""

from matplotlib.figure import Figure

from posologie.report.figures.style import legend_above, point, row_panels, x_title
from posologie.report.inputs import Inputs
from posologie.report.names import INK, PROVENANCE_COLOURS
from posologie.report.published import ComparedAggregate, compared


def draw(inputs: Inputs) -> Figure | None:
    """Return, for each published aggregate of several models, what was printed and what we found.

    Where a printed aggregate may be several of ours, the one that counts every item the same is drawn if there is one.
    """
    chosen: dict[tuple[str, str], ComparedAggregate] = {}
    for one in compared(inputs):
        if len(one.rows) > 1 and (one.aggregate == "item_weighted" or (one.published, one.suite) not in chosen):
            chosen[one.published, one.suite] = one
    if not chosen:
        return None
    there = {row.name for one in chosen.values() for row in one.rows}
    names = [arm.name for arm in inputs.arms if arm.name in there]
    figure, panels = row_panels(names, len(chosen), extra=1.2)
    for panel, one in zip(panels, chosen.values(), strict=True):
        for row in one.rows:
            y = names.index(row.name)
            point(panel, row.ours, y - 0.12, row.low, row.high, colour=INK, name="this study")
            crossed = PROVENANCE_COLOURS["translated"]
            point(panel, row.published, y + 0.12, None, None, colour=crossed, marker="X", name="published")
        panel.set_title(f"{one.title}\n(ours: {one.aggregate.replace('_', ' ')})")
    legend_above(figure, panels[0], 2)
    x_title(figure, "%")
    return figure
