"""Tables in workbooks (XLSX): the sheet, the row that names the columns, and cells that are no text."""

import re
import zipfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any

from posologie.running.errors import InputError
from posologie.sources.cleaning import Malformed
from posologie.sources.spec import FileForm
from posologie.sources.tables import named_rows


def sheet_records(name: str, path: Path, form: FileForm, wanted: Sequence[str], facts: dict[str, Any]) -> Iterator[Any]:
    """Yield the rows of a sheet as records by column name; a title above the column names is passed over.

    A row is malformed if a cell of it holds an error or a percentage, which are no text that anyone wrote, or a formula
    whose result was never stored.

    Raises:
        InputError: if the file is no XLSX file, has no such sheet, or several with rows and none is told.
    """
    with _workbook(name, path) as book:
        filled = _filled(book)
        if form.sheet is not None and form.sheet not in book.sheetnames:
            raise InputError(f"{name}: no sheet '{form.sheet}'; it has {', '.join(book.sheetnames)}")
        if form.sheet is None and len(filled) > 1:
            raise InputError(f"{name}: several sheets hold rows ({', '.join(filled)}); say which with sheet")
        title = form.sheet or (filled[0] if filled else book.sheetnames[0])
        facts["sheet"] = {"name": title, "told": form.sheet is not None}
        rows = _sheet_rows(book[title], _formulas(name, path, title))
        top = list(islice(rows, _TOP))
        if not top:
            raise InputError(f"{name}: sheet '{title}' is empty; expected a row of column names")
        numbered = bool(wanted) and all(column.isdecimal() for column in wanted)
        named = form.header if form.header is not None else not numbered
        place, first = _header(top, wanted) if named and form.header is None else (0, top[0])
        if isinstance(first, Malformed):
            raise InputError(f"{name}: {first.detail}")
        if place:
            facts["header"] = {"name": f"filled row {place + 1}", "told": False}
        below = chain(top[place + 1 :], rows)
        padded = (row if isinstance(row, Malformed) else row + [None] * (len(first) - len(row)) for row in below)
        yield from named_rows(name, first, padded, named, "\t", wanted)


_TOP = 20
"""Filled rows of a sheet among which the column names are looked for."""


def filled_sheets(name: str, path: Path) -> list[str]:
    """Return the names of the sheets that hold rows.

    Raises:
        InputError: if the file is no XLSX file.
    """
    with _workbook(name, path) as book:
        return _filled(book)


def _filled(book: Any) -> list[str]:
    return [sheet.title for sheet in book.worksheets if any(_sheet_rows(sheet))]


@contextmanager
def _workbook(name: str, path: Path, *, results: bool = True) -> Iterator[Any]:
    """Open a workbook for reading: what its formulas gave when it was saved, or the formulas themselves."""
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=results)
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such file") from error
    except Exception as error:  # openpyxl lets through whatever zip and XML parsers raise
        raise InputError(f"{name}: not a whole XLSX file ({type(error).__name__}: {error})"[:300]) from error
    try:
        yield book
    finally:
        book.close()


_NAMED = 0.75
"""Share of the columns that a first row has to name; below it, the row is a title."""


def _formulas(name: str, path: Path, title: str) -> set[str]:
    """Return the cells of a sheet that hold formulas."""
    with zipfile.ZipFile(path) as parts:
        sheets = (part for part in parts.namelist() if part.startswith("xl/worksheets/"))
        if not any(re.search(rb"<f[\s/>]", parts.read(part)) for part in sheets):
            return set()  # most files: a second reading would take as long as the first
    with _workbook(name, path, results=False) as book:
        return {cell.coordinate for row in book[title].iter_rows() for cell in row if cell.data_type == "f"}


def _header(top: list[Any], wanted: Sequence[str]) -> tuple[int, Any]:
    """Return which of the first rows has the column names, and these: the first one unless a title stands above them.

    A cell that is merged over several rows holds its text in the first of them, so names are completed from above. The
    row is the first with all wanted columns; else, where the first one names too few columns, the one of different
    texts that names the most.
    """
    if isinstance(top[0], Malformed):
        return 0, top[0]
    filled = [(place, row) for place, row in enumerate(top) if not isinstance(row, Malformed)]
    columns = sum(any(cell is not None for cell in column) for column in zip_longest(*(row for _, row in filled)))
    best: tuple[int, Any] = (0, top[0])
    above: list[Any] = []
    most = 0
    for place, row in filled:
        cells = [over if own in (None, "") else own for own, over in zip_longest(row, above)]
        texts = [str(cell).strip() for cell in cells if cell is not None]
        if wanted and set(wanted) <= set(texts):
            return place, cells
        named = len(texts) if not place or all(isinstance(cell, str | None) for cell in cells) else 0
        if len(set(texts)) == len(texts) and named > most and most < _NAMED * columns:
            best, most = (place, cells), named
        above = cells
    return best


def _sheet_rows(sheet: Any, formulas: Collection[str] = ()) -> Iterator[Any]:
    for row in sheet.iter_rows():
        values = [cell.value for cell in row]
        while values and values[-1] is None:
            values.pop()
        spoilt = next(((cell, why) for cell in row if (why := _is_error(cell, formulas))), None)
        if spoilt is None and (not values or all(value is None or value == "" for value in values)):
            continue
        if spoilt is not None:
            raw = "\t".join("" if value is None else str(value) for value in values)
            yield Malformed(f"cell {spoilt[0].coordinate} holds {spoilt[1]}", raw)
        else:
            yield values


def _is_error(cell: Any, formulas: Collection[str]) -> str:
    if getattr(cell, "data_type", "") == "e":
        return f"{cell.value!r}, an error of the spreadsheet"
    if cell.value is None:
        lost = bool(formulas) and getattr(cell, "coordinate", None) in formulas
        return "a formula without its result: open the file in a spreadsheet program and save it" if lost else ""
    number = isinstance(cell.value, int | float) and not isinstance(cell.value, bool)
    shown = number and "%" in str(cell.number_format)
    return f"{cell.value!r}, shown as a percentage: write it as text" if shown else ""
