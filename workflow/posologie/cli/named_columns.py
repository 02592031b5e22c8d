"""Do the columns that a study file names exist in its files? Seen in their first records, before anything is read."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from posologie.sources.nested import field
from posologie.sources.reader_options.columns import Options
from posologie.sources.records import read_rows
from posologie.sources.rejection import Rejected
from posologie.sources.spec import Source
from posologie.specs import first_problem

_LOOKED_AT = 100
_NEEDED = ("question", "answer", "options", "split_column", "task_column", "id")
"""Options that name a column which every record has; a context or a group may be left out of JSON records."""


def missing_columns(name: str, source: Source, files: Mapping[str, Path]) -> Iterator[str]:
    """Yield one line for each option of the reader `columns` that names a column which a file has not.

    Raises:
        InputError: if a file is broken.
    """
    try:
        options = Options.model_validate(source.options)
    except ValidationError as error:
        yield f"sources.{name}.options.{first_problem(error)}"
        return
    for file, path in files.items():
        rows = next(iter(read_rows({file: path}, options.form())), None)
        records = [] if rows is None else list(islice(rows.values(), _LOOKED_AT))
        records = [record for record in records if isinstance(record, dict)]
        for option in _NEEDED if records else ():
            value = getattr(options, option)
            for column in (value,) if isinstance(value, str) else value or ():
                if not any(_has(record, column) for record in records):
                    there = ", ".join(records[0])
                    yield f"sources.{name}.options.{option} = '{column}': {file} has no such column; it has {there}"


def _has(record: Any, column: str) -> bool:
    """Return whether a record has a field of this name or path."""
    try:
        field(record, column)
    except (KeyError, Rejected):
        return False
    return True
