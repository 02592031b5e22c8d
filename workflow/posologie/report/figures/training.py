"""Training curves: loss of every adapter by update."""

from matplotlib.figure import Figure

from posologie.report.figures.style import legend_columns, new_figure
from posologie.report.inputs import Inputs
from posologie.report.names import line_style
from posologie.report.training import curves


def draw(inputs: Inputs) -> Figure | None:
    """Return the training loss at every update and the validation loss after every epoch, of every adapter.

    After a single epoch the validation losses are a row of values.
    """
    found = curves(inputs)
    if not found:
        return None
    columns = min(8, legend_columns([curve.name for curve in found]))
    lines = -(-len(found) // columns)
    once = all(len(curve.validation) < 2 for curve in found)
    figure = new_figure(max(2.9, (0.9 + 0.16 * len(found)) * once) + 0.2 * lines)
    left, right = figure.subplots(1, 2)
    for place, curve in enumerate(found):
        colour, dash = line_style(place)
        left.plot(curve.steps, curve.loss, color=colour, linestyle=dash, linewidth=1.2, label=curve.name)
        steps, losses = ([point[at] for point in curve.validation] for at in (0, 1))
        where = [place] * len(losses) if once else steps
        pairs = (losses, where) if once else (where, losses)
        right.plot(*pairs, color=colour, linestyle=dash, linewidth=1.2, marker="o", markersize=4 if once else 3)
    left.set_title("training loss")
    right.set_title("validation loss after the only epoch" if once else "validation loss")
    left.set_ylabel("cross-entropy (nats)")
    for panel in (left, right):
        panel.grid(axis="y")
        panel.set_xlabel("update")
    if once:  # a row for each adapter: one value is no curve
        right.set_yticks(range(len(found)), [curve.name for curve in found])
        right.set_ylim(len(found) - 0.4, -0.6)
        right.set_xlabel("cross-entropy (nats)")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=columns)
    return figure
