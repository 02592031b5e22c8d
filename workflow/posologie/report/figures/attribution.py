"""What each component adds: Shapley values and interactions; and dose–response curves."""

from matplotlib.figure import Figure

from posologie.report.attribution import SHAPLEY, terms
from posologie.report.figures.style import Mark, new_figure, point, row_panels, x_title
from posologie.report.inputs import Inputs
from posologie.report.names import COLOURS, INK, MUTED, line_style
from posologie.report.tables import decimal, interval
from posologie.report.words import component_title, measure_name, scope_title, scopes, unit_name

_MOST_WITH_INTERACTIONS = 4


def draw(inputs: Inputs) -> Figure | None:
    """Return Shapley values and interactions on all items and on those of each component, for the first backbone.

    With more than four components the interactions are left to the table: there are too many for a figure.
    """
    suites = inputs.suites_of("attribution")
    if not suites:
        return None
    rows = inputs.rows("attribution", suite=suites[0], task="all")
    here = scopes(((row["scope_kind"], row["scope"]) for row in rows), inputs.spec.components)
    several = len({row["term"] for row in rows if row["method"] in SHAPLEY}) > _MOST_WITH_INTERACTIONS
    methods = SHAPLEY if several else (*SHAPLEY, "interaction")
    shown = {(method, scope): terms(inputs, suites[0], method, scope) for method in methods for _, scope in here}
    first = [row for method in methods for row in shown[method, "all"]]
    if not first:
        return None
    backbone = first[0]["backbone"]
    names = [row["term"] for row in first if row["backbone"] == backbone]
    colours = {one.name: COLOURS[one.colour] for one in inputs.spec.components}
    figure, panels = row_panels([component_title(name, inputs.spec.components) for name in names], len(here))
    for panel, (kind, scope) in zip(panels, here, strict=True):
        panel.axvline(0, color=MUTED, linewidth=1)
        for row in (row for method in methods for row in shown[method, scope] if row["backbone"] == backbone):
            colour = colours.get(row["term"], INK)
            low, high = row.number("low"), row.number("high")
            title, value = component_title(row["term"], inputs.spec.components), row.needed("value")
            said = f"{decimal(value, 1, sign=True)} {unit_name(row['unit'])} {interval(low, high, 1, sign=True)}"
            mark = Mark(f"{title}: {said}".rstrip(), title, tuple(row["term"].split("+")), value)
            point(panel, value, names.index(row["term"]), low, high, colour=colour, mark=mark)
        panel.set_title(scope_title(kind, scope, inputs.spec.components))
    x_title(figure, f"{measure_name(first[0]['metric'], first[0]['decoding'])}: {unit_name(first[0]['unit'])} added")
    return figure


def draw_doses(inputs: Inputs) -> Figure | None:
    """Return a panel for each sweep: value by dose, with intervals, on the first backbone and measure."""
    suites = inputs.suites_of("dose_response")
    if not suites:
        return None
    rows = inputs.rows("dose_response", suite=suites[0], scope="all", task="all")
    first = rows[0]
    same = ("metric", "decoding", "variants", "aggregate", "backbone")
    rows = [row for row in rows if all(row[key] == first[key] for key in same)]
    sweeps = list(dict.fromkeys(row["sweep"] for row in rows))
    figure = new_figure(2.8)
    panels = figure.subplots(1, len(sweeps), sharey=True, squeeze=False)[0]
    colour, _ = line_style(0)
    for panel, sweep in zip(panels, sweeps, strict=True):
        points = sorted((row for row in rows if row["sweep"] == sweep), key=lambda row: row.needed("dose"))
        doses, values = ([row.needed(key) for row in points] for key in ("dose", "value"))
        panel.plot(doses, values, color=colour)
        for row, dose, value in zip(points, doses, values, strict=True):
            low, high = row.number("low"), row.number("high")
            shown = f"{decimal(value, 1)} {row['unit']}".rstrip()
            text = f"{row['mix']}, dose {decimal(dose)}: {shown} {interval(low, high, 1)}".rstrip()
            mark = Mark(text, row["mix"], inputs.parts(row["mix"]))
            panel.plot([dose], [value], "o", color=colour, markersize=5, gid=mark.gid)
            if low is not None and high is not None:
                panel.plot([dose, dose], [low, high], color=colour, linewidth=1.3)
        panel.set_title(sweep)
        panel.set_xlabel("dose")
        panel.grid(axis="y")
    panels[0].set_ylabel(f"{measure_name(first['metric'], first['decoding'])} ({first['unit']})")
    return figure
