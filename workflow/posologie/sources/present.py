"""Fields of records in rows: those that are there, and columns that no record has."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from posologie.sources.answers import is_absent
from posologie.sources.malformed import Malformed
from posologie.sources.nested import field
from posologie.sources.records import Rows
from posologie.sources.rejection import Rejected

_FLOAT_KEY = re.compile(r"\s*(\d+)\.0\s*")


def present(record: Any, name: str | None) -> Any:
    """Return a field, or None where it stands for nothing or is not there."""
    try:
        value = None if name is None else field(record, name)
    except KeyError:
        return None
    return None if is_absent(value) else value


def float_key(key: Any) -> Any:
    """Return a key without the `.0` that it gets where a table has made whole numbers fractions."""
    found = _FLOAT_KEY.fullmatch(key) if isinstance(key, str) else None
    return key if found is None else found.group(1)


def is_plain(name: str) -> bool:
    """Say whether a name can only be that of a column, and is no path."""
    return not re.search(r"[\^@*\[\].]", name)


def with_absent_columns(rows: Iterator[Rows], named: Sequence[str]) -> Iterator[Rows]:
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
        field(record, name)
    except (KeyError, Rejected, TypeError):
        return False
    return True
