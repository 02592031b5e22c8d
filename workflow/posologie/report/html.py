"""A page as HTML that needs no other file."""

from collections.abc import Sequence

import jinja2
from markupsafe import Markup

from posologie.report.blocks import Page
from posologie.report.template_files import read_template
from posologie.running.installed import __version__


def as_html(page: Page, scripts: Sequence[str] = ("page.js",)) -> str:
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
        style=Markup(read_template("style.css")),  # noqa: S704 - the project's own file
        script=Markup("".join(read_template(name) for name in scripts)),  # noqa: S704 - the project's own files
    )
