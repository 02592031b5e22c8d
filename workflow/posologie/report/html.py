"""A page as HTML that needs no other file: its templates, styles and scripts, and figures made part of it."""

import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from posologie.report.blocks import Page, Table
from posologie.report.names import COLOURS, GRID, INK, MUTED, PAPER, counted
from posologie.running.errors import InputError
from posologie.running.installed import __version__


def read_template(name: str) -> str:
    """Return the text of one of the page's files."""
    return (files("posologie.report") / "templates" / name).read_text(encoding="utf-8")


def templates_digest() -> str:
    """Return 16 hexadecimal digits over all of the page's files."""
    digest = hashlib.sha256()
    for file in sorted((files("posologie.report") / "templates").iterdir(), key=lambda file: file.name):
        if file.is_file() and not file.name.startswith("."):
            digest.update(f"{file.name}\0{file.read_text(encoding='utf-8')}\0".encode())
    return digest.hexdigest()[:16]


def as_html(page: Page, scripts: Sequence[str] = ("page.js",), styles: Sequence[str] = ("style.css",)) -> str:
    """Return a page as HTML. Every text is escaped; style and scripts are the project's own files, put in line."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(read_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {"counted": counted, "widths": interval_widths, "unbroken": unbroken}
    return environment.get_template("index.html.j2").render(
        page=page,
        version=__version__,
        style=Markup("".join(read_template(name) for name in styles)),  # noqa: S704 - the project's own files
        script=Markup("".join(read_template(name) for name in scripts)),  # noqa: S704 - the project's own files
    )


def unbroken(text: str) -> str:
    """Return a sentence whose numbers stay with their signs at the end of a line: `95 %`, `p = 0.02`, `[−1, +2]`."""
    text = re.sub(
        r"(?<=\d) (?=%)|(?<=\bn) (?=[=<])|(?<=\bp) (?=[=<])|(?<=[=<]) (?=[\d−+.])", "\N{NO-BREAK SPACE}", text
    )
    return re.sub(r"(?<=\[)([^\[\] ]+,) (?=[^\[\] ]+\])", "\\1\N{NO-BREAK SPACE}", text)


_DIGITS = 0.9
"""Width of a sign of an interval in digits: brackets, commas and points are narrower, minus signs wider."""


def interval_widths(table: Table) -> list[float]:
    """Return the widths of the intervals and marks of each column in digits (`ch`); 0 where a column has none.

    All cells of a column leave as much room behind their value, so that the values stand one under the other.
    """
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.columns)
    return [
        round(_DIGITS * max((len(cell.interval) + len(cell.mark) for cell in cells), default=0), 1) * column.number
        for column, cells in zip(table.columns, columns, strict=True)
    ]


_VARIABLES = {colour: f"--{name}" for name, colour in COLOURS.items()} | {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    PAPER: "--paper",
}
_BEGIN = re.compile(r"^.*?(?=<svg\b)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_REFERENCES = re.compile(r'(\bid="|href="#|url\(#)')


def inlined(path: Path, name: str, description: str) -> Markup:
    """Return an SVG file's drawing for use in a page beside others.

    Colours that the page knows become its variables, so that the figure follows light and dark.

    Args:
        name: put before every id, because ids are unique in a page.
        description: what a screen reader says in the drawing's place.

    Raises:
        InputError: if the file is missing or holds no drawing.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such figure; expected it from posologie.report.figures") from None
    if "<svg" not in text or "<script" in text:
        raise InputError(f"{path}: expected an SVG drawing without scripts")
    text = _METADATA.sub("", _BEGIN.sub("", text))
    text = _REFERENCES.sub(rf"\g<1>{name}-", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    text = text.replace("<svg", f'<svg role="img" aria-label="{escape(description)}"', 1)
    return Markup(text.strip())  # noqa: S704 - a drawing made by this program
