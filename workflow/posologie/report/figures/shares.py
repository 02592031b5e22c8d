"""What each mix holds, as bars of components; and the hours that each model took."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from posologie.report.composition import components_of, mixes
from posologie.report.figures.style import legend_above, row_panels, x_title
from posologie.report.inputs import Inputs
from posologie.report.names import COLOURS, INK, MUTED, PAPER, hatch

_LEGEND_COLUMNS = 5
"""Names in a line of the legend."""


def draw_composition(inputs: Inputs) -> Figure | None:
    """Return the number of training items of every mix by component."""
    found = mixes(inputs)
    if not found:
        return None
    shown = [one for one in components_of(inputs, found) if any(mix.components.get(one.name) for mix in found)]
    parts = [
        _Part(one.title, [mix.components.get(one.name, 0) for mix in found], COLOURS[one.colour], hatch(number))
        for number, one in enumerate(shown)
    ]
    figure = _bars([mix.name for mix in found], parts)
    x_title(figure, "training items")
    return figure


def draw_compute(inputs: Inputs) -> Figure | None:
    """Return the hours of every model, training and prediction."""
    rows = inputs.rows("compute")
    if not rows:
        return None
    stages = sorted({row["stage"] for row in rows}, reverse=True)  # training before prediction
    parts = [
        _Part(
            stage,
            [
                sum(row.number("hours") or 0.0 for row in rows if (row["model"], row["stage"]) == (model.name, stage))
                for model in inputs.models
            ],
            colour,
        )
        for stage, colour in zip(stages, (INK, MUTED, COLOURS["blue"]), strict=False)
    ]
    figure = _bars([inputs.name(model) for model in inputs.models], parts)
    x_title(figure, "hours")
    return figure


class _Part(NamedTuple):
    """What each bar has a piece of: its name, the length of the piece in every bar, its colour and texture."""

    name: str
    lengths: Sequence[float]
    colour: str
    hatch: str = ""


def _bars(names: Sequence[str], parts: Sequence[_Part]) -> Figure:
    """Return one bar for each name, made of parts."""
    lines = -(-len(parts) // _LEGEND_COLUMNS)
    figure, (panel,) = row_panels(names, 1, extra=0.9 + 0.2 * lines)
    left = [0.0] * len(names)
    for part in parts:  # part by part, so that the legend has them in order
        for place, length in enumerate(part.lengths):
            if length:
                panel.barh(
                    place, length, left=left[place], height=0.62, color=part.colour, edgecolor=PAPER, hatch=part.hatch,
                    linewidth=0.6, label=part.name,
                )  # fmt: skip
            left[place] += length
    panel.set_xlim(left=0)
    legend_above(figure, panel, min(len(parts), _LEGEND_COLUMNS))
    return figure
