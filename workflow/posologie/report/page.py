"""The page: which sections a study has, and how they become one file."""

import json
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from posologie.report import (
    answer,
    attribution,
    bias,
    composition,
    compute,
    effects,
    header,
    judges,
    leakage,
    method,
    published,
    scores,
    surface,
    training,
    transfer,
)
from posologie.report.blocks import Browser, Figure, Notice, Page, Section
from posologie.report.browser import data_file, read_value
from posologie.report.captions import caption_of
from posologie.report.drawings import inlined
from posologie.report.html import as_html
from posologie.report.inputs import Inputs
from posologie.report.tables import as_it_is
from posologie.report.words import counted, listed
from posologie.running.installed import __version__

ITEMS = "report/items/index.js"
PLACED = frozenset(
    [
        "agreement",
        "agreement_contrasts",
        "attribution",
        "best",
        "composition",
        "compute",
        "contrasts",
        "corrected",
        "dose_response",
        "generator",
        "judge_choice",
        "leakage",
        "length",
        "mcqa",
        "oeq",
        "position",
        "published",
        "raters",
        "screening",
        "surface",
        "topics",
        "transfer",
        "verbosity",
    ]
)
"""Tables that have a section of their own; any other is listed as it is."""


def sections(inputs: Inputs) -> list[Section]:
    """Return the sections of a study's page, in the order in which a reader wants them."""
    figures = _figures(inputs)
    found = effects.comparisons(inputs)
    made = [
        surface.section(inputs, figures.get("surface")),
        answer.section(inputs, found),
        effects.section(inputs, found, figures.get("effects")),
        transfer.section(inputs),
        attribution.section(inputs, figures),
        scores.section(inputs, figures),
        published.section(inputs, figures.get("published")),
        bias.section(inputs, figures),
        judges.section(inputs, figures),
        composition.section(inputs, figures.get("composition")),
        leakage.section(inputs),
        training.section(inputs, figures.get("training")),
        compute.section(inputs, figures.get("compute")),
        _others(inputs),
        _items(inputs),
        method.section(inputs),
    ]
    return [section for section in made if section is not None]


def _items(inputs: Inputs) -> Section | None:
    if not inputs.spec.report.item_browser:
        return None
    data = embedded(inputs.root / ITEMS, inputs.spec.report.items_in_page)
    return Section("items", "Single items", (Browser("items/index.js", inputs.spec.report.language, data),))


def embedded(index: Path, most: int) -> Markup:
    """Return the data of the item browser as JSON that may stand in a page; nothing for more items than `most`.

    Raises:
        InputError: if one of the browser's files is broken or missing.
    """
    if not index.is_file():
        return Markup("")
    (facts,) = read_value(index, "index")
    if len(facts["ids"]) > most:
        return Markup("")
    pages = [read_value(data_file(index, number), "page")[1] for number in range(len(facts["files"]))]
    text = json.dumps({"index": facts, "pages": pages}, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 - nothing in it can end the script element


def _others(inputs: Inputs) -> Section | None:
    tables = tuple(
        as_it_is(name, name.replace("_", " ").capitalize(), "", inputs.rows(name))
        for name in inputs.spec.tables
        if name not in PLACED
    )
    return Section("others", "Further tables", tables) if tables else None


def _figures(inputs: Inputs) -> dict[str, Figure]:
    found = {}
    for name in inputs.spec.figures():
        title, caption = caption_of(inputs, name)
        svg = inlined(inputs.root / "figures" / f"{name}.svg", name, f"{title}. {caption}")
        found[name] = Figure(name, title, caption, svg, f"figures/{name}")
    return found


def render(inputs: Inputs, made: Sequence[Section], notices: Sequence[Notice]) -> str:
    """Return the report as HTML that needs no other file."""
    spec = inputs.spec
    return as_html(
        Page(
            title=spec.title or f"The study “{spec.study}”",
            subtitle=f"Study {spec.study}: {counted(len(spec.models), 'model')}, suites {listed(spec.suites, 12)}",
            sections=tuple(made),
            notices=tuple(notices),
            facts=header.facts(inputs),
            footer=f"Made by posologie {__version__} from the files of results/{spec.study}; nothing is loaded.",
        ),
        scripts=("page.js", "browser.js"),
    )
