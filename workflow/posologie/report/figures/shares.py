"""What each mix holds, as bars of provenances."""

from matplotlib.figure import Figure

from posologie.items import PROVENANCES
from posologie.report.composition import mixes
from posologie.report.figures.style import new_figure
from posologie.report.inputs import Inputs
from posologie.report.names import PROVENANCE_COLOURS


def draw(inputs: Inputs) -> Figure | None:
    """Return the number of training items of every mix by provenance."""
    found = mixes(inputs)
    if not found:
        return None
    figure = new_figure(1.0 + 0.3 * len(found))
    panel = figure.subplots()
    panel.grid(axis="x")
    for place, mix in enumerate(found):
        left = 0
        for provenance in PROVENANCES:
            count = mix.provenance.get(provenance, 0)
            panel.barh(
                place,
                count,
                left=left,
                height=0.65,
                color=PROVENANCE_COLOURS[provenance],
                edgecolor="white",
                linewidth=0.6,
            )
            left += count
    for provenance in PROVENANCES:
        panel.barh([0], [0], color=PROVENANCE_COLOURS[provenance], label=provenance)
    panel.set_yticks(range(len(found)), [mix.name for mix in found])
    panel.set_ylim(len(found) - 0.5, -0.5)
    panel.set_xlabel("training items")
    figure.legend(*panel.get_legend_handles_labels(), loc="outside upper left", ncols=3)
    return figure
