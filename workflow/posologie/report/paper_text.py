"""The methods text and the checklist for a paper, filled from the study."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from posologie.report.blocks import Block, Cell, Column, Heading, Prose, Section, Source
from posologie.report.effects import Comparison
from posologie.report.html import read_template
from posologie.report.inputs import Inputs
from posologie.report.names import counted, joined, listed
from posologie.report.paper import CITED, Paper, paper_of
from posologie.report.tables import table

FILES = ("methods.md", "methods.tex", "methods.bib")

_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "α": r"$\alpha$",
    "ρ": r"$\rho$", "κ": r"$\kappa$", "<": r"\textless{}", ">": r"\textgreater{}", "“": "``", "”": "''", "–": "--",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$])")


def section(inputs: Inputs, found: Sequence[Comparison]) -> Section:
    """Return the section for authors: methods text, checklist, references, and the three files to copy."""
    paper = paper_of(inputs, found)
    columns = (Column("topic", heading=True), Column("the study says"), Column("open"))
    lines = [(Cell(point.topic), Cell(point.said), Cell(point.open or "–")) for point in paper.checklist]
    intro = (
        "A methods text and a table of results as a draft for a paper, with the citations of the methods that this "
        "study used. “posologie methods” writes them as files."
    )
    blocks: list[Block] = [
        Prose((intro,)),
        Heading("Methods"),
        Prose(tuple(_replaced(text, _author_year) for text in paper.paragraphs)),
        Heading("Checklist"),
        table("checklist", "What a reader will ask", "Filled from the study.", columns, lines),
        Heading("Files"),
        Source("Markdown (methods.md)", as_markdown(paper)),
        Source("LaTeX (methods.tex)", as_latex(paper)),
        Source("BibTeX (methods.bib)", bibliography(paper.keys)),
    ]
    return Section("paper", "For a paper", tuple(blocks))


def as_markdown(paper: Paper) -> str:
    """Return the text, the table and the checklist as Pandoc's Markdown, which knows citations as `[@key]`."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(_plain(cell) for cell in cells)} |"

    paragraphs = [
        _replaced(text, lambda keys: f"[{'; '.join(f'@{key}' for key in keys)}]", _plain) for text in paper.paragraphs
    ]
    results = [line(paper.heads), "|" + "---|" * len(paper.heads), *map(line, paper.rows)]
    points = [line(("topic", "the study says", "open")), "|---|---|---|"]
    points += [line((point.topic, point.said, point.open or "–")) for point in paper.checklist]
    parts = ["# Methods", *paragraphs]
    if paper.rows:
        parts += ["# Results", "\n".join(results), f"Table: {_plain(paper.caption)}"]
    return "\n\n".join([*parts, "# Checklist", "\n".join(points), "# References"]) + "\n"


