"""What a paper says of a study as Markdown, LaTeX and BibTeX, and as a section of the page."""

import re
from collections.abc import Callable, Sequence
from functools import cache

from posologie.report.blocks import Block, Cell, Column, Heading, Prose, Section, Source
from posologie.report.effects import Comparison
from posologie.report.html import read_template
from posologie.report.inputs import Inputs
from posologie.report.paper import CITED, Paper, paper_of
from posologie.report.tables import table

FILES = ("methods.md", "methods.tex", "methods.bib")

_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "α": r"$\alpha$",
    "ρ": r"$\rho$", "κ": r"$\kappa$", "<": r"\textless{}", ">": r"\textgreater{}", "“": "``", "”": "''", "–": "--",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$])")


def section(inputs: Inputs, comparisons: Sequence[Comparison]) -> Section:
    """Return the section for authors: methods text, checklist, references, and the three files to copy."""
    paper = paper_of(inputs, comparisons)
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
        table("checklist", "Checklist for readers", "Filled from the study.", columns, lines),
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
    names = [re.sub(r"[{}]", "", author.split(", ")[0]) for author in authors.split(" and ")]
    several = f"{names[0]} et al." if len(names) > 2 or names[-1] == "others" else " and ".join(names)
    return f"{several} {year}"


def _field(entry: str, name: str) -> str:
    match = re.search(rf"^  {name} = \{{(.*)\}},?$", entry, re.MULTILINE)
    if match is None:
        raise ValueError(f"methods.bib: an entry without {name}: {entry}")
    return match[1].replace(r"{\'e}", "é").replace(r"{\'c}", "ć")


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
