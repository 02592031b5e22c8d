"""A page as HTML that needs no other file."""

from collections.abc import Sequence

import jinja2
from markupsafe import Markup

from posologie.report.blocks import Page
from posologie.report.template_files import read_template
from posologie.version import __version__


def as_html(page: Page, scripts: Sequence[str] = ("page.js",), styles: Sequence[str] = ("style.css",)) -> str:
    """Return a page as HTML. Every text is escaped; style and scripts are the project's own files, put in line."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(read_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("index.html.j2").render(
        page=page,
        version=__version__,
        style=Markup("".join(read_template(name) for name in styles)),  # noqa: S704 - the project's own files
        script=Markup("".join(read_template(name) for name in scripts)),  # noqa: S704 - the project's own files
    )
