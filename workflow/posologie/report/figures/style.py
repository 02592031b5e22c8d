"""What all figures share: inks, fonts, and files whose bytes depend on nothing but their content.

Each value is written into the SVG as the title of its mark, so that one drawing serves the page, the SVG and the PDF. A
plotting library in the page would add a megabyte and a second drawing of each figure, and show nothing without scripts.
"""

import json
import re
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from posologie.report.names import GRID, INK, MUTED
from posologie.running.whole_files import whole_file

WIDTH = 7.0
"""Inches: the text width of a page, so that a figure needs no scaling in a paper."""

SETTINGS: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],  # comes with matplotlib: the same layout on every machine
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
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
    "lines.solid_capstyle": "butt",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and edited
    "svg.hashsalt": "posologie",
    "pdf.fonttype": 42,
    "pdf.compression": 9,
}


FALLBACKS = (
    "Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Noto Sans JP", "WenQuanYi Zen Hei",
    "IPAexGothic", "Noto Sans Devanagari", "Noto Sans Thai", "Arial Unicode MS",
)  # fmt: skip
"""Fonts for letters that DejaVu Sans lacks; which of them a machine has, the bytes of such a figure depend on."""

_PANELS_IN_LINE = 5
_HANDLE, _LETTER = 0.6, 0.075
"""Inches that a legend needs for the line of a name with the space around it, and for a letter, at most."""

_SMALLEST_SPAN = 1e-6
"""A span of values below this is rounding: all of them are equal."""

_MARK, PANEL = "mark ", "panel"
_MARKED = re.compile(rf'<g id="{_MARK}([^"]*)">')


@dataclass(frozen=True)
class Mark:
    """What a drawn value is, written into the SVG beside it: a viewer shows the text, the report filters by the rest.

    Attributes:
        text: the value in words, with what it is of.
        row: what it belongs to, such as a mix: one mark leads to the others of its row.
        parts: components that the mix holds.
        value: place along the axis of values; None for what has none.
    """

    text: str
    row: str = ""
    parts: tuple[str, ...] = ()
    value: float | None = None

    @property
    def gid(self) -> str:
        """The mark as an id of an artist; `write` turns it into attributes."""
        return _MARK + quote(json.dumps(asdict(self)))


def fitted(figure: Figure) -> Figure:
    """Return a figure in which titles and labels of ticks leave room for each other, whatever it shows."""
    for panel in figure.axes:
        for limits, scale, set_limits in (
            (panel.get_xlim(), panel.get_xscale(), panel.set_xlim),
            (panel.get_ylim(), panel.get_yscale(), panel.set_ylim),
        ):
            low, high = limits
            if panel.axison and scale == "linear" and abs(high - low) < _SMALLEST_SPAN * max(1.0, abs(high)):
                middle = round((low + high) / 2, 9) + 0.0
                set_limits(middle - 1, middle + 1)
        for axis in (panel.xaxis, panel.yaxis):
            if isinstance(formatter := axis.get_major_formatter(), ScalarFormatter):
                formatter.set_useOffset(False)
    figure.draw_without_rendering()
    for panel in figure.axes:
        _wrap_title(figure, panel)
        _thin_ticks(figure, panel)
    return figure


def _wrap_title(figure: Figure, panel: Axes) -> None:
    """Break a title into lines where it would reach into the next panel or beyond the edge."""
    text = panel.get_title(loc="left")
    if not text:
        return
    start = panel.get_window_extent().x0
    others = [other.get_window_extent() for other in figure.axes if other is not panel and other.axison]
    here = panel.get_window_extent()
    end = min((box.x0 for box in others if box.x0 > start + 1 and box.y0 < here.y1 and box.y1 > here.y0),
              default=figure.bbox.x1)  # fmt: skip
    shown = panel.set_title(text, loc="left")
    for letters in range(max(map(len, text.split("\n"))), 7, -1):
        if shown.get_window_extent().width <= end - start - 4:
            return
        shown.set_text("\n".join(textwrap.fill(line, letters, break_on_hyphens=True) for line in text.split("\n")))


