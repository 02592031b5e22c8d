"""Tidy tables as files, and what of them the page shows."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from posologie import layout
from posologie.errors import InputError
from posologie.report.blocks import Cell, Column, Table

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Row:
    """One row of a CSV table, its cells as they are in the file."""

    cells: dict[str, str]
    where: str

    def __getitem__(self, column: str) -> str:
        try:
            return self.cells[column]
        except KeyError:
            raise InputError(f"{self.where}: no column '{column}'; found {', '.join(self.cells)}") from None

    def number(self, column: str) -> float | None:
        """Return a cell as a number; None where it is empty.

        Raises:
            InputError: if it is neither empty nor a number.
        """
        text = self[column]
        if not text:
            return None
        try:
            return float(text)
        except ValueError:
            raise InputError(f"{self.where}: {column} = '{text}'; expected a number") from None


def read_rows(root: Path, name: str) -> list[Row]:
    """Read a table of a study.

    Raises:
        InputError: if the file is missing, or a row has too few or too many cells.
    """
    path = root / layout.table(name)
    try:
        with open(path, encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))
    except FileNotFoundError:
        raise InputError(f"{path}: no such table, although the report's spec names it") from None
    if not lines:
        raise InputError(f"{path}: empty; expected a line of column names")
    columns, *rest = lines
    for number, line in enumerate(rest, start=2):
        if len(line) != len(columns):
            raise InputError(f"{path}, line {number}: {len(line)} cells; expected {len(columns)}")
    return [
        Row(dict(zip(columns, line, strict=True)), f"{path}, line {number}")
        for number, line in enumerate(rest, start=2)
    ]


def decimal(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """Return a number for reading: fixed digits, a true minus sign, an en dash for none."""
    if value is None:
        return "–"
    text = f"{value:+,.{digits}f}" if sign else f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def percent(value: float | None, digits: int = 1, sign: bool = False) -> str:
    """Return a share as percentage points without the sign `%`, which the column's title has."""
    return decimal(None if value is None else 100 * value, digits, sign)


def estimate(
    value: float | None, low: float | None, high: float | None, form: Callable[[float | None], str], note: str = ""
) -> Cell:
    """Return a cell with a value and its interval."""
    interval = "" if low is None or high is None else f"[{form(low)}, {form(high)}]"
    return Cell(form(value), sort=value, interval=interval, note=note)


def text_cell(text: str) -> Cell:
    """Return a cell of text."""
    return Cell(text)


def number_cell(value: float | None, digits: int = 0) -> Cell:
    """Return a cell of one number."""
    return Cell(decimal(value, digits), sort=value)


def as_it_is(name: str, title: str, caption: str, rows: Sequence[Row]) -> Table:
    """Return a table with the columns of its file: those whose cells are all numbers or empty are shown as numbers."""
    columns = list(rows[0].cells) if rows else []
    numeric = {column for column in columns if _all_numbers(row[column] for row in rows)}
    shown = tuple(
        Column(column.replace("_", " "), number=column in numeric, heading=not at) for at, column in enumerate(columns)
    )
    lines = tuple(
        tuple(
            Cell(row[column].replace("-", MINUS) or "–", sort=row.number(column), copy=row[column])
            if column in numeric
            else Cell(row[column])
            for column in columns
        )
        for row in rows
    )  # fmt: skip
    return Table(f"table-{name}", title, caption, shown, lines, layout.table(name))


def _all_numbers(texts: Iterable[str]) -> bool:
    found = [text for text in texts if text]
    for text in found:
        try:
            float(text)
        except ValueError:
            return False
    return bool(found)
