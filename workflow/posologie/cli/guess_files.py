"""What a file or a folder of files seems to hold: how its records are read, and which column is what.

A guess for `posologie new-study`, to be confirmed. It is tried with the reader itself.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from posologie.cli.guesses import Guess, guessed, split_named, value_of
from posologie.items import SPLITS
from posologie.sources import columns
from posologie.sources.drafts import finished
from posologie.sources.malformed import Malformed
from posologie.sources.opening import format_of
from posologie.sources.records import read_rows
from posologie.sources.rejection import Elsewhere, Rejected
from posologie.sources.shards import Place
from posologie.sources.spec import FileForm, ShardSpec

FORMATS = (".csv", ".tsv", ".xlsx", ".json", ".jsonl", ".ndjson", ".parquet")
RECORDS = 400
"""Records of a file that are looked at, spread evenly over the first ones."""
_READ = 20_000
_DEPTH = 5


def guess(path: Path) -> Guess | None:
    """Return what a file seems to hold; None where no question with an answer can be seen in it.

    Raises:
        InputError: if the file is broken, or of no known format.
    """
    name = path.as_posix()
    records = _looked_at(name, path, FileForm())
    for form in _forms(name, path, records):
        found = guessed(_looked_at(name, path, form))
        if found is not None:
            found.options = {**form.model_dump(exclude_none=True), **found.options}
            _whole_splits(found, name, path, form)
            _try(found, name, path)
            return found
    return None


def _spread(records: Iterable[Any]) -> list[Any]:
    """Return at most `RECORDS` records, evenly spaced: a file may be in the order of its parts."""
    read = list(islice(records, _READ))
    return read[:: -(-len(read) // RECORDS)] if read else []


def _looked_at(name: str, path: Path, form: FileForm) -> list[Any]:
    records = (record for rows in read_rows({name: path}, form) for record in rows.values())
    return [record for record in _spread(records) if not isinstance(record, Malformed)]


def _forms(name: str, path: Path, records: list[Any]) -> Iterator[FileForm]:
    """Yield the ways in which a file may be read: without a header, records as they are, records inside others."""
    if format_of(path)[0] in (".csv", ".tsv", ".xlsx") and records and _headless(list(records[0]), records):
        yield FileForm(header=False)
        return
    yield FileForm()
    yield from (FileForm(records=inside) for inside in _inner_paths(records))


def _headless(header: Sequence[str], records: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether the first row is a record too: a cell is a long text, or what another row has in its place."""
    long = any(len(cell) > 60 or cell.rstrip().endswith(("?", "？", "؟")) for cell in header)
    short = [name for name in header if len(name) < 3]
    return long or any(Counter(str(record.get(name)) for record in records)[name] > 1 for name in short)


def _inner_paths(records: Sequence[Any]) -> list[str]:
    """Return the paths at which records may lie inside others, the shallow ones first."""
    found: list[str] = []
    waiting: list[tuple[str, Any]] = [("", one) for one in records[:3]]
    while waiting:
        path, value = waiting.pop(0)
        if path.count(".") >= _DEPTH:
            continue
        steps: Iterable[tuple[str, Any]] = ()
        if isinstance(value, list):
            steps = [("*", one) for one in value[:3] if isinstance(one, dict)]
        elif isinstance(value, dict):
            inside = list(value.values())
            alike = len(inside) > 1 and all(isinstance(one, dict) for one in inside)
            steps = [("*", inside[0])] if alike else value.items()
        for step, below in steps:
            if isinstance(below, dict | list):
                whole = f"{path}.{step}" if path else step
                waiting.append((whole, below))
                if step == "*" and whole not in found:
                    found.append(whole)
    return found


def _whole_splits(found: Guess, name: str, path: Path, form: FileForm) -> None:
    """Name every value of the split column: one of few records may be missing among those that were looked at."""
    column = found.options.get("split_column")
    if column is None:
        return
    every = dict.fromkeys(
        str(value_of(record, column)) for rows in read_rows({name: path}, form) for record in rows.values()
    )
    told = {value: split_named(value) for value in every}
    found.options["splits"] = {value: split for value, split in told.items() if split is not None}
    unknown = [value for value, split in told.items() if split is None]
    if unknown:
        found.doubts.append(
            f"'{column}' also has {', '.join(map(repr, unknown[:6]))}: say under `splits` what these are"
        )
    found.splits = [split for split in SPLITS if split in found.options["splits"].values()]


def _try(found: Guess, name: str, path: Path) -> None:
    """Read the first records with the guessed options, by the reader itself, and count what becomes an item."""
    for split in found.splits or ["train"]:
        spec = ShardSpec.model_validate(
            {"source": "guess", "provenance": "guess", "split": split, "patterns": (), "options": found.options}
        )
        draft = columns.reader(spec, {name: path})
        records = (record for rows in columns.rows({name: path}, spec) for record in rows.values())
        for row, record in enumerate(_spread(records), start=1):
            try:
                item = finished(draft(record, Place(name, row)), spec, set())
            except Elsewhere:
                continue
            except Rejected as rejected:
                found.rejected[rejected.reason] += 1
            except (KeyError, TypeError, AttributeError, IndexError, ValueError):
                found.rejected["not a record of this form"] += 1
            else:
                found.items += 1
                found.example = found.example or item.question
    found.looked = found.items + found.rejected.total()
