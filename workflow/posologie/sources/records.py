"""Records out of files (JSON lists, JSON lines, CSV, TSV, Parquet), a batch at a time, with the row of each."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import IO, Any

import pyarrow
import pyarrow.compute
import pyarrow.parquet

from posologie.errors import InputError
from posologie.sources.cleaning import NOT_PLAIN

BATCH = 4096
_BLOCK = 1 << 22
_BLANK = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Malformed:
    """Stands where a record should be that could not be read by itself.

    Attributes:
        detail: what was found.
        raw: the text as it stands in the file.
    """

    detail: str
    raw: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Consecutive records of one file.

    Attributes:
        file: name as shown in reports.
        first: row of the first record, counted from 1 within the file.
        records: what the file holds, mostly mappings; a Parquet batch stays columnar until it is used.
    """

    file: str
    first: int
    records: "list[Any] | pyarrow.RecordBatch"

    def plain(self) -> list[bool]:
        """Say for each record whether all its texts are known to need no cleaning: one pass over a Parquet batch."""
        if isinstance(self.records, list):
            return [False] * len(self.records)
        columns = self.records.columns
        if not columns or not all(pyarrow.types.is_string(column.type) for column in columns):
            return [False] * self.records.num_rows
        found = [pyarrow.compute.match_substring_regex(column, NOT_PLAIN).fill_null(False) for column in columns]
        return [not any_found for any_found in reduce(pyarrow.compute.or_, found).to_pylist()]

    def values(self) -> list[Any]:
        """Return the records, those of a Parquet batch as mappings."""
        if isinstance(self.records, list):
            return self.records
        try:
            return list(self.records.to_pylist())
        except UnicodeDecodeError:
            return [_row(self.records, index) for index in range(self.records.num_rows)]


def read_rows(files: Mapping[str, Path]) -> Iterator[Rows]:
    """Yield the records of files in batches.

    Args:
        files: name as shown → path; the suffix says the format (.json, .jsonl, .ndjson, .csv, .tsv, .parquet).

    Raises:
        InputError: if a file is of another format, or broken at a place where no record can be told from the next.
    """
    for name, path in files.items():
        suffix = path.suffix.lower()
        if suffix == ".parquet":
            yield from _parquet_rows(name, path)
        elif suffix in (".jsonl", ".ndjson"):
            yield from _batched(name, _line_records(name, path))
        elif suffix == ".json":
            yield from _batched(name, _json_records(name, path))
        elif suffix in (".csv", ".tsv"):
            yield from _batched(name, _delimited_records(name, path, "\t" if suffix == ".tsv" else ","))
        else:
            raise InputError(
                f"{name}: '{path.suffix}' is no known format; expected .json, .jsonl, .csv, .tsv, .parquet"
            )


def read_keyed_rows(files: Mapping[str, Path]) -> Iterator[Rows]:
    """Yield the members of JSON objects, as records `{"key": …, "value": …}`, in file order.

    Raises:
        InputError: if a file is not one JSON object.
    """
    for name, path in files.items():
        members = parsed_json(name, path)
        if not isinstance(members, dict):
            raise InputError(f"{name}: a JSON {type(members).__name__}; expected an object of records by key")
        yield from _batched(name, ({"key": key, "value": value} for key, value in members.items()))


def parsed_json(name: str, path: Path) -> Any:
    """Return the value of a JSON file; bytes that are not UTF-8 become lone surrogates, which cleaning rejects.

    Raises:
        InputError: naming the line where it stops being JSON.
    """
    try:
        return json.loads(text_of(name, path))
    except json.JSONDecodeError as error:
        raise InputError(f"{name}, line {error.lineno}: not JSON ({error.msg})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: not JSON that can be read ({error})") from error


def read_unlabelled_cells(files: Mapping[str, Path]) -> Iterator[Rows]:
    """Yield the rows of CSV files without a header, as lists of cells."""
    for name, path in files.items():
        with _opened(name, path, newline="") as file:
            yield from _batched(name, _cells(name, file, ","))


def _batched(name: str, records: Iterator[Any]) -> Iterator[Rows]:
    first, batch = 1, []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield Rows(name, first, batch)
            first, batch = first + BATCH, []
    if batch:
        yield Rows(name, first, batch)


def _opened(name: str, path: Path, newline: str | None = None) -> IO[str]:
    try:
        return open(path, encoding="utf-8-sig", errors="surrogateescape", newline=newline)
    except OSError as error:
        raise InputError(f"{name}: {error.strerror or error}") from error


