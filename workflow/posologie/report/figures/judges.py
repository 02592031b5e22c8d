"""How far judges and metrics agree with people, and how judges treat each generator."""

from matplotlib.figure import Figure

from posologie.report.figures.style import point, row_panels, x_title
from posologie.report.inputs import Inputs
from posologie.report.judges import STATISTICS, agreements
from posologie.report.names import INK, MUTED, PROVENANCE_COLOURS

_CORRELATIONS = ("pearson", "spearman", "kendall", "kappa")
_KINDS = {"human": PROVENANCE_COLOURS["synthetic"], "judge": INK, "metric": MUTED}


def draw_agreement(inputs: Inputs) -> Figure | None:
    """Return the agreement of every rater with people, with intervals, on the first calibration set."""
    sets = list(dict.fromkeys(row["set"] for row in inputs.rows("agreement")))
    if not sets:
        return None
    rows = agreements(inputs, sets[0])
    shown = [name for name in _CORRELATIONS if any(row["statistic"] == name for row in rows)]
    raters = list(dict.fromkeys(row["rater"] for row in rows if row["statistic"] in shown))
    if not raters:
        return None
    figure, panels = row_panels(raters, len(shown))
    for panel, statistic in zip(panels, shown, strict=True):
        panel.axvline(0, color=MUTED, linewidth=1)
        for row in (row for row in rows if row["statistic"] == statistic):
            value = row.number("value")
            if value is not None:
                colour = _KINDS.get(row["rater_kind"], INK)
                y = raters.index(row["rater"])
                point(panel, value, y, row.number("low"), row.number("high"), colour=colour)
        panel.set_title(STATISTICS[statistic])
    x_title(figure, f"agreement with people, set {sets[0]}")
    return figure


def draw_generator(inputs: Inputs) -> Figure | None:
    """Return what each judge gives every generator's answers beyond what people give them."""
    sets = list(dict.fromkeys(row["set"] for row in inputs.rows("generator")))
    if not sets:
        return None
    rows = inputs.rows("generator", set=sets[0])
    judges = list(dict.fromkeys(row["judge"] for row in rows))[:4]
    generators = list(dict.fromkeys(row["generator"] for row in rows))
    figure, panels = row_panels(generators, len(judges))
    for panel, judge in zip(panels, judges, strict=True):
        panel.axvline(0, color=MUTED, linewidth=1)
        for row in (row for row in rows if row["judge"] == judge):
            value = row.number("value")
            if value is not None:
                point(panel, value, generators.index(row["generator"]), row.number("low"), row.number("high"))
        panel.set_title(judge)
    x_title(figure, "judge − people (points)")
    return figure
