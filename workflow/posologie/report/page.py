"""The page: which sections a study has, its head, the captions of its figures, and how they become one file."""

import importlib.metadata
import json
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from markupsafe import Markup

from posologie.report import (
    answer,
    attribution,
    bias,
    composition,
    effects,
    judges,
    leakage,
    method,
    paper_text,
    published,
    scores,
    surface,
    training,
)
from posologie.report.attribution import SHAPLEY, terms
from posologie.report.blocks import Browser, Figure, Notice, Page, Section
from posologie.report.browser import data_file, read_value
from posologie.report.effects import comparisons, short_note
from posologie.report.html import as_html, inlined
from posologie.report.inputs import Inputs
from posologie.report.names import counted, joined, listed
from posologie.report.scores import drawn_choices, drawn_texts
from posologie.report.surface import surface_table
from posologie.report.tables import Row, as_it_is, decimal
from posologie.running.installed import __version__, project
from posologie.running.seals import check_seal


def facts(inputs: Inputs) -> tuple[tuple[str, str], ...]:
    """Return names and values, those that the study has."""
    named_facts = (
        ("Backbone", _backbones(inputs)),
        ("Trained", _trained(inputs)),
        ("Tested", _tested(inputs)),
        ("Cost", _cost(inputs)),
        ("Run", _dates(inputs)),
        ("Program", f"posologie {__version__}{f', commit {known}' if (known := commit()) else ''}"),
    )
    return tuple((name, value) for name, value in named_facts if value)


def _backbones(inputs: Inputs) -> str:
    """Return the backbones, each with the beginning of its revision where a run record has one."""
    names = dict.fromkeys(model.backbone for model in inputs.models if model.backbone)
    known = ((record.model.backbone, record.facts.get("backbone_revision")) for record in inputs.runs)
    revisions = {backbone: revision for backbone, revision in known if revision}
    texts = []
    for name in names:
        revision = revisions.get(name)
        texts.append(f"{name} (revision {str(revision)[:12]})" if revision else str(name))
    return ", ".join(texts)


def _trained(inputs: Inputs) -> str:
    """Return how many mixes and seeds were trained, on how many items."""
    mixes = {model.mix for model in inputs.models if model.mix}
    if not mixes:
        return ""
    seeds = {model.seed for model in inputs.models if model.seed is not None}
    several = f", {counted(len(seeds), 'seed')}" if len(seeds) > 1 else ""
    sizes = [mix.items for mix in composition.mixes(inputs)]
    if not sizes:
        return f"{counted(len(mixes), 'mix')}{several}"
    size = f"{min(sizes):,}" if min(sizes) == max(sizes) else f"{min(sizes):,} to {max(sizes):,}"
    return f"{counted(len(mixes), 'mix')} of {size} items{several}"


def _tested(inputs: Inputs) -> str:
    """Return how many items each suite has."""
    texts = []
    for suite in inputs.spec.suites:
        rows = [row for name in ("mcqa", "oeq") for row in inputs.rows(name, suite=suite, scope_kind="all", task="all")]
        if rows:
            texts.append(f"{suite} {counted(max(int(row.needed('n')) for row in rows), 'item')}")
    return joined(texts) if texts else ""


def _cost(inputs: Inputs) -> str:
    """Return hours and GPU-hours of the jobs that were measured."""
    rows = inputs.rows("compute")
    hours, gpu_hours = (sum(row.number(column) or 0 for row in rows) for column in ("hours", "gpu_hours"))
    on = f", {decimal(gpu_hours, 1)} GPU-hours" if gpu_hours else " on the CPU"
    long = f"{decimal(hours, 1)} hours" if hours >= 1 else counted(round(60 * hours), "minute")
    return f"{counted(len(rows), 'job')}, {long}{on}" if rows else ""


def _dates(inputs: Inputs) -> str:
    """Return the days on which the first and the last recorded job started."""
    days = sorted(str(record.facts["started"])[:10] for record in inputs.runs if record.facts.get("started"))
    return "" if not days else days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"


