"""Training curves: loss of every adapter by update."""

from matplotlib.figure import Figure

from posologie.report.figures.style import Mark, legend_columns, new_figure
from posologie.report.inputs import Inputs
from posologie.report.names import line_style
from posologie.report.tables import decimal
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
        ends = f"from {decimal(curve.loss[0])} to {decimal(curve.loss[-1])} nats" if curve.loss else "no updates"
        mark = Mark(f"{curve.name}: {ends} in {len(curve.steps):,} updates", curve.name, inputs.parts(curve.mix))
        left.plot(curve.steps, curve.loss, color=colour, linestyle=dash, linewidth=1.2, label=curve.name, gid=mark.gid)
        steps, losses = ([point[at] for point in curve.validation] for at in (0, 1))
        where = [place] * len(losses) if once else steps
        pairs = (losses, where) if once else (where, losses)
        least = f"{curve.name}: lowest validation loss {decimal(min(losses), 3)} nats" if losses else curve.name
        right.plot(
            *pairs, color=colour, linestyle=dash, linewidth=1.2, marker="o", markersize=4 if once else 3,
            gid=Mark(least, curve.name, inputs.parts(curve.mix)).gid,
        )  # fmt: skip
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
