"""Tables as files: tidy CSV with the same bytes for the same rows, and LaTeX beside it."""

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from posologie.files import write_text
from posologie.statistics.latex import Latex, latex_table

DECIMALS = 6


def text_of(value: Any) -> str:
    """Return a cell's text: six decimals at most, and nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        shown = f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".")
        return "0" if shown == "-0" else shown
    return str(value)


def write_table(
    path: str | os.PathLike[str], columns: Sequence[str], rows: Sequence[Mapping[str, Any]], latex: Latex
) -> None:
    """Write a table as CSV, and what a paper prints of it as LaTeX beside it (`.tex`)."""
    write_csv(path, columns, rows)
    write_text(Path(path).with_suffix(".tex"), latex_table(latex, rows))


def write_csv(path: str | os.PathLike[str], columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV with these columns.

    Raises:
        ValueError: for a row with other keys than the columns.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        if row.keys() != set(columns):
            raise ValueError(f"row with {sorted(row.keys() ^ set(columns))} too few or too many")
        writer.writerow([text_of(row[column]) for column in columns])
    write_text(path, text.getvalue())
