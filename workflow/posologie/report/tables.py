"""Tidy tables as files, and what of them the page shows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from posologie.records import layout
from posologie.records.files import read_rows as read_table
from posologie.report.blocks import Cell, Column, Table
from posologie.report.names import sentence
from posologie.running.errors import InputError

MINUS = "\N{MINUS SIGN}"
NOTHING = Cell("–")
_MARKS = "†‡§¶"


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

    def needed(self, column: str) -> float:
        """Return a cell as a number that must be there.

        Raises:
            InputError: if the cell is empty or not a number.
        """
        value = self.number(column)
        if value is None:
            raise InputError(f"{self.where}: {column} is empty; expected a number")
        return value


def read_rows(root: Path, name: str) -> list[Row]:
    """Read a table of a study.

    Raises:
        InputError: if the file is missing, or a row has too few or too many cells.
    """
    path = root / layout.table(name)
    if not path.is_file():
        raise InputError(f"{path}: no such table, although the report's spec names it")
    return [Row(row, f"{path}, line {number}") for number, row in enumerate(read_table(path), start=2)]


def decimal(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """Return a number for reading: fixed digits, a true minus sign, an en dash for none."""
    if value is None or value != value:
        return "–"
    text = f"{value:+,.{digits}f}" if sign else f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def number_cell(value: float | None, digits: int = 0, sign: bool = False) -> Cell:
    """Return a cell of one number."""
    if value is None:
        return NOTHING
    return Cell(decimal(value, digits, sign), sort=value)


def interval(low: float | None, high: float | None, digits: int, sign: bool = False) -> str:
    """Return an interval in brackets; nothing where there is none."""
    if low is None or high is None:
        return ""
    return f"[{decimal(low, digits, sign)}, {decimal(high, digits, sign)}]"


def estimate(row: Row | None, digits: int | None = None, sign: bool = False) -> Cell:
    """Return a cell with the value of a row, its interval and its note; percents and words have one digit.

    Where there are bounds and no value, they stand alone.
    """
    if row is None:
        return NOTHING
    if row.number("value") is None and row.cells.get("interval") != "bounds":
        return replace(NOTHING, note=row.cells.get("note", ""))
    if digits is None:
        digits = 1 if row.cells.get("unit") in ("%", "words") else 3
    value, low, high = (row.number(column) for column in ("value", "low", "high"))
    return Cell(decimal(value, digits, sign), value, interval=interval(low, high, digits, sign), note=row["note"])


def p_cell(value: float | None, note: str = "") -> Cell:
    """Return a cell with a p-value."""
    return Cell(p_text(value), sort=value, note=note)


def p_text(value: float | None) -> str:
    """Return a p-value: three digits after the point, and never 0."""
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def table(
    name: str, title: str, caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], file: str = ""
) -> Table:
    """Return a table in which the notes of numbers are marks that the caption explains."""
    notes = dict.fromkeys(
        cell.note for row in rows for cell, column in zip(row, columns, strict=True) if column.number and cell.note
    )
    marks = {note: _MARKS[place % len(_MARKS)] * (1 + place // len(_MARKS)) for place, note in enumerate(notes)}
    marked = tuple(
        tuple(
            replace(cell, mark=marks[cell.note]) if column.number and cell.note else cell
            for cell, column in zip(row, columns, strict=True)
        )
        for row in rows
    )
    explained = [caption, *(f"{mark} {note}." for note, mark in marks.items())]
    caption_text = " ".join(text for text in explained if text)
    return Table(
        f"table-{name}", title, caption_text, columns=tuple(columns), rows=marked, file=file, alike=alike(columns, rows)
    )


def alike(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> str:
    """Return what every row of a table holds, where all of them hold the same numbers; empty for any other table.

    A table of equal rows says no more than one of them.
    """
    named = [place for place, column in enumerate(columns) if column.heading]
    if len(rows) < 2 or len(named) != 1 or not any(column.number for column in columns):
        return ""
    rest = [place for place in range(len(columns)) if place not in named]
    distinct = {tuple((row[at].text, row[at].interval, row[at].shares, row[at].note) for at in rest) for row in rows}
    if len(distinct) > 1:
        return ""
    values = [(columns[place].title, rows[0][place]) for place in rest if rows[0][place].text not in ("", NOTHING.text)]
    shown = "; ".join(f"{title}: {' '.join(filter(None, (cell.text, cell.interval)))}" for title, cell in values)
    names = ", ".join(row[named[0]].text for row in rows)
    parts = dict.fromkeys(part for cell in rows[0] for part in cell.note.split("; ") if part)
    notes = f" Note: {'; '.join(parts)}." if parts else ""
    statement = f"{names} have the same values. {sentence(shown)}." if shown else f"There is no value for {names}."
    return statement + notes


def as_it_is(name: str, title: str, caption: str, rows: Sequence[Row]) -> Table:
    """Return a table with the columns of its file: those whose cells are all numbers or empty are shown as numbers."""
    columns = list(rows[0].cells) if rows else []
    numeric = {column: _digits(row[column] for row in rows) for column in columns
               if _all_numbers(row[column] for row in rows)}  # fmt: skip
    lines = []
    for row in rows:
        cells = []
        for column in columns:
            if column in numeric:
                value, digits = row.number(column), numeric[column]
                cells.append(Cell(decimal(value, digits) if row[column] else "–", sort=value, copy=row[column]))
            else:
                cells.append(Cell(row[column]))
        lines.append(cells)
    shown = [
        Column(column.replace("_", " "), number=column in numeric, heading=not place)
        for place, column in enumerate(columns)
    ]
    return table(name, title, caption, shown, lines, layout.table(name))


_MOST_DIGITS = 4


def _digits(texts: Iterable[str]) -> int:
    """Return the digits after the point that a column is shown with: those of its longest number, four at most."""
    digits = [_MOST_DIGITS if "e-" in text.lower() else len(text.partition(".")[2]) for text in texts]
    return min(_MOST_DIGITS, max(digits, default=0))


def _all_numbers(texts: Iterable[str]) -> bool:
    filled = [text for text in texts if text]
    try:
        for text in filled:
            float(text)
    except ValueError:
        return False
    return bool(filled)
