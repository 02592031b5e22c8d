"""Reader of anything in rows: the configuration says which column holds what, and no code has to be written.

CSV, TSV, XLSX, JSON, JSON lines or Parquet, compressed or not, in any language and encoding. Options may be a list in
one column, a map from label to text, one lettered text, one column each, or part of the question's text; answers may
be labels, numbers, flags or texts. A name with dots reaches into nested records: `data.question`.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from posologie.records.items import LABELS, Split, Task
from posologie.running.commands import run
from posologie.running.errors import InputError
from posologie.sources import shards
from posologie.sources.answers import AnswerForm, is_absent
from posologie.sources.cleaning import Elsewhere, Rejected, value_at
from posologie.sources.column_options import Options
from posologie.sources.drafts import Draft, native_key
from posologie.sources.options import ends_of, in_order_of_labels, label_key
from posologie.sources.records import Rows, float_key, present, read_columns
from posologie.sources.shards import Drafting, Place
from posologie.sources.spec import ShardSpec


def draft(record: Any, place: Place, columns: Options, source: str, split: Split) -> Draft:
    """Make a draft of one row."""
    _check_split(record, columns, split)
    group, context = present(record, columns.group), present(record, columns.context)
    question = value_at(record, columns.question)
    if columns.rejected is not None:
        question = _turn(question, "user", columns.question)
    if columns.carve is not None and columns.carve.split_of(group, context, question) != split:
        raise Elsewhere
    for name in columns.must_be_empty:
        if present(record, name) not in (None, [], {}):
            raise Rejected("not for readers of text", f"{name} holds {value_at(record, name)!a:.80}")
    task = _task(record, columns)
    rejected = None
    if columns.rejected is None:
        answer = _answer(record, columns)
        labels, options = ([], ()) if task == "oeq" else _options(record, columns, answer)
    else:
        task, labels, options = "preference", [], ()
        answer = _turn(value_at(record, str(columns.answer)), "assistant", str(columns.answer))
        rejected = _turn(value_at(record, columns.rejected), "assistant", columns.rejected)
    if columns.question_pattern is not None:
        question = _groups_of(columns.question_pattern, question, "question")["text"]
    answer, second = _both_answers(record, columns, answer)
    key = None if columns.id is None else value_at(record, columns.id)
    return Draft(
        question=question,
        context=context,
        answer=answer,
        task=task,
        options=options,
        labels=labels or None,
        answer_form=columns.answer_form,
        second_answer=second,
        native_key=native_key(float_key(key)),
        group=None if group is None else str(group),
        meta={name: present(record, name) for name in columns.meta}
        | {"origin": columns.origin or source, "subject": present(record, columns.subject)},
        choices_line=re.compile(columns.choices_line, re.IGNORECASE | re.MULTILINE),
        rejected=rejected,
    )


def _check_split(record: Any, columns: Options, split: Split) -> None:
    """Check that a record belongs to this source and split, as far as columns say so.

    Raises:
        Elsewhere: if it belongs to another one.
        Rejected: if its split is unknown.
    """
    if any(str(value_at(record, name)) not in values for name, values in columns.only.items()):
        raise Elsewhere
    if columns.split_column is not None:
        value = str(value_at(record, columns.split_column))
        if value not in columns.splits:
            raise Rejected("unknown split", f"{value!a:.60}; expected {', '.join(columns.splits)}")
        if columns.splits[value] != split:
            raise Elsewhere


def _task(record: Any, columns: Options) -> Task | None:
    if columns.task_column is None:
        return columns.task
    value = str(value_at(record, columns.task_column))
    if value not in columns.tasks:
        raise Rejected("unknown type", f"{value!a:.60}; expected {', '.join(columns.tasks)}")
    return columns.tasks[value]


def _both_answers(record: Any, columns: Options, answer: Any) -> tuple[Any, tuple[Any, AnswerForm] | None]:
    """Return the answer and, where the record gives it twice, its second form."""
    second: tuple[Any, AnswerForm] | None = None
    if columns.answer_text is not None:
        second = present(record, columns.answer_text), "text"
    if columns.answer_pattern is None:
        return answer, second
    groups = _groups_of(columns.answer_pattern, answer, "answer")
    return (groups["label"], (groups["text"], "text")) if "label" in groups else (groups["text"], second)


def _turn(value: Any, role: str, column: str) -> Any:
    """Return the text of a turn where a field holds a chat of one question and at most one answer, else the field."""
    if isinstance(value, str) and value[:2] == "[{":
        value = _literal(value)
    if not isinstance(value, list):
        return value
    turns = [(turn.get("role"), turn.get("content")) for turn in value if isinstance(turn, dict)]
    roles = [role for role, _ in turns]
    if len(turns) < len(value) or roles not in (["user"], ["assistant"], ["user", "assistant"]):
        raise Rejected(
            "not one question and one answer", f"{column}: turns of {', '.join(map(str, roles)) or 'nobody'}"
        )
    return dict(turns).get(role)


def _answer(record: Any, columns: Options) -> Any:
    if not isinstance(columns.answer, str):
        return [present(record, name) for name in columns.answer]
    value = value_at(record, columns.answer)
    if columns.no_answer and str(value).strip() in columns.no_answer:
        return None
    if isinstance(value, str) and value[:1] == "[" and columns.answer_form != "text":
        value = _literal(value)
    return value


def _groups_of(pattern: str, value: Any, what: str) -> dict[str, str]:
    """Return the groups of a pattern in a value by name; a group without a name is the text."""
    match = re.search(pattern, value, re.DOTALL) if isinstance(value, str) else None
    if match is None:
        reason = "unreadable question" if what == "question" else "unreadable answer"
        raise Rejected(reason, f"{value!a:.80} does not fit {what}_pattern")
    return match.groupdict() or {"text": match.group(1)}


def _options(record: Any, columns: Options, answer: Any) -> tuple[list[str], Any]:
    """Return the labels of the options (empty if they have none of their own) and the options."""
    if columns.options_in_question:
        return [], None
    if columns.options is None:
        return [], ()
    if not isinstance(columns.options, str):
        return _options_in_columns(record, columns, answer)
    value = value_at(record, columns.options)
    if isinstance(value, str) and columns.option_separator is not None:
        return [], value.split(columns.option_separator)
    if isinstance(value, str) and value.strip()[:1] in ("[", "{"):
        value = _literal(value.strip())
    if isinstance(value, dict):
        if any(isinstance(member, list) for member in value.values()):
            raise Rejected("unreadable options", f"{columns.options}: a map of lists; name one of them by its path")
        return in_order_of_labels({str(label): text for label, text in value.items()})
    if isinstance(value, str):
        return [], value
    if not isinstance(value, list):
        raise Rejected("unreadable options", f"{columns.options}: {type(value).__name__}; expected a list")
    if any(isinstance(member, dict) for member in value):
        raise Rejected(
            "unreadable options", f"{columns.options}: a list of maps; name a field: {columns.options}.*.text"
        )
    return _configured_labels(record, columns, len(value)), value


def _configured_labels(record: Any, columns: Options, count: int) -> list[str]:
    if columns.option_labels is None:
        return []
    labels = columns.option_labels
    if isinstance(labels, str):
        labels = value_at(record, labels)
        labels = _literal(labels) if isinstance(labels, str) and labels[:1] == "[" else labels
    if not isinstance(labels, list | tuple) or len(labels) < count or any(is_absent(label) for label in labels):
        raise Rejected("unreadable options", f"labels {labels!a:.60} for {count} options")
    if len(labels) > count and isinstance(columns.option_labels, str):
        raise Rejected("unreadable options", f"{len(labels)} labels for {count} options")
    return [str(label) for label in labels[:count]]


def _options_in_columns(record: Any, columns: Options, answer: Any) -> tuple[list[str], list[Any]]:
    names = columns.options
    options: list[Any] = []
    absent: str | None = None
    for name in names or ():
        try:
            options.append(value_at(record, name))
        except KeyError:
            absent = absent or name
            options.append(None)
    if absent is not None and sum(not is_absent(option) for option in options) < 2:
        raise KeyError(absent)
    count = len(options)
    while count and options[count - 1] is None:
        count -= 1
    if columns.option_labels is not None:
        return _configured_labels(record, columns, count), options[:count]
    if columns.answer_form not in ("labels", "any"):
        return [], options[:count]
    return list(_labels_of_columns(tuple(names or ()), str(answer)))[:count], options[:count]


@lru_cache(maxsize=4096)
def _labels_of_columns(names: tuple[str, ...], answer: str) -> tuple[str, ...]:
    """Return the labels that the names of option columns are, where the answer may be one: `opa`, `opb`; `1`, `2`."""
    if answer.strip() in names:
        return names
    ends = ends_of(names)
    if ends is None:
        return ()
    if ends[0].isdecimal():
        return tuple(ends) if answer.strip().isdecimal() else ()
    return tuple(LABELS[LABELS.index(label_key(end).upper())] for end in ends)


def _literal(text: str) -> Any:
    """Return a list or map that was written as text, as pandas writes them; else the text."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return list(value) if isinstance(value, tuple) else value if isinstance(value, list | dict) else text


