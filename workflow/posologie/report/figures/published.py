"""A published study's numbers beside ours."""

from matplotlib.figure import Figure

from posologie.report.figures.style import Mark, legend_above, point, row_panels, x_title
from posologie.report.inputs import Inputs
from posologie.report.names import COLOURS, INK
from posologie.report.published import compared
from posologie.report.tables import decimal, interval


def draw(inputs: Inputs) -> Figure | None:
    """Return, for each published aggregate of several models, what was printed and what we found.

    Where a printed aggregate may be several of ours, the first is drawn, which counts every item the same if it can.
    """
    found = [one for one in compared(inputs) if len(one.rows) > 1]
    if not found:
        return None
    there = {row.name for one in found for row in one.rows}
    names = [arm.name for arm in inputs.arms if arm.name in there]
    figure, panels = row_panels(names, len(found), extra=1.3)
    crosses = COLOURS["vermillion"]
    for panel, one in zip(panels, found, strict=True):
        aggregate = one.aggregates[0]
        for row in one.rows:
            y = names.index(row.name)
            printed = Mark(f"{row.name}, published: {decimal(row.published)} %", row.name, (), row.published)
            point(
                panel, row.published, y + 0.14, None, None, colour=crosses, marker="X", name="published", mark=printed
            )
            ours = row.ours.get(aggregate)
            value = None if ours is None else ours.number("value")
            if ours is not None and value is not None:  # where a judge was silent there are bounds and no value
                low, high = ours.number("low"), ours.number("high")
                text = f"{row.name}, this study: {decimal(value, 1)} % {interval(low, high, 1)}".rstrip()
                mark = Mark(text, row.name, (), value)
                point(panel, value, y - 0.14, low, high, colour=INK, name="this study", mark=mark)
        panel.set_title(f"{one.title}\n(ours: {aggregate.replace('_', ' ')})")
    legend_above(figure, panels[0], 2)
    x_title(figure, "%")
    return figure