def text_of(name: str, path: Path) -> str:
    """Return the text of a file with its line ends as they are; bytes that are not UTF-8 become lone surrogates."""
    with _opened(name, path, newline="") as file:
        return file.read()


def _parquet_rows(name: str, path: Path) -> Iterator[Rows]:
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            first = 1
            for batch in file.iter_batches(batch_size=BATCH):
                yield Rows(name, first, batch)
                first += batch.num_rows
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such file") from error
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{name}: not a whole Parquet file ({str(error).splitlines()[0]})") from error


def _row(batch: pyarrow.RecordBatch, index: int) -> Any:
    """Return one row of a batch, in which some text is not UTF-8."""
    try:
        return batch.slice(index, 1).to_pylist()[0]
    except UnicodeDecodeError as error:
        return Malformed("text that is not UTF-8", ascii(error.object[:2000]))


def _json_records(name: str, path: Path) -> Iterator[Any]:
    with _opened(name, path) as file:
        start = file.read(1)
        while start and start in _BLANK:
            start = file.read(1)
        if start == "[":
            yield from _list_records(name, file)
        elif start == "{":
            yield from _line_records(name, path)
        else:
            found = repr(start) if start else "nothing"
            raise InputError(f"{name}: begins with {found}; expected a JSON list of records, or one record a line")


def _line_records(name: str, path: Path) -> Iterator[Any]:
    """Yield the records of JSON lines; a line that is no JSON is one malformed record."""
    good = False
    # Lines end at "\n" alone: text may hold what Python also takes for line ends.
    with _opened(name, path, newline="\n") as file:
        for number, line in enumerate(file, 1):
            text = line.strip(_BLANK + "\ufeff")
            if not text:
                continue
            try:
                record = json.loads(text)
            except (ValueError, RecursionError) as error:
                if not good and number == 1 and path.suffix.lower() == ".json":
                    raise InputError(
                        f"{name}, line 1: no whole JSON record; expected a JSON list of records, or one record a line"
                    ) from error
                record = Malformed(f"line {number}: not JSON ({error})", text)
            good = True
            yield record


def _list_records(name: str, file: IO[str]) -> Iterator[Any]:
    """Yield the members of a JSON list one by one, so that a file of any size takes little memory."""
    decoder = json.JSONDecoder()
    buffer, position, row, block, ended = "", 0, 0, _BLOCK, False

    def more() -> bool:
        nonlocal buffer, position, block, ended
        text = file.read(block)
        ended = not text
        buffer, position = buffer[position:] + text, 0
        return not ended

    expected = "a record or ']'"
    while True:
        while position < len(buffer) and buffer[position] in _BLANK:
            position += 1
        if position >= len(buffer):
            if more():
                continue
            raise InputError(f"{name}: ends after record {row}; expected {expected}")
        character = buffer[position]
        if character == "]" and expected != "a record":
            return
        if expected == "',' or ']'":
            if character != ",":
                raise InputError(f"{name}, after record {row}: {character!r}; expected {expected}")
            position, expected = position + 1, "a record"
            continue
        try:
            record, end = decoder.raw_decode(buffer, position)
        except (ValueError, RecursionError) as error:
            # Perhaps only the end of the block cuts the record: look again with more, in ever larger blocks.
            block = max(block, 2 * len(buffer))
            if not ended and more():
                continue
            raise InputError(f"{name}, record {row + 1}: not JSON ({error})") from error
        if end == len(buffer) and not ended and more():
            continue
        position, row, block, expected = end, row + 1, _BLOCK, "',' or ']'"
        yield record


def _delimited_records(name: str, path: Path, delimiter: str) -> Iterator[Any]:
    with _opened(name, path, newline="") as file:
        cells = _cells(name, file, delimiter)
        header = next(cells, None)
        if not header:
            raise InputError(f"{name}: empty; expected a line of column names")
        for row in cells:
            if len(row) == len(header):
                yield dict(zip(header, row, strict=True))
            else:
                yield Malformed(f"{len(row)} cells; expected {len(header)}", delimiter.join(row))


def _cells(name: str, file: IO[str], delimiter: str) -> Iterator[list[str]]:
    """Yield the rows of a delimited file that are not blank; tab-separated text is read with quoting off."""
    csv.field_size_limit(1 << 30)
    if delimiter == "\t":
        reader = csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if row:
                yield row
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.line_num}: {error}") from error