def reader(spec: ShardSpec, files: Mapping[str, Path]) -> Drafting:
    """Return the reader with its columns.

    Raises:
        InputError: if the split is none that is carved.
    """
    columns = shards.options_of(spec, Options)
    if columns.carve is not None and spec.split != "train" and not getattr(columns.carve, spec.split):
        raise InputError(f"sources.{spec.source}.options.carve.{spec.split}: missing for the split {spec.split}")
    return partial(draft, columns=columns, source=spec.source, split=spec.split)


def rows(files: Mapping[str, Path], spec: ShardSpec) -> Iterator[Rows]:
    """Yield the records of the files.

    Raises:
        InputError: if no record of any file has a value that `only` names.
    """
    columns = shards.options_of(spec, Options)
    values: dict[str, set[str]] = {name: set() for name in columns.only}
    for batch in read_columns(files, columns.form(), columns.named_columns()):
        for record in batch.values() if values else ():
            for name, seen_values in values.items():
                seen_values.add(str(_value_or_none(record, name)))
        yield batch
    for name, allowed in columns.only.items():
        if absent := [value for value in allowed if value not in values[name]]:
            known = ", ".join(sorted(values[name])[:12])
            raise InputError(
                f"sources.{spec.source}.options.only.{name} = '{absent[0]}': no record has this value; found {known}"
            )


def _value_or_none(record: Any, name: str) -> Any:
    try:
        return value_at(record, name)
    except (KeyError, TypeError, AttributeError, IndexError):
        return None


def main(argv: list[str]) -> None:
    """Write a shard from rows with configured columns."""
    shards.main(argv, "posologie.sources.columns", reader, rows)


if __name__ == "__main__":
    run(main)
