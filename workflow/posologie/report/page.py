"""The page: which sections a study has, and how they become one file."""

from collections.abc import Sequence

from posologie.report import (
    answer,
    attribution,
    bias,
    composition,
    compute,
    effects,
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
from posologie.report.drawings import inlined
from posologie.report.html import as_html
from posologie.report.inputs import Inputs
from posologie.report.tables import as_it_is
from posologie.report.words import listed
from posologie.version import __version__

CAPTIONS = {
    "effects": (
        "What each mix changes",
        "Difference of each mix from the base model with its interval, on all items and on those of each component. "
        "Filled points: better, worse or equivalent with all comparisons taken together; hollow: not settled.",
    ),
    "attribution": ("What each component adds", "Shapley values and interactions with their intervals."),
    "dose_response": ("Dose and response", "Value by dose with intervals, a panel for each sweep."),
    "surface": (
        "Score and dose",
        "Expected score over the mixes, with the mixes that cannot be distinguished from the best; along each "
        "component's share "
        "the others keep their proportions. Bands: intervals, point by point.",
    ),
    "mcqa": ("Choice questions", "Exact match of every model with its interval, under both ways of decoding."),
    "oeq": ("Open questions", "What judges and text metrics say of every model's answers, with intervals."),
    "position": ("Permuted options", "Exact match in the original order of options and under permutation."),
    "published": (
        "The published study beside this one",
        "Printed values as crosses; ours as points with their intervals.",
    ),
    "agreement": ("Agreement with people", "Judges, metrics and people against the mean human rating, with intervals."),
    "calibration": (
        "Calibration of the judges",
        "Each rated answer: the judge's probability, or its verdict, against the mean human rating; points are spread "
        "a little so that none hides another.",
    ),
    "generator": ("Judges by generator", "What each judge gives a generator's answers beyond what people give them."),
    "composition": ("Composition of the mixes", "Training items of every mix by component."),
    "compute": ("Hours", "Hours of training and prediction for every model."),
    "training": ("Training curves", "Loss at every update, and validation loss after every epoch."),
}
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
        effects.section(found, figures.get("effects")),
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
        Section("items", "Single items", (Browser("items/index.js", inputs.spec.report.language),))
        if inputs.spec.report.item_browser
        else None,
        method.section(inputs),
    ]
    return [section for section in made if section is not None]


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
        title, caption = CAPTIONS[name]
        svg = inlined(inputs.root / "figures" / f"{name}.svg", name, f"{title}. {caption}")
        found[name] = Figure(name, title, caption, svg, f"figures/{name}")
    return found


def render(inputs: Inputs, made: Sequence[Section], notices: Sequence[Notice]) -> str:
    """Return the report as HTML that needs no other file."""
    spec = inputs.spec
    count = len(spec.models)
    return as_html(
        Page(
            title=spec.title or f"The study “{spec.study}”",
            subtitle=f"Study {spec.study}: {count} model{'s' if count > 1 else ''}, suites {listed(spec.suites, 12)}",
            sections=tuple(made),
            notices=tuple(notices),
            footer=f"Made by posologie {__version__} from the files of results/{spec.study}; nothing is loaded.",
        ),
        scripts=("page.js", "browser.js"),
    )