def as_latex(paper: Paper) -> str:
    """Return the text, the table and the checklist as LaTeX, for the packages booktabs and natbib."""

    def line(cells: Sequence[str]) -> str:
        return " & ".join(_escaped(cell) for cell in cells) + r" \\"

    def tabular(columns: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
        body = [line(heads), r"\midrule", *map(line, rows)]
        return [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", *body, r"\bottomrule", r"\end{tabular}"]

    paragraphs = [_replaced(text, lambda keys: rf"\citep{{{','.join(keys)}}}", _escaped) for text in paper.paragraphs]
    parts = ["% Needs \\usepackage{booktabs} and \\usepackage{natbib}; the references are in methods.bib.", *paragraphs]
    if paper.rows:
        columns = "ll" + "r" * (len(paper.heads) - 3) + "l"
        caption = rf"\caption{{{_escaped(paper.caption)}}}"
        own = tabular(columns, paper.heads, paper.rows)
        parts.append("\n".join([r"\begin{table}", r"\centering", caption, *own, r"\end{table}"]))
    points = [(point.topic, point.said, point.open or "–") for point in paper.checklist]
    checklist = tabular(r"lp{.55\linewidth}p{.25\linewidth}", ("topic", "the study says", "open"), points)
    parts.append("\n".join([r"\begin{table}", r"\caption{Checklist.}", *checklist, r"\end{table}"]))
    return "\n\n".join(parts) + "\n"


def bibliography(keys: Sequence[str]) -> str:
    """Return the BibTeX entries of some keys."""
    return "".join(_entries()[key] for key in keys)


def cited_as(key: str) -> str:
    """Return authors and year of a citation, such as `Searle et al. 1992`."""
    authors, year = (_field(_entries()[key], name) for name in ("author", "year"))
    names = [re.sub(r"[{}]", "", one.split(", ")[0]) for one in authors.split(" and ")]
    several = f"{names[0]} et al." if len(names) > 2 or names[-1] == "others" else " and ".join(names)
    return f"{several} {year}"


def _field(entry: str, name: str) -> str:
    found = re.search(rf"^  {name} = \{{(.*)\}},?$", entry, re.MULTILINE)
    if found is None:
        raise ValueError(f"methods.bib: an entry without {name}: {entry}")
    return found[1].replace(r"{\'e}", "é").replace(r"{\'c}", "ć")


@cache
def _entries() -> dict[str, str]:
    """Return the BibTeX entry of each key."""
    texts = re.split(r"^(?=@)", read_template("methods.bib"), flags=re.MULTILINE)[1:]
    return {text[text.index("{") + 1 : text.index(",")]: text for text in texts}


def _author_year(keys: Sequence[str]) -> str:
    return f"({'; '.join(map(cited_as, keys))})"


def _replaced(text: str, citation: Callable[[Sequence[str]], str], rest: Callable[[str], str] = str) -> str:
    """Return a text with its citations in another form, and what stands between them as another function has it."""
    pieces = CITED.split(text)
    odd = (citation([key.removeprefix("@") for key in piece.split("; ")]) for piece in pieces[1::2])
    return "".join(piece for pair in zip(map(rest, pieces[::2]), [*odd, ""], strict=True) for piece in pair)


def _escaped(text: str) -> str:
    """Return a text that LaTeX prints as it is, on one line."""
    return "".join(_LATEX.get(sign, " " if sign.isspace() else sign) for sign in text)


def _plain(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    return _MARKDOWN.sub(r"\\\1", re.sub(r"[\r\n\t]+", " ", text))


BY_HAND = "to add by hand"


@dataclass(frozen=True)
class Point:
    """One line of the checklist: a topic, what the study says of it, and what an author still has to see to."""

    topic: str
    said: str
    open: str = ""


def checklist(inputs: Inputs) -> tuple[Point, ...]:
    """Return what a reader of a paper will ask, and what the study says of it."""
    suites = [(suite, sizes) for suite in inputs.spec.suites if (sizes := sizes_of(inputs, suite)) is not None]
    few = [suite for suite, sizes in suites if sizes[1] < inputs.spec.statistics.minimum_clusters]
    seeds = sorted({model.seed for model in inputs.models if model.mix and model.seed is not None})
    registered = inputs.registration
    return (
        Point("Items", listed([f"{suite}: {sizes[0]:,}" for suite, sizes in suites], 12) or "none"),
        Point(
            "Clusters",
            listed([f"{suite}: {sizes[1]:,}" for suite, sizes in suites], 12) or "none",
            f"fewer than {inputs.spec.statistics.minimum_clusters} clusters in {joined(few)}" if few else "",
        ),
        Point(
            "Seeds",
            f"training: {listed([str(seed) for seed in seeds], 12) or 'none'}; draws: {inputs.spec.statistics.seed}",
            "one seed: verdicts speak of these adapters, not of the recipe" if len(seeds) == 1 else "",
        ),
        _contamination(inputs),
        _prompts(inputs),
        _decoding(inputs),
        Point("Registration", f"{registered.date}, SHA-256 {registered.checksum}" if registered else "none"),
        Point("Versions", versions(inputs) or "not recorded"),
        _licences(inputs),
    )


def _contamination(inputs: Inputs) -> Point:
    modes = {row["mode"] for row in inputs.rows("screening")}
    screened = (
        "not screened" if not modes else "matches left out" if modes == {"remove"} else "matches reported, left in"
    )
    rows = inputs.rows("leakage", statistic="score", items="leaked")
    if not rows:
        return Point(
            "Contamination",
            f"{screened}; mixes not audited against the suites",
            "audit the mixes" if inputs.spec.mixes else "",
        )
    worst: dict[str, int] = {}
    for row in rows:
        worst[row["suite"]] = max(worst.get(row["suite"], 0), int(row.number("n") or 0))
    told = listed([f"{suite} {count:,}" for suite, count in worst.items()], 12)
    return Point("Contamination", f"{screened}; tested items with a twin in a mix, at most: {told}")


def _prompts(inputs: Inputs) -> Point:
    prompts = shared(inputs, "prediction", "prompting")
    templates = {
        str(record.facts.get("chat_template_sha256"))[:12]
        for record in inputs.runs
        if record.facts.get("chat_template_sha256")
    }
    if not prompts:
        return Point("Prompts", "not recorded", BY_HAND)
    first = prompts[0]
    parts = [f"system turn: {first['system']}" if first.get("system") else "no system turn"]
    parts += [f"options as “{first['option_line']}” below “{first['choices_line']}”"] if "option_line" in first else []
    parts += [f"chat template {listed(sorted(templates))}"] if templates else []
    differs = "prompts differ between runs" if len(prompts) > 1 else ""
    return Point("Prompts", "; ".join(parts) + "; the prompt of every item is in the item browser", differs)


def _decoding(inputs: Inputs) -> Point:
    suites: dict[str, Any] = {}
    for found in shared(inputs, "prediction", "suites"):
        suites |= found
    parts = [
        f"{name}: {suite['protocol']} protocol, {counted(suite['permutations'], 'permutation')}, at most "
        f"{suite['max_new_tokens']:,} new tokens"
        for name, suite in suites.items()
        if {"protocol", "permutations", "max_new_tokens"} <= suite.keys()
    ]
    thinking = any(chat.get("thinking") for chat in shared(inputs, "prediction", "chat"))
    told = f"greedy, {'with' if thinking else 'without'} thoughts"
    return Point("Decoding", "; ".join([told, *parts]), "" if parts else BY_HAND)


def _licences(inputs: Inputs) -> Point:
    """Return the licenses that the study file states, and of which sources and backbones it states none."""
    stated = inputs.spec.licenses
    tables = [row for name in ("screening", "composition") for row in inputs.rows(name)]
    used = [row["source"] for row in tables if row["source"]]
    used += [row["name"] for row in tables if row.cells.get("by") == "source"]
    used += [model.backbone for model in inputs.models if model.backbone]
    missing = [name for name in dict.fromkeys(used) if name not in stated]
    told = "; ".join(f"{name}: {license}" for name, license in stated.items())
    return Point("Licences", told or "none stated under licenses", f"missing: {listed(missing, 12)}" if missing else "")


def shared(inputs: Inputs, stage: str, key: str) -> list[Any]:
    """Return the different values that the specs of a stage have under a key."""
    found: list[Any] = []
    for record in inputs.runs:
        value = record.facts.get("spec", {}).get(key)
        if record.facts.get("stage") == stage and value is not None and value not in found:
            found.append(value)
    return found


def sizes_of(inputs: Inputs, suite: str) -> tuple[int, int] | None:
    """Return how many items and clusters a suite has."""
    rows = [row for name in ("mcqa", "oeq") for row in inputs.rows(name, suite=suite, scope_kind="all", task="all")]
    counts = [(int(row.needed("n")), int(row.needed("clusters"))) for row in rows]
    return max(counts, default=None)


def versions(inputs: Inputs) -> str:
    """Return the libraries that models ran on, with their versions; empty where none is recorded."""
    found: dict[str, set[str]] = {}
    for record in inputs.runs:
        for name, version in record.facts.get("libraries", {}).items():
            if name in ("torch", "transformers", "peft"):
                found.setdefault(name, set()).add(str(version))
    return joined([f"{name} {' and '.join(sorted(versions))}" for name, versions in found.items()]) if found else ""
