"""Triangles of three components, and how precise the predictions of a design will be."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation
from numpy.typing import NDArray

from posologie.report.figures.style import SETTINGS, new_figure, write_svg
from posologie.report.names import INK, MUTED, PAPER
from posologie.surface.design_points import DesignProblem
from posologie.surface.designs import Proposal
from posologie.surface.simplex import lattice

Array = NDArray[np.float64]

_CORNERS = np.array([[0.5, np.sqrt(3) / 2], [0.0, 0.0], [1.0, 0.0]])
_LONGEST_EDGE = 1.6
"""Times the median edge: longer ones would bridge what the bounds leave out."""


def place(shares: Array) -> Array:
    """Return [point, 2], where mixes [point, 3] lie: the first component on top, the second left, the third right."""
    return np.asarray(shares @ _CORNERS)


def frame(panel: Axes, names: Sequence[str]) -> None:
    """Draw the triangle with its three components at their corners."""
    panel.set_aspect("equal")
    panel.set_axis_off()
    outline = _CORNERS[[0, 1, 2, 0]]
    panel.plot(outline[:, 0], outline[:, 1], color=MUTED, linewidth=1, zorder=3)
    for corner, name, align, where in zip(
        _CORNERS, names, ("center", "left", "right"), ("bottom", "top", "top"), strict=True
    ):
        panel.annotate(
            name, corner, xytext=(0, 4 if where == "bottom" else -5), textcoords="offset points", ha=align, va=where,
            color=INK,
        )  # fmt: skip
    panel.set_xlim(-0.06, 1.06)
    panel.set_ylim(-0.12, 1.0)


def contours(panel: Axes, shares: Array, values: Array, levels: int = 8, colours: str = "Blues") -> Any:
    """Draw filled contours of values at mixes [point, 3], and return them for a colour bar; None if all are alike."""
    if len(shares) < 3 or np.ptp(values) <= 1e-12:
        return None
    points = place(shares)
    mesh = Triangulation(points[:, 0], points[:, 1])
    corners = points[mesh.triangles]
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    flat = np.abs(np.linalg.det(np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], axis=1)))
    mesh.set_mask((edges > _LONGEST_EDGE * np.median(edges)) | (flat < 1e-9))
    filled = panel.tricontourf(mesh, values, levels=levels, cmap=colours, zorder=1)
    panel.tricontour(mesh, values, levels=filled.levels, colors=[PAPER], linewidths=0.5, zorder=1.5)
    return filled


def points(
    panel: Axes, shares: Array, label: str, *, marker: str = "o", filled: bool = True, unseen: bool = False,
    gid: str | None = None,
) -> None:  # fmt: skip
    """Draw mixes as points; unseen ones carry their id alone."""
    at = place(shares)
    panel.plot(
        at[:, 0], at[:, 1], marker, markersize=5, linestyle="none", gid=gid,
        markerfacecolor="none" if unseen else INK if filled else PAPER,
        markeredgecolor="none" if unseen else INK, label=label, zorder=4, clip_on=False,
    )  # fmt: skip


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
    scale, unit_name = (1.0, "sd of one run") if unit is None else (unit, "points")
    known = np.isfinite(errors).all()
    if len(components) == 3:
        filled = contours(left, grid, errors * scale) if known else None
        frame(left, components)
        if filled is not None:
            figure.colorbar(filled, ax=left, shrink=0.7, label=f"sd of a prediction ({unit_name})")
        if len(present):
            points(left, present, "there", filled=False)
        points(left, proposed, "proposed")
        left.legend(loc="upper left")
    elif known:
        _part_below(left, errors * scale, unit_name)
    else:
        left.set_axis_off()
    trainings = np.arange(len(variance))
    means = np.sqrt(np.where(np.isfinite(variance), variance, np.nan)) * scale
    right.plot(trainings, means, "o-", color=INK, markersize=4)
    right.set_xlim(-0.5, len(variance) - 0.5)
    right.set_ylim(bottom=0)
    right.set_xlabel("trainings")
    right.set_ylabel(f"root mean variance ({unit_name})")
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


def draw_design(path: Path, problem: DesignProblem, proposal: Proposal, unit: float | None) -> None:
    """Draw the precision of a design's predictions over its region, and its mean after each training.

    Args:
        unit: standard deviation of one run in points, where it is known.
    """
    region = problem.region
    width = len(region.components)
    grid = lattice(width, 40) if width == 3 else region.draws(2000, 42)
    grid = grid[region.contain(grid, 1e-6)] if width == 3 else grid
    if len(grid) < 50:
        grid = region.draws(2000, 42)
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        figure = design_figure(region.components, grid, proposal.errors(problem, grid), present=problem.present,
                               proposed=proposal.shares, variance=proposal.variance, unit=unit)  # fmt: skip
        write_svg(figure, path)
