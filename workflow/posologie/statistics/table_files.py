"""Tables as files: tidy CSV with the same bytes for the same rows, and LaTeX beside it."""

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from posologie.files import write_text

DECIMALS = 6


def text_of(value: Any) -> str:
    """Return a cell's text: six decimals at most, and nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        shown = f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".")
        return "0" if shown == "-0" else shown
    return str(value)


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