def commit() -> str | None:
    """Return the beginning of the commit that the code is from, with `+` behind it where files were changed since.

    None where neither git nor the installed package's metadata know it.
    """
    try:
        origin = json.loads(importlib.metadata.distribution("posologie").read_text("direct_url.json") or "{}")
    except (importlib.metadata.PackageNotFoundError, ValueError):
        origin = {}
    if known := origin.get("vcs_info", {}).get("commit_id"):
        return str(known)[:12]
    if not (project() / ".git").exists():
        return None
    git = ["git", "-C", str(project())]
    try:
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


CAPTIONS = {
    "answer": (
        "What each mix holds and what it changes",
        "Difference from the base model with its interval, the highest first. Filled points are settled after "
        "correction for all comparisons; hollow ones are not.",
    ),
    "transfer": (
        "Gains on items of two components",
        "Gain on items of one component less the gain on another's, with intervals; filled points are settled.",
    ),
    "screening": (
        "Matches before the mixes were drawn",
        "Items of each source that match another item, in % with intervals.",
    ),
    "leakage": (
        "How the leaked items affect the gains",
        "Gain of each mix over base on all items (filled) and without those that the mix trained on (hollow).",
    ),
    "effects": (
        "What each mix changes",
        "Difference of each mix from the base model with its interval, on all items and on those of each component. "
        "Filled points: better, worse or equivalent after correction for all comparisons; hollow: not settled.",
    ),
    "attribution": ("What each component adds", "Shapley values and interactions with their intervals."),
    "dose_response": ("Dose and response", "Value by dose with intervals, a panel for each sweep."),
    "surface": (
        "Score and dose",
        "Expected score over the mixes, with the mixes that cannot be distinguished from the best; along each "
        "component's share the others keep their proportions. Bands: intervals, point by point.",
    ),
    "mcqa": ("Choice questions", "Exact match of every model with its interval, under both ways of decoding."),
    "oeq": ("Open questions", "Scores of every model's answers by judges and text metrics, with intervals."),
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
    "generator": ("Judges by generator", "How much more each judge gives a generator's answers than people do."),
    "composition": ("Composition of the mixes", "Training items of every mix by component."),
    "compute": ("Hours", "Hours of training and prediction for every model."),
    "training": ("Training curves", "Loss at every update, and validation loss after every epoch."),
}


def caption_of(inputs: Inputs, name: str) -> tuple[str, str]:
    """Return title and caption of a figure, with the reasons why points of it have no interval."""
    title, caption = CAPTIONS[name]
    if name == "answer" and (fitted := surface_table(inputs)) is not None and fitted.supported:
        title, caption = (
            "The best dose and its region",
            "Points: share of each component in the mix with the highest expected score. Bars: the shares of the "
            "mixes that cannot be distinguished from it.",
        )
    reasons = _without_interval(inputs, name)
    return title, f"{caption} Points without an interval: {'; '.join(reasons)}." if reasons else caption


def _without_interval(inputs: Inputs, name: str) -> list[str]:
    """Return the notes of the drawn values that have no interval, each once."""
    if name in ("answer", "effects"):
        drawn = [effect for comparison in comparisons(inputs)[:1] for effect in comparison.effects]
        drawn = [effect for effect in drawn if name == "effects" or effect.scope_kind == "all"]
        return _notes((effect.low, short_note(effect.note)) for effect in drawn)
    rows: list[Row] = []
    if name == "mcqa":
        rows = drawn_choices(inputs)
    elif name == "oeq":
        rows = drawn_texts(inputs)
    elif name == "attribution":
        suites = inputs.suites_of("attribution")[:1]
        rows = [row for suite in suites for method in SHAPLEY for row in terms(inputs, suite, method, "all")]
    return _notes((row.number("low"), row["note"]) for row in rows if row.number("value") is not None)


