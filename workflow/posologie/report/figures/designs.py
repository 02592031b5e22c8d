"""How precise the predictions of a design will be: over the mixes, and after each training."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from posologie.report.figures import ternary
from posologie.report.figures.style import SETTINGS, new_figure, write_svg
from posologie.report.figures.ternary import Array
from posologie.report.names import INK, MUTED
from posologie.surface.design_points import Plan
from posologie.surface.designs import Proposal
from posologie.surface.simplex import lattice


def design_figure(
    components: Sequence[str],
    grid: Array,
    errors: Array,
    present: Array,
    proposed: Array,
    variance: Array,
    unit: float | None,
) -> Figure:
    """Return the figure: a triangle of standard deviations of predictions, or the part of the region below each.

    Args:
        grid: [point, component].
        errors: [point], standard deviations in those of one run; NaN where the model cannot be fitted.
        present, proposed: [mix, component].
        variance: [1 + training], mean prediction variance, infinite before the model can be fitted.
        unit: standard deviation of one run in points; None where it is not known.
    """
    figure = new_figure(3.4)
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    scale, named = (1.0, "sd of one run") if unit is None else (unit, "points")
    known = np.isfinite(errors).all()
    if len(components) == 3:
        filled = ternary.contours(left, grid, errors * scale) if known else None
        ternary.frame(left, components)
        if filled is not None:
            figure.colorbar(filled, ax=left, shrink=0.7, label=f"sd of a prediction ({named})")
        if len(present):
            ternary.points(left, present, "there", filled=False)
        ternary.points(left, proposed, "proposed")
        left.legend(loc="upper left")
    elif known:
        _part_below(left, errors * scale, named)
    else:
        left.set_axis_off()
    trainings = np.arange(len(variance))
    means = np.sqrt(np.where(np.isfinite(variance), variance, np.nan)) * scale
    right.plot(trainings, means, "o-", color=INK, markersize=4)
    right.set_xlim(-0.5, len(variance) - 0.5)
    right.set_ylim(bottom=0)
    right.set_xlabel("trainings")
    right.set_ylabel(f"root mean variance ({named})")
    right.grid(axis="y")
    return figure


def _part_below(panel: Axes, errors: Array, named: str) -> None:
    """Draw the fraction of the design space (Zahran, Anderson-Cook and Myers 2003)."""
    ordered = np.sort(errors)
    panel.plot(np.arange(1, len(ordered) + 1) / len(ordered), ordered, color=INK)
    panel.axhline(float(np.median(ordered)), color=MUTED, linewidth=1, linestyle="--")
    panel.set_xlabel("part of the region")
    panel.set_ylabel(f"sd of a prediction at most ({named})")
    panel.set_ylim(bottom=0)
    panel.grid(axis="y")


def draw_design(path: Path, plan: Plan, proposal: Proposal, unit: float | None) -> None:
    """Draw the precision of a design's predictions over its region, and its mean after each training.

    Args:
        unit: standard deviation of one run in points, where it is known.
    """
    region = plan.region
    width = len(region.components)
    grid = lattice(width, 40) if width == 3 else region.draws(2000, 42)
    grid = grid[region.contain(grid, 1e-6)] if width == 3 else grid
    if len(grid) < 50:
        grid = region.draws(2000, 42)
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        figure = design_figure(region.components, grid, proposal.errors(plan, grid), plan.present,
                               proposal.shares, proposal.variance, unit)  # fmt: skip
        write_svg(figure, path)
