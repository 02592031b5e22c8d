"""Tables as files: what their commands have in common, tidy CSV with the same bytes for the same rows, LaTeX beside it.

LaTeX (booktabs) is what a paper prints of a table: a selection of its rows and columns.
"""

import argparse
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from posologie.records.files import write_csv, write_text
from posologie.records.published import Comparison, comparison
from posologie.running.commands import parser
from posologie.statistics.spec import AgreementSpec, TableSpec

_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "→": r"$\rightarrow$",
}  # fmt: skip


_LEAST_P = 0.001
"""Smaller p-values are printed as smaller than this."""


@dataclass(frozen=True)
class Latex:
    """What of a tidy table is printed, and how.

    Attributes:
        caption: a sentence; `n` and the level are added from the rows.
        where: column → the values that are kept; every row if empty.
        index: columns that name a line.
        across: columns whose values name a column of the printed table; without them each row is a line.
        show: columns that are printed of each row; `value` brings its interval with it.
        digits: decimals; p-values have three, and are never printed as 0.
    """

    caption: str
    index: tuple[str, ...]
    where: Mapping[str, Collection[str]] = field(default_factory=dict)
    across: tuple[str, ...] = ()
    show: tuple[str, ...] = ("value",)
    digits: int = 1


def latex_table(latex: Latex, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a `table` environment; its lines and columns stand in the order of the rows."""
    chosen = [row for row in rows if all(str(row[column]) in allowed for column, allowed in latex.where.items())]
    lines: dict[tuple[str, ...], dict[tuple[str, ...], str]] = {}
    heads: dict[tuple[str, ...], None] = {}
    for number, row in enumerate(chosen):
        line = tuple(str(row[column]) for column in latex.index)
        line = line if latex.across else (*line, str(number))
        place = tuple(str(row[column]) for column in latex.across)
        for shown in latex.show:
            head = (*place, shown) if len(latex.show) > 1 or not place else place
            heads[head] = None
            lines.setdefault(line, {})[head] = _cell(row, shown, latex.digits)
    titles = [escape(column.replace("_", " ")) for column in latex.index]
    titles += [escape(", ".join(head).replace("_", " ")) for head in heads]
    body = [
        " & ".join([*(escape(name) for name in line[: len(latex.index)]), *(cells.get(head, "") for head in heads)])
        for line, cells in lines.items()
    ]
    levels = sorted({float(row["level"]) for row in chosen if row.get("level")})
    note = f" Intervals: {', '.join(f'{100 * level:g}' for level in levels)}\\,\\%." if levels else ""
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            "\\begin{table}",
            "\\centering",
            f"\\caption{{{escape(latex.caption)}{note}}}",
            f"\\begin{{tabular}}{{{'l' * len(latex.index)}{'r' * len(heads)}}}",
            "\\toprule",
            " & ".join(titles) + r" \\",
            "\\midrule",
            *(line + r" \\" for line in body),
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table}",
            "",
        ]
    )


def escape(text: str) -> str:
    """Return a text in which LaTeX sees nothing but text."""
    return "".join(_ESCAPES.get(character, character) for character in text)


def _cell(row: Mapping[str, Any], column: str, digits: int) -> str:
    value = row[column]
    if value is None:
        return "--"
    if not isinstance(value, float):
        return escape(str(value))
    if column.startswith("p_"):
        return f"$<${_LEAST_P:g}" if value < _LEAST_P else f"{value:.3f}"
    shown = _number(value, digits)
    if column == "value" and row.get("low") is not None and row.get("high") is not None:
        shown += f" [{_number(row['low'], digits)}, {_number(row['high'], digits)}]"
    return shown


def _number(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "$-$")


def write_table(
    path: str | os.PathLike[str], columns: Sequence[str], rows: Sequence[Mapping[str, Any]], latex: Latex
) -> None:
    """Write a table as CSV, and what a paper prints of it as LaTeX beside it (`.tex`)."""
    write_csv(path, columns, rows)
    write_text(Path(path).with_suffix(".tex"), latex_table(latex, rows))


AnySpec = TypeVar("AnySpec", TableSpec, AgreementSpec)


@dataclass(frozen=True)
class TableCommand(Generic[AnySpec]):
    """The arguments of a table's command."""

    spec: AnySpec
    results: str
    table: str
    published: Comparison | None


def table_arguments(module: str, description: str) -> argparse.ArgumentParser:
    """Return the arguments that every table takes: `--spec --results ROOT --table OUT.csv`."""
    arguments = parser(module, description)
    arguments.add_argument("--results", required=True, help="the study's folder, results/{study}")
    arguments.add_argument("--table", required=True, help="the CSV to write; LaTeX is written beside it")
    return arguments


def table_command(module: str, description: str, argv: list[str]) -> TableCommand[TableSpec]:
    """Read the arguments `--spec --results ROOT --table OUT.csv [--published FILE]`."""
    return _command(TableSpec, module, description, argv)


def agreement_command(module: str, description: str, argv: list[str]) -> TableCommand[AgreementSpec]:
    """Read the arguments `--spec --results ROOT --table OUT.csv [--published FILE]` of a table over human ratings."""
    return _command(AgreementSpec, module, description, argv)


def _command(spec_of: type[AnySpec], module: str, description: str, argv: list[str]) -> TableCommand[AnySpec]:
    arguments = table_arguments(module, description)
    arguments.add_argument("--published", help="file of the published study that is compared")
    options = arguments.parse_args(argv)
    spec = spec_of.from_json(options.spec)
    return TableCommand(spec, options.results, options.table, comparison(options.published, spec.published))
