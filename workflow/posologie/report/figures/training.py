"""Training curves: loss of every adapter by update."""

from matplotlib.figure import Figure

from posologie.report.figures.style import new_figure
from posologie.report.inputs import Inputs
from posologie.report.names import line_style
from posologie.report.training import curves


def draw(inputs: Inputs) -> Figure | None:
    """Return the training loss at every update and the validation loss after every epoch, of every adapter."""
    found = curves(inputs)
    if not found:
        return None
    figure = new_figure(3.3)
    left, right = figure.subplots(1, 2)
    for place, curve in enumerate(found):
        colour, dash = line_style(place)
        left.plot(curve.steps, curve.loss, color=colour, linestyle=dash, linewidth=1.2, label=curve.name)
        steps, losses = ([point[at] for point in curve.validation] for at in (0, 1))
        right.plot(steps, losses, color=colour, linestyle=dash, linewidth=1.2, marker="o", markersize=3)
    left.set_title("training loss")
    right.set_title("validation loss")
    left.set_ylabel("cross-entropy (nats)")
    for panel in (left, right):
        panel.grid(axis="y")
        panel.set_xlabel("update")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=min(8, len(found)))
    return figure
