"""Tables in published files: CSV and TSV, and the sheets of workbooks (XLSX), as records by column name."""

import csv
import io
import re
import zipfile
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import IO, Any, Literal

from posologie.running.errors import InputError
from posologie.sources.cleaning import Malformed
from posologie.sources.spec import FileForm
from posologie.sources.text_files import PublishedFile, opened_text

_SAMPLE = 1 << 20
_DELIMITERS = (",", ";", "\t", "|")
_TOP = 20
"""Filled rows of a sheet among which the column names are looked for."""
_NAMED = 0.75
"""Share of the columns that the first row of a sheet has to name; below it, the row is a title."""
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


def delimited_records(file: PublishedFile) -> Iterator[Any]:
    """Yield the rows of a CSV or TSV file as records by column name.

    Raises:
        InputError: if the file is empty, has one column twice, or a quote never closes.
    """
    with opened_text(file) as stream:
        if file.form is None:
            delimiter, quoting, named = "\t" if file.suffix == ".tsv" else ",", file.suffix != ".tsv", True
        else:
            delimiter, quoting, named = _dialect(file, file.form, stream)
        cells = cells_of(file.name, stream, delimiter, quoting=quoting)
        header = next(cells, None)
        if not header:
            raise InputError(f"{file.name}: empty; expected a line of column names")
        yield from named_rows(file.name, header, cells, named, delimiter, file.required)


def named_rows(
    name: str, first: list[Any], rows: Iterator[Any], named: bool, joint: str, required: Sequence[str] = ()
) -> Iterator[Any]:
    """Yield rows as records, or as malformed where they are of another width than the header.

    Raises:
        InputError: if a column name occurs twice, or a required column is not there.
    """
    texts = ["" if cell is None else str(cell).strip() for cell in first]
    header = texts if named else [str(place) for place in range(1, len(first) + 1)]
    twice = [column for column, times in Counter(filter(None, header)).items() if times > 1]
    if twice:
        places = [str(place) for place, column in enumerate(header, 1) if column == twice[0]]
        raise InputError(f"{name}: column '{twice[0]}' occurs twice, as {' and '.join(places)}; give each its own name")
    for column in required:
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


def _dialect(file: PublishedFile, form: FileForm, stream: IO[str]) -> tuple[str, bool, bool]:
    """Return delimiter, quoting and whether there is a header: as stated, or those that make all rows equally wide."""
    required, facts = file.required, file.facts
    sample = stream.read(_SAMPLE)
    whole = len(sample) < _SAMPLE
    first_line = sample.split("\n", 1)[0].strip().strip('"')
    skipped = first_line.lower().startswith("sep=") and len(first_line) == 5
    stated = form.delimiter or (first_line[4] if skipped else None)
    delimiters = (stated,) if stated else ("\t",) if file.suffix == ".tsv" else _DELIMITERS
    body = sample.split("\n", 1)[1] if skipped and "\n" in sample else sample
    best: tuple[Any, ...] | None = None
    for place, delimiter in enumerate(delimiters):
        for quoting in (True, False) if form.quoting is None else (form.quoting,):
            rows = _sampled(body, delimiter, quoting, whole)
            if not rows or (not quoting and form.quoting is None and _has_quoted_cell(rows)):
                continue
            width = len(rows[0])
            if width == 1 and len(required) > 1:
                continue
            known = sum(column in [cell.strip() for cell in rows[0]] for column in required)
            even = sum(len(row) == width for row in rows) / len(rows)
            # The columns that the study names decide; without them, a wide table is likelier than a narrow one.
            score = (known, width > 1, even, width if not required else 0, quoting, -place)
            if best is None or score > best[0]:
                best = score, delimiter, quoting, rows
    if best is None:
        if not body.strip():
            raise InputError(f"{file.name}: empty; expected a line of column names")
        best = (), delimiters[0], form.quoting is not False, []
    _, delimiter, quoting, rows = best
    numbered = bool(required) and all(column.isdecimal() for column in required)
    named = form.header if form.header is not None else not (numbered and rows and not set(required) & set(rows[0]))
    quoting = quoting and ('"' in sample or form.quoting is True or delimiter != "\t")
    facts["delimiter"] = {"name": _NAMES.get(delimiter, delimiter), "configured": stated is not None}
    facts["quoting"] = {"name": "double quotes" if quoting else "none", "configured": form.quoting is not None}
    facts["header"] = {"name": "first row" if named else "none", "configured": form.header is not None}
    stream.seek(0)
    if skipped:
        stream.readline()
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


def sheet_records(file: PublishedFile, form: FileForm) -> Iterator[Any]:
    """Yield the rows of a sheet as records by column name; a title above the column names is passed over.

    A row is malformed if a cell of it holds an error or a percentage, which are no text that anyone wrote, or a formula
    whose result was never stored.

    Raises:
        InputError: if the file is no XLSX file, has no such sheet, or several with rows and the study names none.
    """
    name, required = file.name, file.required
    with _workbook(name, file.path) as book:
        filled = _filled(book)
        if form.sheet is not None and form.sheet not in book.sheetnames:
            raise InputError(f"{name}: no sheet '{form.sheet}'; it has {', '.join(book.sheetnames)}")
        if form.sheet is None and len(filled) > 1:
            raise InputError(f"{name}: several sheets hold rows ({', '.join(filled)}); choose one with sheet")
        title = form.sheet or (filled[0] if filled else book.sheetnames[0])
        file.facts["sheet"] = {"name": title, "configured": form.sheet is not None}
        rows = _sheet_rows(book[title], _formulas(name, file.path, title))
        top = list(islice(rows, _TOP))
        if not top:
            raise InputError(f"{name}: sheet '{title}' is empty; expected a row of column names")
        numbered = bool(required) and all(column.isdecimal() for column in required)
        named = form.header if form.header is not None else not numbered
        place, first = _header(top, required) if named and form.header is None else (0, top[0])
        if isinstance(first, Malformed):
            raise InputError(f"{name}: {first.detail}")
        if place:
            file.facts["header"] = {"name": f"filled row {place + 1}", "configured": False}
        below = chain(top[place + 1 :], rows)
        padded = (row if isinstance(row, Malformed) else row + [None] * (len(first) - len(row)) for row in below)
        yield from named_rows(name, first, padded, named, "\t", required)


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
    except Exception as error:  # openpyxl lets through everything that zip and XML parsers raise
        raise InputError(f"{name}: not a whole XLSX file ({type(error).__name__}: {error})"[:300]) from error
    try:
        yield book
    finally:
        book.close()


def _formulas(name: str, path: Path, title: str) -> set[str]:
    """Return the cells of a sheet that hold formulas."""
    with zipfile.ZipFile(path) as parts:
        sheets = (part for part in parts.namelist() if part.startswith("xl/worksheets/"))
        if not any(re.search(rb"<f[\s/>]", parts.read(part)) for part in sheets):
            return set()  # most files: a second reading would take as long as the first
    with _workbook(name, path, results=False) as book:
        return {cell.coordinate for row in book[title].iter_rows() for cell in row if cell.data_type == "f"}


def _header(top: list[Any], required: Sequence[str]) -> tuple[int, Any]:
    """Return which of the first rows has the column names, and these: the first one unless a title stands above them.

    A cell that is merged over several rows holds its text in the first of them, so names are completed from above. The
    row is the first with all required columns; else, where the first one names too few columns, the one of different
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
        if required and set(required) <= set(texts):
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
