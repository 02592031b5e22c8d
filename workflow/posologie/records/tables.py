"""Tables beside items: documents and parallel text, tables that people keep (CSV, XLSX, JSON), and rows by position."""

import csv
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posologie.records.files import read_text
from posologie.running.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow


@dataclass(frozen=True)
class Row:
    """One row of a file.

    Attributes:
        place: file and row, as errors name them.
        cells: text by column; a cell that is empty or absent is an empty text.
    """

    place: str
    cells: dict[str, str]

    def text(self, column: str) -> str:
        """Return a cell.

        Raises:
            InputError: if the file has no such column.
        """
        if column not in self.cells:
            raise InputError(f"{self.place}: no column '{column}'; expected it among {', '.join(self.cells)}")
        return self.cells[column]

    def filled(self, column: str) -> str:
        """Return a cell that must not be empty."""
        text = self.text(column)
        if not text:
            raise InputError(f"{self.place}: column '{column}' is empty; expected a text")
        return text


def read_rows(path: Path, sheet: str | None = None) -> list[Row]:
    """Read a file by its suffix: .csv, .tsv, .xlsx, .json (a list of records), .jsonl.

    Raises:
        InputError: if the file is none of these, or not in the form that its suffix says.
    """
    readers = {".csv": _csv, ".tsv": _csv, ".json": _json, ".jsonl": _json_lines}
    suffix = path.suffix.lower()
    if suffix == ".xlsx":
        return _xlsx(path, sheet)
    if suffix not in readers:
        raise InputError(f"{path}: expected .csv, .tsv, .xlsx, .json or .jsonl")
    return readers[suffix](path, read_text(path))


def _csv(path: Path, text: str) -> list[Row]:
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)  # spreadsheets of many countries write semicolons
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines = [(reader.line_num, cells) for cells in reader]
    if not lines:
        raise InputError(f"{path}: empty; expected a line of column names")
    names = lines[0][1]
    for line, cells in lines[1:]:
        if len(cells) > len(names):
            raise InputError(f"{path}, line {line}: {len(cells)} cells; expected {len(names)}")
    return [_row(f"{path}, line {line}", names, cells) for line, cells in lines[1:] if any(cells)]


def _xlsx(path: Path, sheet: str | None) -> list[Row]:
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:  # zip, XML and key errors, depending on where the file is broken
        raise InputError(f"{path}: not an XLSX file ({error})") from error
    try:
        if sheet is not None and sheet not in book.sheetnames:
            raise InputError(f"{path}: no sheet '{sheet}'; expected one of {', '.join(book.sheetnames)}")
        rows = list(book[sheet or book.sheetnames[0]].iter_rows(values_only=True))
    finally:
        book.close()
    if not rows:
        raise InputError(f"{path}: empty; expected a row of column names")
    names = [_cell(value) for value in rows[0]]
    numbered = ((number, [_cell(value) for value in cells]) for number, cells in enumerate(rows[1:], 2))
    return [_row(f"{path}, row {number}", names, cells) for number, cells in numbered if any(cells)]


def _json(path: Path, text: str) -> list[Row]:
    try:
        records = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from error
    if not isinstance(records, list):
        raise InputError(f"{path}: expected a list of records, found {type(records).__name__}")
    return _records([(f"{path}, record {number}", record) for number, record in enumerate(records)])


def _json_lines(path: Path, text: str) -> list[Row]:
    records = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                records.append((f"{path}, line {number}", json.loads(line)))
            except json.JSONDecodeError as error:
                raise InputError(f"{path}, line {number}: not JSON ({error.msg})") from error
    return _records(records)


def _records(records: list[tuple[str, Any]]) -> list[Row]:
    """Return rows with the columns of all records: a key that one record leaves out is an empty cell there."""
    names: dict[str, str] = {}
    for place, record in records:
        if not isinstance(record, dict):
            raise InputError(f"{place}: expected an object, found {type(record).__name__}")
        names |= dict.fromkeys(map(str, record), "")
    return [
        Row(place, names | {str(name): _cell(value) for name, value in record.items()}) for place, record in records
    ]


def _row(place: str, names: list[str], cells: list[str]) -> Row:
    filled = [*cells, *[""] * (len(names) - len(cells))]
    return Row(place, {name.strip(): text.strip() for name, text in zip(names, filled, strict=False) if name.strip()})


def _cell(value: Any) -> str:
    """Return a cell's value as text: whole numbers without a point, nothing as an empty text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def document_schema() -> "pyarrow.Schema":
    """Return the schema of a document collection.

    `title` is empty where there is none; `group` is what documents on one case have in common, else the own id; `meta`
    is JSON.
    """
    import pyarrow as pa

    return pa.schema(
        [pa.field(name, pa.string(), nullable=False) for name in ("id", "collection", "title", "text", "group", "meta")]
    )


def pair_schema() -> "pyarrow.Schema":
    """Return the schema of parallel text: one aligned segment a row, `group` being its document where that is known."""
    import pyarrow as pa

    names = ("id", "collection", "source_language", "target_language", "source_text", "target_text", "group", "meta")
    return pa.schema([pa.field(name, pa.string(), nullable=False) for name in names])


def read_documents(path: str | os.PathLike[str]) -> "pyarrow.Table":
    """Read a document collection.

    Raises:
        InputError: naming the file and the first column that is missing or of another type.
    """
    return _read(path, document_schema(), "documents")


def read_pairs(path: str | os.PathLike[str]) -> "pyarrow.Table":
    """Read parallel text.

    Raises:
        InputError: naming the file and the first column that is missing or of another type.
    """
    return _read(path, pair_schema(), "parallel text")


def _read(path: str | os.PathLike[str], schema: "pyarrow.Schema", kind: str) -> "pyarrow.Table":
    from posologie.records.files import read_parquet

    table = read_parquet(path)
    for field in schema:
        if field.name not in table.column_names or table.schema.field(field.name).type != field.type:
            raise InputError(f"{path}: no text column '{field.name}'; expected a table of {kind}")
    return table.select(schema.names).cast(schema)


class TableRows:
    """Gives rows of a table, in buffers of their own.

    `Table.take` first joins all chunks of a column of strings, and a slice that is sent to another process takes all of
    its chunk along: both cost as much as the table, however few rows are wanted.
    """

    def __init__(self, table: "pyarrow.Table") -> None:
        import numpy as np

        self._batches = table.to_batches()
        self._schema = table.schema
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._batches)])

    def at(self, positions: "np.ndarray") -> "pyarrow.Table":
        """Return the rows at these positions, in their order.

        Raises:
            IndexError: if the table has no row at one of them.
        """
        import numpy as np
        import pyarrow as pa

        order = np.argsort(positions, kind="stable")
        ascending = positions[order]
        bounds = np.searchsorted(ascending, self._starts)
        parts = [
            batch.take(pa.array(ascending[first:last] - start))
            for batch, start, first, last in zip(self._batches, self._starts, bounds, bounds[1:], strict=False)
            if first < last
        ]
        return pa.Table.from_batches(parts, self._schema).take(pa.array(np.argsort(order)))