def _notes(lows_and_notes: Iterable[tuple[float | None, str]]) -> list[str]:
    notes = dict.fromkeys(note or "no value differs from the others" for low, note in lows_and_notes if low is None)
    return list(dict.fromkeys(text for note in notes for text in note.split("; ") if text))


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
    comparisons = effects.comparisons(inputs)
    candidates = [
        answer.section(inputs, comparisons, figures.get("answer")),
        surface.section(inputs, figures.get("surface")),
        effects.section(inputs, comparisons, figures.get("effects"), answer.counts(inputs, comparisons)),
        effects.transfer_section(inputs, figures.get("transfer")),
        attribution.section(inputs, figures, answer.contributions(inputs, comparisons)),
        scores.section(inputs, figures),
        published.section(inputs, figures.get("published")),
        bias.section(inputs, figures),
        judges.section(inputs, figures),
        composition.section(inputs, figures.get("composition")),
        leakage.section(inputs, figures),
        training.section(inputs, figures.get("training")),
        training.compute_section(inputs, figures.get("compute")),
        _others(inputs),
        _items(inputs),
        method.section(inputs),
        paper_text.section(inputs, comparisons) if inputs.spec.suites else None,
    ]
    return [section for section in candidates if section is not None]


def _items(inputs: Inputs) -> Section | None:
    if not inputs.spec.report.item_browser:
        return None
    spec = inputs.spec
    data = embedded(inputs.root / ITEMS, spec.report.items_in_page)
    title = spec.title or spec.study
    return Section("items", "Single items", (Browser("items/index.js", spec.report.language, title, data),))


def embedded(index: Path, most: int) -> Markup:
    """Return the data of the item browser as JSON that may stand in a page; nothing for more items than `most`.

    Raises:
        InputError: if one of the browser's files is broken or missing, or was altered after it was made.
    """
    if not index.is_file():
        return Markup("")
    (facts,) = read_value(index, "index")
    if len(facts["ids"]) > most:
        return Markup("")
    files = [data_file(index, number) for number in range(len(facts["files"]))]
    for file in (*files, index.with_name("words.js")):
        check_seal(file)
    pages = [read_value(file, "page")[1] for file in files]
    (words,) = read_value(index.with_name("words.js"), "words")
    text = json.dumps({"index": facts, "words": words, "pages": pages}, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 - nothing in it can end the script element


def _others(inputs: Inputs) -> Section | None:
    tables = tuple(
        as_it_is(name, name.replace("_", " ").capitalize(), "", inputs.rows(name))
        for name in inputs.spec.tables
        if name not in PLACED
    )
    return Section("others", "Further tables", tables) if tables else None


def _figures(inputs: Inputs) -> dict[str, Figure]:
    figures = {}
    for name in inputs.spec.figures():
        title, caption = caption_of(inputs, name)
        svg = inlined(inputs.root / "figures" / f"{name}.svg", name, f"{title}. {caption}")
        figures[name] = Figure(name, title, caption, svg, f"figures/{name}")
    return figures


def render(inputs: Inputs, page_sections: Sequence[Section], notices: Sequence[Notice]) -> str:
    """Return the report as HTML that needs no other file."""
    spec = inputs.spec
    return as_html(
        Page(
            title=spec.title or f"The study “{spec.study}”",
            subtitle=f"Study {spec.study}: {counted(len(spec.models), 'model')}, suites {listed(spec.suites, 12)}",
            sections=tuple(page_sections),
            notices=tuple(notices),
            facts=facts(inputs),
            closed=True,
            components=tuple(
                (component.name, component.title, component.colour) for component in inputs.spec.components
            ),
            footer=f"Made by posologie {__version__} from the files of results/{spec.study}; nothing is loaded.",
        ),
        scripts=("page.js", "figures.js", "browser_item.js", "browser_selection.js", "browser.js"),
        styles=("style.css", "browser.css"),
    )
