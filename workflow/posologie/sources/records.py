"""The records of published files, and the columns that they must have."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from posologie.running.errors import InputError
from posologie.sources.answers import is_absent
from posologie.sources.cleaning import NOT_PLAIN, Malformed, Rejected, inner_records, value_at
from posologie.sources.spec import FileForm
from posologie.sources.tables import cells_of, delimited_records, sheet_records
from posologie.sources.text_files import PublishedFile, opened_text

if TYPE_CHECKING:
    import pyarrow

BATCH = 4096
_BLOCK = 1 << 22
_BLANK = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Rows:
    """Consecutive records of one file.

    Attributes:
        file: name as shown in reports.
        first: row of the first record, counted from 1 within the file.
        records: what the file holds, mostly mappings; a Parquet batch stays columnar until it is used.
        read_as: how the file was read, where that was found rather than known.
    """

    file: str
    first: int
    records: "list[Any] | pyarrow.RecordBatch"
    read_as: dict[str, Any] = field(default_factory=dict)

    def plain(self) -> list[bool]:
        """Return for each record whether all its texts are known to need no cleaning: one pass over a Parquet batch."""
        if isinstance(self.records, list):
            return [False] * len(self.records)
        import pyarrow.compute

        columns = self.records.columns
        if not columns or not all(pyarrow.types.is_string(column.type) for column in columns):
            return [False] * self.records.num_rows
        unclean = [pyarrow.compute.match_substring_regex(column, NOT_PLAIN).fill_null(False) for column in columns]
        return [not in_any for in_any in reduce(pyarrow.compute.or_, unclean).to_pylist()]

    def values(self) -> list[Any]:
        """Return the records, those of a Parquet batch as mappings."""
        if isinstance(self.records, list):
            return self.records
        try:
            return list(self.records.to_pylist())
        except UnicodeDecodeError:
            return [_row(self.records, index) for index in range(self.records.num_rows)]


def read_rows(files: Mapping[str, Path], form: FileForm | None = None, required: Sequence[str] = ()) -> Iterator[Rows]:
    """Yield the records of files in batches, at least one batch of each file.

    Args:
        files: name as shown → path; the suffix says the format (.json, .jsonl, .ndjson, .csv, .tsv, .xlsx, .parquet),
            and .gz, .bz2, .xz or .zst after it the compression.
        form: what the study says of the files; the rest is detected. Without one, text is UTF-8, CSV has commas and
            TSV no quotes.
        required: columns that tables have to have.

    Raises:
        InputError: if a file is of another format, or broken at a place where records cannot be separated.
    """
    for name, path in files.items():
        file = PublishedFile(name, path, form, required)
        if file.suffix == ".parquet":
            yield from _parquet_rows(file)
            continue
        records: Iterator[Any]
        if file.suffix in (".jsonl", ".ndjson"):
            records = _line_records(file)
        elif file.suffix == ".json":
            records = _json_records(file)
        elif file.suffix in (".csv", ".tsv"):
            records = delimited_records(file)
        elif file.suffix == ".xlsx" and form is not None:
            records = sheet_records(file, form)
        else:
            raise InputError(
                f"{name}: '{path.suffix}' is not a known format; expected .json, .jsonl, .csv, .tsv, .parquet"
                + ("" if form is None else ", .xlsx")
            )
        if form is not None and form.records is not None:
            records = inner_records(records, form.records)
        yield from _batched(name, records, file.facts)


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
        return json.loads(text_of(name, path), object_pairs_hook=_once)
    except _TwiceError as error:
        raise InputError(f"{name}: {error}") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{name}, line {error.lineno}: not JSON ({error.msg})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: not JSON that can be read ({error})") from error


def read_unlabelled_cells(files: Mapping[str, Path]) -> Iterator[Rows]:
    """Yield the rows of CSV files without a header, as lists of cells."""
    for name, path in files.items():
        with opened_text(PublishedFile(name, path)) as stream:
            yield from _batched(name, cells_of(name, stream, ",", quoting=True))


def _batched(name: str, records: Iterable[Any], facts: dict[str, Any] | None = None) -> Iterator[Rows]:
    first, batch, facts = 1, [], {} if facts is None else facts
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield Rows(name, first, batch, facts)
            first, batch = first + BATCH, []
    if batch or first == 1:
        yield Rows(name, first, batch, facts)


def text_of(name: str, path: Path) -> str:
    """Return the text of a file with its line ends as they are; bytes that are not UTF-8 become lone surrogates."""
    with opened_text(PublishedFile(name, path)) as stream:
        return stream.read()


class _TwiceError(Exception):
    """A JSON object has a key twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object in which every key occurs once: otherwise the last would silently replace the others."""
    record = dict(pairs)
    if len(record) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _TwiceError(f"a record has the key {twice[:60]!r} twice; expected each key once")
    return record


def _parquet_rows(file: PublishedFile) -> Iterator[Rows]:
    import pyarrow.parquet

    name, form = file.name, file.form
    try:
        with pyarrow.parquet.ParquetFile(file.path) as table:
            names = table.schema_arrow.names
            if len(set(names)) < len(names):
                twice = next(column for column in names if names.count(column) > 1)
                raise InputError(f"{name}: column '{twice}' occurs twice; give each its own name")
            if missing := [column for column in file.required if column not in names]:
                raise InputError(f"{name}: no column '{missing[0]}'; it has {', '.join(names)[:200]}")
            batches = table.iter_batches(batch_size=BATCH)
            if form is not None and form.records is not None:
                every = (record for batch in batches for record in Rows(name, 1, batch).values())
                yield from _batched(name, inner_records(every, form.records))
                return
            first = 1
            for batch in batches:
                yield Rows(name, first, batch)
                first += batch.num_rows
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such file") from error
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{name}: not a whole Parquet file ({str(error).splitlines()[0]})") from error


def _row(batch: "pyarrow.RecordBatch", index: int) -> Any:
    """Return one row of a batch, in which some text is not UTF-8."""
    try:
        return batch.slice(index, 1).to_pylist()[0]
    except UnicodeDecodeError as error:
        return Malformed("text that is not UTF-8", ascii(error.object[:2000]))


def _json_records(file: PublishedFile) -> Iterator[Any]:
    with opened_text(file) as stream:
        start = stream.read(1)
        while start and start in _BLANK:
            start = stream.read(1)
        if start == "[":
            yield from _list_records(file.name, stream)
            return
        if start != "{":
            beginning = repr(start) if start else "nothing"
            expected = "expected a JSON list of records, or one record per line"
            raise InputError(f"{file.name}: begins with {beginning}; {expected}")
        stream.seek(0)
        one_a_line = file.form is None or _is_json(next(iter(stream), ""))
        if not one_a_line:
            stream.seek(0)
            text = stream.read()
    if one_a_line:
        yield from _line_records(file)
    else:
        yield from _object_records(file.name, text)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _object_records(name: str, text: str) -> Iterator[Any]:
    """Yield JSON objects that run over several lines: one in a file, or one after another."""
    position, row = 0, 0
    while position < len(text):
        if text[position] in _BLANK + "\ufeff":
            position += 1
            continue
        try:
            record, position = _DECODER.raw_decode(text, position)
        except _TwiceError as error:
            raise InputError(f"{name}, record {row + 1}: {error}") from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"{name}, record {row + 1}: not JSON ({error})") from error
        row += 1
        yield record


def _line_records(file: PublishedFile) -> Iterator[Any]:
    """Yield the records of JSON lines; a line that is no JSON is one malformed record."""
    name, good = file.name, False
    # Lines end at "\n" alone: text may hold what Python also takes for line ends.
    with opened_text(file, newline="\n") as stream:
        for number, line in enumerate(stream, 1):
            text = line.strip(_BLANK + "\ufeff")
            if not text:
                continue
            try:
                record = _DECODER.decode(text)
            except _TwiceError as error:
                raise InputError(f"{name}, line {number}: {error}") from error
            except (ValueError, RecursionError) as error:
                if not good and number == 1 and file.suffix == ".json":
                    raise InputError(
                        f"{name}, line 1: no whole JSON record; expected a JSON list of records, or one record per line"
                    ) from error
                record = Malformed(f"line {number}: not JSON ({error})", text)
            good = True
            yield record


_DECODER = json.JSONDecoder(object_pairs_hook=_once)


def _list_records(name: str, file: IO[str]) -> Iterator[Any]:
    """Yield the members of a JSON list one by one, so that a file of any size takes little memory."""
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
            record, end = _DECODER.raw_decode(buffer, position)
        except _TwiceError as error:
            raise InputError(f"{name}, record {row + 1}: {error}") from error
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


_FLOAT_KEY = re.compile(r"\s*(\d+)\.0\s*")


def present(record: Any, name: str | None) -> Any:
    """Return a field, or None where it stands for nothing or is not there."""
    try:
        value = None if name is None else value_at(record, name)
    except KeyError:
        return None
    return None if is_absent(value) else value


def float_key(key: Any) -> Any:
    """Return a key without the `.0` that it gets where a table has made whole numbers fractions."""
    match = _FLOAT_KEY.fullmatch(key) if isinstance(key, str) else None
    return key if match is None else match.group(1)


def _is_plain(name: str) -> bool:
    """Return whether a name can only be that of a column, and is no path."""
    return not re.search(r"[\^@*\[\].]", name)


def read_columns(files: Mapping[str, Path], form: FileForm, named: Sequence[str]) -> Iterator[Rows]:
    """Yield the records of files with the columns that a study names, and note in `read_as` those that no record has.

    Args:
        files: name as shown → path.
        form: what the study says of the files.
        named: columns by name or path; a table has to have those with plain names.

    Raises:
        InputError: as `read_rows` does.
    """
    required = [] if form.records is not None else [name for name in named if _is_plain(name)]
    for file, path in files.items():
        yield from _with_absent_columns(read_rows({file: path}, form, required), named)


def _with_absent_columns(rows: Iterator[Rows], named: Sequence[str]) -> Iterator[Rows]:
    """Pass on the batches of one file, and note in `read_as` which of the named columns no record has."""
    missing = set(named)
    for batch in rows:
        if missing and isinstance(batch.records, list):
            batch.read_as.pop("absent", None)
            records = [record for record in batch.records if not isinstance(record, Malformed)]
            for record in records:
                missing = {name for name in missing if not _has(record, name)}
                if not missing:
                    break
            if missing and records:
                batch.read_as["absent"] = [name for name in named if name in missing]
        yield batch


def _has(record: Any, name: str) -> bool:
    try:
        value_at(record, name)
    except (KeyError, Rejected, TypeError):
        return False
    return True
