"""Reader of anything in rows: the configuration says which column holds what, and no code has to be written.

CSV, TSV, JSON, JSON lines or Parquet, in any language. Options may be a list in one column (or letter → text), one
column each, or part of the question's text. A name with dots reaches into nested records: `data.question`.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from posologie.commands import run
from posologie.items import Split
from posologie.sources import shards
from posologie.sources.drafts import Draft, in_order_of_labels, native_key
from posologie.sources.reader_options.columns import Options
from posologie.sources.rejection import Elsewhere, Rejected
from posologie.sources.shards import Drafting, Place
from posologie.sources.spec import ShardSpec


def draft(record: Any, place: Place, columns: Options, source: str, split: Split) -> Draft:
    """Make a draft of one row."""
    if columns.split_column is not None:
        value = str(_value(record, columns.split_column))
        if value not in columns.splits:
            raise Rejected("unknown split", f"{value!a:.60}; expected {', '.join(columns.splits)}")
        if columns.splits[value] != split:
            raise Elsewhere
    task = columns.task
    if columns.task_column is not None:
        value = str(_value(record, columns.task_column))
        if value not in columns.tasks:
            raise Rejected("unknown type", f"{value!a:.60}; expected {', '.join(columns.tasks)}")
        task = columns.tasks[value]
    group = None if columns.group is None else _value(record, columns.group)
    return Draft(
        question=_value(record, columns.question),
        context=None if columns.context is None else _value(record, columns.context),
        answer=_value(record, columns.answer),
        task=task,
        options=() if task == "oeq" else _options(record, columns),
        answer_form=columns.answer_form,
        native_key=None if columns.id is None else native_key(_value(record, columns.id)),
        group=None if group is None or group == "" else str(group),
        meta={name: _value(record, name) for name in columns.meta}
        | {
            "origin": columns.origin or source,
            "subject": None if columns.subject is None else _value(record, columns.subject),
        },
        choices_line=re.compile(columns.choices_line, re.IGNORECASE | re.MULTILINE),
    )


def _options(record: Any, columns: Options) -> list[Any] | None:
    if columns.options_in_question:
        return None
    if columns.options is None:
        return []
    if not isinstance(columns.options, str):
        return [_value(record, name) for name in columns.options]
    value = _value(record, columns.options)
    if isinstance(value, str) and columns.option_separator is not None:
        return value.split(columns.option_separator)
    if isinstance(value, dict):
        return in_order_of_labels(value)
    if isinstance(value, list):
        return value
    raise Rejected("unreadable options", f"{columns.options}: {type(value).__name__}; expected a list")


def _value(record: Any, name: str) -> Any:
    if name in record:
        return record[name]
    for part in name.split("."):
        record = record[part]
    return record


def reader(spec: ShardSpec, files: Mapping[str, Path]) -> Drafting:
    """Return the reader with its columns."""
    columns = shards.options_of(spec, Options)
    return partial(draft, columns=columns, source=spec.source, split=spec.split)


def main(argv: list[str]) -> None:
    """Write a shard from rows with configured columns."""
    shards.main(argv, "posologie.sources.columns", reader)


if __name__ == "__main__":
    run(main)
