"""A figure file becomes part of the page: its own ids, the page's colours, a name for those who cannot see it."""

import re
from pathlib import Path

from markupsafe import Markup, escape

from posologie.report.names import COLOURS, GRID, INK, MUTED, PAPER
from posologie.running.errors import InputError

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
