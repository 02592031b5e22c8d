"""The main figure: what each mix changes against the base model, on all items and on those of each provenance."""

from matplotlib.figure import Figure

from posologie.report.effects import Comparison, comparisons
from posologie.report.figures.style import WIDTH, new_figure
from posologie.report.inputs import Inputs, measure_name
from posologie.report.names import INK, MUTED


def draw(inputs: Inputs) -> Figure | None:
    """Return the figure of the first suite that has contrasts; None if none has."""
    found = comparisons(inputs)
    return draw_comparison(found[0]) if found else None


def draw_comparison(comparison: Comparison) -> Figure:
    """Return the figure of one suite: a panel for each scope, a row for each arm."""
    arms = list(dict.fromkeys((effect.backbone, effect.arm) for effect in comparison.effects))
    several = len({backbone for backbone, _ in arms}) > 1
    figure = new_figure(1.0 + 0.32 * len(arms), WIDTH)
    panels = figure.subplots(1, len(comparison.scopes), sharex=True, sharey=True, squeeze=False)[0]
    for panel, scope in zip(panels, comparison.scopes, strict=True):
        effects = comparison.on(scope)
        panel.axvline(0, color=MUTED, linewidth=1)
        panel.grid(axis="x")
        for effect in effects:
            row = arms.index((effect.backbone, effect.arm))
            settled = effect.verdict != "not settled"
            if effect.low is not None and effect.high is not None:
                panel.plot([effect.low, effect.high], [row, row], color=INK, linewidth=1.5, solid_capstyle="butt")
            panel.plot([effect.value], [row], "o", color=INK, markersize=6, markerfacecolor=INK if settled else "white")
        title = "all items" if scope == "all" else f"{scope} items"
        panel.set_title(f"{title} (n = {max((effect.n for effect in effects), default=0):,})")
        panel.set_yticks(range(len(arms)), [f"{arm} ({backbone})" if several else arm for backbone, arm in arms])
        panel.set_ylim(len(arms) - 0.5, -0.5)
    measured = comparison.measured
    unit = "percentage points" if comparison.effects[0].unit == "%" else comparison.effects[0].unit
    figure.supxlabel(
        f"{measure_name(measured.metric, measured.decoding)}: difference from base ({unit})", fontsize=9, color=INK
    )
    return figure
