"""The page: which sections a study has, and how they become one file."""

from collections.abc import Sequence

import jinja2
from markupsafe import Markup

from posologie import __version__
from posologie.report import answer, bias, composition, compute, method, published, scores, training
from posologie.report.blocks import Block, Browser, Figure, Notice, Section
from posologie.report.drawings import inlined
from posologie.report.effects import comparisons
from posologie.report.inputs import Inputs
from posologie.report.tables import as_it_is
from posologie.report.template_files import read_template

CAPTIONS = {
    "effects": (
        "What each mix changes",
        "Difference of each mix from the base model, with its interval, on all items and on those of each provenance. "
        "Filled: settled after correction; hollow: not settled.",
    ),
    "mcqa": ("Choice questions", "Exact match of every model with its interval, under both ways of decoding."),
    "oeq": ("Open questions", "Text metrics of every model with their intervals."),
    "permutation": ("Permuted options", "Exact match in the original order of options and under permutation."),
    "published": ("The paper beside this study", "Printed values as crosses; ours as points with their intervals."),
    "composition": ("Composition of the mixes", "Training items of every mix by provenance."),
    "training": ("Training curves", "Loss at every update, and validation loss after every epoch."),
}
SHOWN = {"mcqa", "oeq", "contrasts", "composition"}
"""Tables that have a section of their own; any other is listed as it is."""


def sections(inputs: Inputs) -> list[Section]:
    """Return the sections of a study's page, in the order in which a reader wants them."""
    figures = _figures(inputs)
    found = comparisons(inputs)
    made: list[Section | None] = []
    if found:
        made.append(Section("answer", "The answer", (answer.answer(inputs, found[0]),)))
        blocks: list[Block] = [figures["effects"]] if "effects" in figures else []
        blocks += [scores.effects_table(inputs, comparison) for comparison in found]
        made.append(Section("effects", "What each mix changes", tuple(blocks)))
    made.append(scores.section(inputs, figures))
    made.append(published.section(inputs, figures.get("published")))
    made.append(bias.section(inputs, figures))
    made.append(composition.section(inputs, figures.get("composition")))
    made.append(training.section(inputs, figures.get("training")))
    made.append(compute.section(inputs))
    if inputs.spec.report.item_browser:
        made.append(Section("items", "Single items", (Browser("items/index.js", inputs.spec.report.language),)))
    others = tuple(
        as_it_is(name, name.replace("_", " ").capitalize(), "", inputs.rows(name))
        for name in inputs.spec.tables
        if name not in SHOWN
    )
    made.append(Section("others", "Further tables", others) if others else None)
    made.append(method.section(inputs))
    return [section for section in made if section is not None]


def _figures(inputs: Inputs) -> dict[str, Figure]:
    found = {}
    for name in inputs.spec.figures():
        title, caption = CAPTIONS[name]
        svg = inlined(inputs.root / "figures" / f"{name}.svg", name, f"{title}. {caption}")
        found[name] = Figure(name, title, caption, svg, f"figures/{name}")
    return found


def render(inputs: Inputs, made: Sequence[Section], notices: Sequence[Notice]) -> str:
    """Return the page as HTML that needs no other file."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(read_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    spec = inputs.spec
    count = len(spec.models)
    return environment.get_template("index.html.j2").render(
        title=spec.title or f"The study “{spec.study}”",
        subtitle=f"Study {spec.study}: {count} model{'s' if count > 1 else ''}, suites {', '.join(spec.suites)}",
        version=__version__,
        style=Markup(read_template("style.css")),  # noqa: S704 - the project's own file
        script=Markup(read_template("page.js") + read_template("browser.js")),  # noqa: S704 - the project's own files
        sections=made,
        notices=notices,
        footer=f"Made by posologie {__version__} from the files of results/{spec.study}; nothing is loaded from elsewhere.",
    )
