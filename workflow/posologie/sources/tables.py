"""Rows out of CSV, TSV and XLSX files, whose dialect is told or found."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Literal

from posologie.errors import InputError
from posologie.sources.malformed import Malformed
from posologie.sources.opening import opened_text
from posologie.sources.spec import FileForm

_SAMPLE = 1 << 20
_DELIMITERS = (",", ";", "\t", "|")
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


def delimited_records(
    name: str, path: Path, suffix: str, form: FileForm | None, wanted: Sequence[str], facts: dict[str, Any]
) -> Iterator[Any]:
    """Yield the rows of a delimited file as records by column name.

    Args:
        name: file as shown.
        path: the file.
        suffix: `.csv` or `.tsv`.
        form: what is told; the delimiter is that of the suffix, and TSV has no quotes, where there is no form.
        wanted: columns that have to be there, by which a dialect is known.
        facts: receives the dialect.

    Raises:
        InputError: if the file is empty, has one column twice, or a quote never closes.
    """
    with opened_text(name, path, form, facts) as file:
        told = FileForm(delimiter="\t" if suffix == ".tsv" else ",", quoting=suffix != ".tsv", header=True)
        delimiter, quoting, named = _dialect(name, file, suffix, form, wanted, facts) if form else _as_told(told)
        cells = cells_of(name, file, delimiter, quoting=quoting)
        header = next(cells, None)
        if not header:
            raise InputError(f"{name}: empty; expected a line of column names")
        yield from named_rows(name, header, cells, named, delimiter, wanted)


def named_rows(
    name: str, first: list[Any], rows: Iterator[Any], named: bool, joint: str, wanted: Sequence[str] = ()
) -> Iterator[Any]:
    """Yield rows as records, or as malformed where they are of another width than the header.

    Raises:
        InputError: if a column name occurs twice, or a wanted column is not there.
    """
    texts = ["" if cell is None else str(cell).strip() for cell in first]
    header = texts if named else [str(place) for place in range(1, len(first) + 1)]
    twice = [column for column, times in Counter(filter(None, header)).items() if times > 1]
    if twice:
        places = [str(place) for place, column in enumerate(header, 1) if column == twice[0]]
        raise InputError(f"{name}: column '{twice[0]}' stands twice, as {' and '.join(places)}; give each its own name")
    for column in wanted:
        if column not in header:
            raise InputError(f"{name}: no column '{column}'; it has {', '.join(filter(None, header))[:200]}")
    for row in rows if named else _with(first, rows):
        if isinstance(row, Malformed):
            yield row
        elif len(row) == len(header):
            yield {column: cell for column, cell in zip(header, row, strict=True) if column}
        else:
            yield Malformed(f"{len(row)} cells; expected {len(header)}", joint.join(map(str, row)))


def _with(first: list[Any], rows: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rows


def cells_of(name: str, file: IO[str], delimiter: str, *, quoting: bool) -> Iterator[list[str]]:
    """Yield the rows of a delimited file that are not blank.

    Raises:
        InputError: if a quote never closes.
    """
    csv.field_size_limit(1 << 30)
    mode: Literal[0, 3] = csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE
    reader = csv.reader(file, delimiter=delimiter, quoting=mode, strict=quoting)
    try:
        for row in reader:
            if row:
                yield row
    except csv.Error as error:
        raise InputError(
            f"{name}, line {reader.line_num}: {error}; a double quote that is text needs quoting: false"
        ) from error


def _as_told(form: FileForm) -> tuple[str, bool, bool]:
    return form.delimiter or ",", bool(form.quoting), True


def _dialect(
    name: str, file: IO[str], suffix: str, form: FileForm, wanted: Sequence[str], facts: dict[str, Any]
) -> tuple[str, bool, bool]:
    """Return delimiter, quoting and whether there is a header: as told, or those by which the rows are of one width."""
    sample = file.read(_SAMPLE)
    whole = len(sample) < _SAMPLE
    first_line = sample.split("\n", 1)[0].strip().strip('"')
    skipped = first_line.lower().startswith("sep=") and len(first_line) == 5
    told = form.delimiter or (first_line[4] if skipped else None)
    delimiters = (told,) if told else ("\t",) if suffix == ".tsv" else _DELIMITERS
    body = sample.split("\n", 1)[1] if skipped and "\n" in sample else sample
    best: tuple[Any, ...] | None = None
    for place, delimiter in enumerate(delimiters):
        for quoting in (True, False) if form.quoting is None else (form.quoting,):
            rows = _sampled(body, delimiter, quoting, whole)
            if not rows or (not quoting and form.quoting is None and _has_quoted_cell(rows)):
                continue
            width = len(rows[0])
            if width == 1 and len(wanted) > 1:
                continue
            known = sum(column in [cell.strip() for cell in rows[0]] for column in wanted)
            even = sum(len(row) == width for row in rows) / len(rows)
            score = (known, width > 1, even, width if not wanted else 0, quoting, -place)
            if best is None or score > best[0]:
                best = score, delimiter, quoting, rows
    if best is None:
        if not body.strip():
            raise InputError(f"{name}: empty; expected a line of column names")
        best = (), delimiters[0], form.quoting is not False, []
    _, delimiter, quoting, rows = best
    numbered = bool(wanted) and all(column.isdecimal() for column in wanted)
    named = form.header if form.header is not None else not (numbered and rows and not set(wanted) & set(rows[0]))
    quoting = quoting and ('"' in sample or form.quoting is True or delimiter != "\t")
    facts["delimiter"] = {"name": _NAMES.get(delimiter, delimiter), "told": told is not None}
    facts["quoting"] = {"name": "double quotes" if quoting else "none", "told": form.quoting is not None}
    facts["header"] = {"name": "first row" if named else "none", "told": form.header is not None}
    file.seek(0)
    if skipped:
        file.readline()
    return delimiter, quoting, named


def _has_quoted_cell(rows: list[list[str]]) -> bool:
    return any(len(cell) > 1 and cell[0] == cell[-1] == '"' for row in rows for cell in row)


def _sampled(body: str, delimiter: str, quoting: bool, whole: bool) -> list[list[str]]:
    mode: Literal[0, 3] = csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE
    rows: list[list[str]] = []
    try:
        reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, quoting=mode, strict=quoting)
        rows.extend(row for row in reader if row)
    except csv.Error:
        if whole or len(rows) < 2:
            return []
    return rows if whole or len(rows) < 2 else rows[:-1]


def sheet_records(name: str, path: Path, form: FileForm, wanted: Sequence[str], facts: dict[str, Any]) -> Iterator[Any]:
    """Yield the rows of a sheet as records by column name.

    A cell that holds an error or a percentage is no text that anyone wrote: its row is malformed.

    Raises:
        InputError: if the file is no XLSX file, has no such sheet, or several with rows and none is told.
    """
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such file") from error
    except Exception as error:  # openpyxl lets through whatever zip and XML parsers raise
        raise InputError(f"{name}: not a whole XLSX file ({type(error).__name__}: {error})"[:300]) from error
    try:
        filled = [sheet.title for sheet in book.worksheets if any(_sheet_rows(sheet))]
        if form.sheet is not None and form.sheet not in book.sheetnames:
            raise InputError(f"{name}: no sheet '{form.sheet}'; it has {', '.join(book.sheetnames)}")
        if form.sheet is None and len(filled) > 1:
            raise InputError(f"{name}: several sheets hold rows ({', '.join(filled)}); say which with sheet")
        title = form.sheet or (filled[0] if filled else book.sheetnames[0])
        facts["sheet"] = {"name": title, "told": form.sheet is not None}
        rows = _sheet_rows(book[title])
        first = next(rows, None)
        if first is None:
            raise InputError(f"{name}: sheet '{title}' is empty; expected a row of column names")
        if isinstance(first, Malformed):
            raise InputError(f"{name}: {first.detail}")
        numbered = bool(wanted) and all(column.isdecimal() for column in wanted)
        named = form.header if form.header is not None else not numbered
        width = len(first)
        padded = (row if isinstance(row, Malformed) else row + [None] * (width - len(row)) for row in rows)
        yield from named_rows(name, first, padded, named, "\t", wanted)
    finally:
        book.close()


def _sheet_rows(sheet: Any) -> Iterator[Any]:
    for row in sheet.iter_rows():
        values = [cell.value for cell in row]
        while values and values[-1] is None:
            values.pop()
        if not values or all(value is None or value == "" for value in values):
            continue
        raw = "\t".join("" if value is None else str(value) for value in values)
        spoilt = next((cell for cell in row if _is_error(cell)), None)
        if spoilt is not None:
            yield Malformed(f"cell {spoilt.coordinate} holds {spoilt.value!r}, {_is_error(spoilt)}", raw)
        else:
            yield values


def _is_error(cell: Any) -> str:
    if getattr(cell, "data_type", "") == "e":
        return "an error of the spreadsheet"
    number = isinstance(cell.value, int | float) and not isinstance(cell.value, bool)
    return "shown as a percentage: write it as text" if number and "%" in str(cell.number_format) else ""
