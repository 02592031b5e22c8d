"""The page: which sections a study has, and how they become one file."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import jinja2

from posologie import __version__
from posologie.report import composition
from posologie.report.blocks import Browser, Notice, Section
from posologie.report.spec import ReportSpec
from posologie.report.tables import as_it_is, read_rows


def sections(spec: ReportSpec, root: Path) -> list[Section]:
    """Return the sections of a study's page, in the order in which a reader wants them."""
    made = []
    tables = tuple(as_it_is(name, name.replace("_", " ").capitalize(), "", read_rows(root, name)) for name in spec.tables)
    made.append(Section("tables", "Tables", tables))
    if any(model.kind == "mix" for model in spec.models):
        made.append(composition.section(spec, root))
    if spec.report.item_browser:
        made.append(Section("items", "Single items", (Browser("items/index.js", spec.report.language),)))
    return made


def render(spec: ReportSpec, made: Sequence[Section], notices: Sequence[Notice]) -> str:
    """Return the page as HTML that needs no other file."""
    templates = files("posologie.report") / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (templates / name).read_text(encoding="utf-8")),
        autoescape=True,
        trim_blocks=False,
        undefined=jinja2.StrictUndefined,
    )
    safe = jinja2.utils.markupsafe.Markup
    return environment.get_template("index.html.j2").render(
        title=spec.title or f"The study “{spec.study}”",
        subtitle=f"Study {spec.study}: {len(spec.models)} models, {len(spec.suites)} suites",
        version=__version__,
        style=safe((templates / "style.css").read_text(encoding="utf-8")),
        script=safe("\n".join((templates / name).read_text(encoding="utf-8") for name in ("page.js", "browser.js"))),
        sections=made,
        notices=notices,
        footer=f"Made by posologie {__version__} from the files of results/{spec.study}; nothing here is loaded from elsewhere.",
    ) + "\n"
