"""Tables as files: tidy CSV with the same bytes for the same rows, and LaTeX beside it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from posologie.records.files import write_csv, write_text
from posologie.statistics.latex import Latex, latex_table


def write_table(
    path: str | os.PathLike[str], columns: Sequence[str], rows: Sequence[Mapping[str, Any]], latex: Latex
) -> None:
    """Write a table as CSV, and what a paper prints of it as LaTeX beside it (`.tex`)."""
    write_csv(path, columns, rows)
    write_text(Path(path).with_suffix(".tex"), latex_table(latex, rows))