def _thin_ticks(figure: Figure, panel: Axes) -> None:
    """Show fewer ticks where their labels would touch."""
    for count in (4, 3, 2):
        boxes = [
            label.get_window_extent() for label in panel.get_xticklabels() if label.get_visible() and label.get_text()
        ]
        if all(right.x0 - left.x1 > 3 for left, right in pairwise(sorted(boxes, key=lambda box: box.x0))):
            return
        if not isinstance(panel.xaxis.get_major_locator(), MaxNLocator):
            return
        panel.locator_params(axis="x", nbins=count)
        figure.draw_without_rendering()


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure of the given size in inches, laid out so that no label is cut."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def row_panels(
    names: Sequence[str], count: int, *, sharex: bool = True, extra: float = 0.9, width: float = WIDTH
) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels that share named rows, the first row on top; more than five stand in several lines.

    Args:
        extra: inches for titles, axis and legend.
    """
    lines = -(-count // _PANELS_IN_LINE)
    columns = -(-count // lines)
    figure = new_figure(extra + 0.28 * max(len(names), 2) + (lines - 1) * (0.45 + 0.28 * max(len(names), 2)), width)
    grid = list(figure.subplots(lines, columns, sharex=sharex, sharey=True, squeeze=False).flat)
    panels = grid[:count]
    for panel in grid[count:]:
        panel.set_axis_off()
    for panel in panels[count - columns :]:
        panel.tick_params(labelbottom=True)
    for panel in panels:
        panel.set_gid(PANEL)
        panel.grid(axis="x")
        panel.set_yticks(range(len(names)), names)
        panel.set_ylim(len(names) - 0.4, -0.6)
        panel.locator_params(axis="x", nbins=5 if count < 4 else 4)
    return figure, panels


def point(
    panel: Axes, value: float, y: float, low: float | None, high: float | None,
    *, colour: str = INK, marker: str = "o", fill: str | None = None, name: str | None = None, mark: Mark | None = None,
) -> None:  # fmt: skip
    """Draw a value and, where there is one, its interval."""
    gid = None if mark is None else mark.gid
    if low is not None and high is not None:
        panel.plot([low, high], [y, y], color=colour, linewidth=1.3, gid=gid)
    panel.plot(
        [value], [y], marker, color=colour, markersize=5.5, linestyle="none", gid=gid,
        markerfacecolor=colour if fill is None else fill, markeredgecolor=colour, label=name,
    )  # fmt: skip


def name_rows(panel: Axes, rows: Sequence[Mark]) -> None:
    """Let the names of a panel's rows go along when the report filters what the rows hold."""
    for label, mark in zip(panel.get_yticklabels(), rows, strict=True):
        label.set_gid(mark.gid)


def legend_above(figure: Figure, panel: Axes, columns: int) -> None:
    """Put the panel's legend above the figure, each name once."""
    handles, labels = panel.get_legend_handles_labels()
    named = dict(zip(labels, handles, strict=True))
    fitting = min(columns, legend_columns(list(named)))
    figure.legend(list(named.values()), list(named), loc="outside upper left", ncols=fitting)


def legend_columns(names: Sequence[str], width: float = WIDTH) -> int:
    """Return how many columns of a legend with these names fit into a width in inches, one at least."""
    longest = max((len(name) for name in names), default=0)
    return max(1, int(width / (_HANDLE + _LETTER * longest)))


def x_title(figure: Figure, text: str) -> None:
    """Name what the panels' common axis shows."""
    figure.supxlabel(text, fontsize=9, color=INK)


def _with_fonts(figure: Figure) -> None:
    """Let texts with letters that the font lacks, such as Chinese titles, fall back on other fonts of this machine."""
    known = get_font(fontManager.findfont(SETTINGS["font.family"][0])).get_charmap()
    for text in figure.findobj(Text):
        if any(ord(letter) not in known for letter in text.get_text() if not letter.isspace()):
            installed = set(fontManager.get_font_names())
            text.set_fontfamily([*SETTINGS["font.family"], *(name for name in FALLBACKS if name in installed)])


def _place_panels(figure: Figure) -> None:
    """Write into each panel of rows where its axis of values begins and ends, in the drawing and in values."""
    for panel in figure.axes:
        if panel.get_gid() == PANEL:
            box, (low, high) = panel.get_window_extent(), panel.get_xlim()
            scale = 72 / figure.dpi
            place = [box.x0 * scale, box.x1 * scale, figure.bbox.height * scale - box.y1 * scale,
                     figure.bbox.height * scale - box.y0 * scale]  # fmt: skip
            panel.set_gid(f"{PANEL} {' '.join(f'{number:.6g}' for number in [*place, low, high])}")


def _with_marks(path: Path) -> None:
    """Turn the ids of marks and panels in an SVG into attributes, and give each mark a title that viewers show."""

    def marked(match: re.Match[str]) -> str:
        mark = json.loads(unquote(match[1]))
        facts = {"row": mark["row"], "parts": " ".join(mark["parts"]), "value": mark["value"]}
        data = "".join(f' data-{key}="{escape(str(fact))}"' for key, fact in facts.items() if fact not in ("", None))
        return f'<g class="mark"{data}><title>{escape(mark["text"])}</title>'

    text = path.read_text(encoding="utf-8")
    text = re.sub(rf'<g id="{PANEL} ([^"]*)">', r'<g class="panel" data-place="\1">', text)
    path.write_text(_MARKED.sub(marked, text), encoding="utf-8")


def write_svg(figure: Figure, path: Path) -> None:
    """Write one SVG file without dates or versions."""
    _with_fonts(figure)
    fitted(figure)
    _place_panels(figure)
    with whole_file(path) as partial:
        figure.savefig(partial, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        _with_marks(Path(partial))


def write(figure: Figure, target: Path) -> None:
    """Write `{target}.svg` and `{target}.pdf` without dates or versions: equal figures have equal bytes."""
    _with_fonts(figure)
    fitted(figure)
    _place_panels(figure)
    for suffix, nothing in (
        ("svg", {"Date": None, "Creator": None, "Format": None, "Type": None}),
        ("pdf", {"CreationDate": None, "Creator": None, "Producer": None}),
    ):
        with whole_file(target.with_name(f"{target.name}.{suffix}")) as partial:
            figure.savefig(partial, format=suffix, metadata=nothing)
            if suffix == "svg":
                _with_marks(Path(partial))


def empty_figure(name: str) -> Figure:
    """Return what stands for a figure that a study has no numbers for: its file is declared before that is known."""
    figure = new_figure(0.6)
    figure.text(0.5, 0.5, f"{name}: this study has no numbers to show here", ha="center", va="center", color=MUTED)
    return figure
