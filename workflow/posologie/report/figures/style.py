"""What all figures share: inks, fonts, and files whose bytes depend on nothing but their content."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from posologie.files import whole_file
from posologie.report.names import GRID, INK, MUTED

WIDTH = 7.0
"""Inches: the text width of a page, so that a figure needs no scaling in a paper."""

SETTINGS: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],  # comes with matplotlib: the same layout on every machine
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "errorbar.capsize": 0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and edited
    "svg.hashsalt": "posologie",
    "pdf.fonttype": 42,
    "pdf.compression": 9,
}


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure of the given size in inches, laid out so that no label is cut."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def write(figure: Figure, target: Path) -> None:
    """Write `{target}.svg` and `{target}.pdf` without dates or versions: equal figures have equal bytes."""
    for suffix, nothing in (
        ("svg", {"Date": None, "Creator": None, "Format": None, "Type": None}),
        ("pdf", {"CreationDate": None, "Creator": None, "Producer": None}),
    ):
        with whole_file(target.with_name(f"{target.name}.{suffix}")) as partial, mpl.rc_context(SETTINGS):
            figure.savefig(partial, format=suffix, metadata=nothing)


def empty_figure(name: str) -> Figure:
    """Return what stands for a figure that a study has no numbers for: the file is declared before that is known."""
    figure = new_figure(0.6)
    figure.text(0.5, 0.5, f"{name}: this study has no numbers to show here", ha="center", va="center", color=MUTED)
    return figure
