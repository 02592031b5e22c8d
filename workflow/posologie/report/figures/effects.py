"""The main figure: what each mix changes against the base model, on all items and on those of each component."""

from matplotlib.figure import Figure

from posologie.report.effects import comparisons
from posologie.report.figures.style import point, row_panels, x_title
from posologie.report.inputs import Inputs
from posologie.report.names import INK, MUTED, PAPER
from posologie.report.words import measure_name


def draw(inputs: Inputs) -> Figure | None:
    """Return the figure of the first suite that has contrasts; None if none has."""
    found = comparisons(inputs)
    if not found:
        return None
    comparison = found[0]
    names = [effect.name for effect in comparison.on("all", "all")]
    figure, panels = row_panels(names, len(comparison.scopes))
    for panel, (kind, scope) in zip(panels, comparison.scopes, strict=True):
        effects = comparison.on(kind, scope)
        panel.axvline(0, color=MUTED, linewidth=1)
        for effect in effects:
            fill = PAPER if effect.verdict == "not settled" else INK
            point(panel, effect.value, names.index(effect.name), effect.low, effect.high, fill=fill)
        panel.set_title(f"{comparison.title(kind, scope)} (n = {max((effect.n for effect in effects), default=0):,})")
    measured = comparison.measured
    unit = "percentage points" if comparison.effects[0].unit == "%" else comparison.effects[0].unit
    x_title(figure, f"{measure_name(measured.metric, measured.decoding)}: difference from base ({unit})")
    return figure
