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
    aggregates = [aggregate for aggregate in compared(inputs) if len(aggregate.rows) > 1]
    if not aggregates:
        return None
    printed_names = {row.name for aggregate in aggregates for row in aggregate.rows}
    names = [arm.name for arm in inputs.arms if arm.name in printed_names]
    figure, panels = row_panels(names, len(aggregates), extra=1.3)
    crosses = COLOURS["vermillion"]
    for panel, compared_aggregate in zip(panels, aggregates, strict=True):
        aggregate = compared_aggregate.aggregates[0]
        for row in compared_aggregate.rows:
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
        panel.set_title(f"{compared_aggregate.title}\n(ours: {aggregate.replace('_', ' ')})")
    legend_above(figure, panels[0], 2)
    x_title(figure, "%")
    return figure
