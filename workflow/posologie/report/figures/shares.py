"""What each mix holds, as bars of provenances; and the hours that each model took."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from posologie.items import PROVENANCES
from posologie.report.composition import mixes
from posologie.report.figures.style import legend_above, row_panels, x_title
from posologie.report.inputs import Inputs
from posologie.report.names import INK, MUTED, PAPER, PROVENANCE_COLOURS


def draw_composition(inputs: Inputs) -> Figure | None:
    """Return the number of training items of every mix by provenance."""
    found = mixes(inputs)
    if not found:
        return None
    counts: dict[str, list[int]] = {
        provenance: [mix.provenance.get(provenance, 0) for mix in found] for provenance in PROVENANCES
    }
    figure = _bars([mix.name for mix in found], counts, dict(PROVENANCE_COLOURS))
    x_title(figure, "training items")
    return figure


def draw_compute(inputs: Inputs) -> Figure | None:
    """Return the hours of every model, training and prediction."""
    rows = inputs.rows("compute")
    if not rows:
        return None
    stages = sorted({row["stage"] for row in rows}, reverse=True)  # training before prediction
    hours = {
        stage: [
            sum(row.number("hours") or 0.0 for row in rows if (row["model"], row["stage"]) == (model.name, stage))
            for model in inputs.models
        ]
        for stage in stages
    }
    colours = dict(zip(stages, (INK, MUTED, PROVENANCE_COLOURS["native"]), strict=False))
    figure = _bars([inputs.name(model) for model in inputs.models], hours, colours)
    x_title(figure, "hours")
    return figure


def _bars(names: Sequence[str], parts: Mapping[str, Sequence[float]], colours: Mapping[str, str]) -> Figure:
    """Return one bar for each name, made of parts."""
    figure, (panel,) = row_panels(names, 1, extra=1.1)
    for place in range(len(names)):
        left = 0.0
        for part, values in parts.items():
            if values[place]:
                panel.barh(
                    place, values[place], left=left, height=0.62, color=colours.get(part, INK), edgecolor=PAPER,
                    linewidth=0.6, label=part,
                )  # fmt: skip
            left += values[place]
    panel.set_xlim(left=0)
    legend_above(figure, panel, len(parts))
    return figure
