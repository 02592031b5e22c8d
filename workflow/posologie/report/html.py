"""A page as HTML that needs no other file."""

import re
from collections.abc import Sequence

import jinja2
from markupsafe import Markup

from posologie.report.blocks import Page, Table
from posologie.report.template_files import read_template
from posologie.report.words import counted
from posologie.running.installed import __version__


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
