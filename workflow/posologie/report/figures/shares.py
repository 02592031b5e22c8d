"""What each mix holds, as bars of components; and the hours that each model took."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from posologie.report.composition import components_of, mixes
from posologie.report.figures.style import Mark, legend_above, name_rows, point, row_panels, x_title
from posologie.report.inputs import Inputs
from posologie.report.names import COLOURS, INK, MUTED, PAPER, hatch
from posologie.report.tables import decimal, interval

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
    held = [tuple(one.name for one in shown if mix.components.get(one.name)) for mix in found]
    figure = _bars([mix.name for mix in found], parts, held, "items", 0)
    x_title(figure, "training items")
    return figure


def draw_screening(inputs: Inputs) -> Figure | None:
    """Return the share of each source that matches another item, a panel for each thing that it was compared with."""
    rows = [row for row in inputs.rows("screening") if row.number("share") is not None]
    if not rows:
        return None
    sources = list(dict.fromkeys((row["source"], row["split"]) for row in rows))
    single = len({source for source, _ in sources}) == len(sources)
    names = [source if single else f"{source}, {split}" for source, split in sources]
    against = list(dict.fromkeys("itself" if row["against"] == "within" else row["name"] for row in rows))
    figure, panels = row_panels(names, len(against))
    for panel, other in zip(panels, against, strict=True):
        for row in rows:
            if ("itself" if row["against"] == "within" else row["name"]) == other:
                y = sources.index((row["source"], row["split"]))
                value, low, high = (row.number(key) for key in ("share", "low", "high"))
                text = f"{names[y]}, against {other}: {decimal(value, 1)} % {interval(low, high, 1)}".rstrip()
                point(panel, row.needed("share"), y, low, high, mark=Mark(text, names[y], (), value))
        panel.set_title(f"against {other}")
        panel.set_xlim(left=0)
    x_title(figure, "items that match (%)")
    return figure


def draw_leakage(inputs: Inputs) -> Figure | None:
    """Return the gain of each mix over base with and without the leaked items, on the first suite."""
    rows = [row for row in inputs.rows("leakage", statistic="gain") if row["items"] in ("all", "without_leaked")]
    rows = [row for row in rows if row.number("value") is not None]
    rows = [row for row in rows if (row["suite"], row["tasks"]) == (rows[0]["suite"], rows[0]["tasks"])]
    if not rows:
        return None
    models = {model.name: model for model in inputs.models}
    order = [name for name in models if any(row["model"] == name for row in rows)]
    if not order:
        return None
    figure, (panel,) = row_panels([inputs.name(models[name]) for name in order], 1, extra=1.1)
    panel.axvline(0, color=MUTED, linewidth=1)
    for items, shift, fill, name in (
        ("all", -0.14, INK, "all items"), ("without_leaked", 0.14, PAPER, "without leaked items"),
    ):  # fmt: skip
        for row in (row for row in rows if row["items"] == items and row["model"] in models):
            value, low, high = (row.number(key) for key in ("value", "low", "high"))
            model = models[row["model"]]
            text = f"{inputs.name(model)}, {name}: {decimal(value, 1, True)} {interval(low, high, 1, True)}".rstrip()
            mark = Mark(text, inputs.name(model), inputs.parts(model.mix), value)
            y = order.index(row["model"]) + shift
            point(panel, row.needed("value"), y, low, high, fill=fill, name=name, mark=mark)
    legend_above(figure, panel, 2)
    x_title(figure, f"{rows[0]['suite']}, {rows[0]['tasks']}: gain over base (points)")
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
    held = [inputs.parts(model.mix) for model in inputs.models]
    figure = _bars([inputs.name(model) for model in inputs.models], parts, held, "hours", 3)
    x_title(figure, "hours")
    return figure


class _Part(NamedTuple):
    """What each bar has a piece of: its name, the length of the piece in every bar, its colour and texture."""

    name: str
    lengths: Sequence[float]
    colour: str
    hatch: str = ""


def _bars(
    names: Sequence[str], parts: Sequence[_Part], held: Sequence[tuple[str, ...]], unit: str, digits: int
) -> Figure:
    """Return one bar for each name, made of parts; `held` are the components of each."""
    lines = -(-len(parts) // _LEGEND_COLUMNS)
    figure, (panel,) = row_panels(names, 1, extra=0.9 + 0.2 * lines)
    name_rows(panel, [Mark(name, name, components) for name, components in zip(names, held, strict=True)])
    left = [0.0] * len(names)
    for part in parts:  # part by part, so that the legend has them in order
        for place, length in enumerate(part.lengths):
            if length:
                text = f"{names[place]}: {decimal(length, digits)} {unit}, {part.name}"
                mark = Mark(text, names[place], held[place])
                panel.barh(
                    place, length, left=left[place], height=0.62, color=part.colour, edgecolor=PAPER, hatch=part.hatch,
                    linewidth=0.6, label=part.name, gid=mark.gid,
                )  # fmt: skip
            left[place] += length
    panel.set_xlim(left=0)
    legend_above(figure, panel, min(len(parts), _LEGEND_COLUMNS))
    return figure
