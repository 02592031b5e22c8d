"""Triangles of three components: where mixes lie, contours of a value over them, and the frame around it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.tri import Triangulation
from numpy.typing import NDArray

from posologie.report.names import INK, MUTED, PAPER

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
