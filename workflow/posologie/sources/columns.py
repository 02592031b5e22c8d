"""Reader of anything in rows: the configuration says which column holds what, and no code has to be written.

CSV, TSV, XLSX, JSON, JSON lines or Parquet, compressed or not, in any language and encoding. Options may be a list in
one column, a map from label to text, one lettered text, one column each, or part of the question's text; answers may
be labels, numbers, flags or texts. A name with dots reaches into nested records: `data.question`.
"""

import ast
import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from posologie.records.items import LABELS, Split, Task
from posologie.records.specs import Spec
from posologie.running.commands import run
from posologie.running.errors import InputError
from posologie.sources import shards
from posologie.sources.answers import AnswerForm, is_absent
from posologie.sources.cleaning import Elsewhere, Rejected, value_at
from posologie.sources.drafts import Draft, native_key
from posologie.sources.options import CHOICES_LINE, ends_of, in_order_of_labels, label_key
from posologie.sources.records import Rows, float_key, is_plain, present, read_rows, with_absent_columns
from posologie.sources.shards import Drafting, Place
from posologie.sources.spec import FileForm, ShardSpec


class Carve(Spec):
    """Shares of the groups of one file that become validation and test; the rest is train."""

    validation: float = Field(default=0, ge=0, lt=1, description="share of the groups that become validation")
    test: float = Field(default=0, ge=0, lt=1, description="share of the groups that become test")
    seed: int = Field(default=42, description="seed of the draw")

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if not 0 < self.validation + self.test < 1:
            raise ValueError("shares of validation and test that leave something, and take something")
        return self


class Options(FileForm):
    """Options of the reader: columns by name, and how their values are meant."""

    question: str = Field(description="column of the question")
    answer: str | tuple[str, ...] = Field(
        description="column of the right answer; with one_hot also the columns that hold a flag each"
    )
    answer_text: str | None = Field(
        default=None, description="column of the right option's text, where there is one beside its label"
    )
    rejected: str | None = Field(
        default=None,
        description="column of the answer that is not preferred, where records are preference pairs; the column of the "
        "right answer is then that of the chosen one. Both, and the question, may be lists of chat turns",
    )
    context: str | None = Field(default=None, description="column of the clinical case or other context")
    options: str | tuple[str, ...] | None = Field(
        default=None,
        description="column that holds the options as a list, a map from label to text or one lettered text, or the "
        "columns that hold one each",
    )
    option_labels: str | tuple[str, ...] | None = Field(
        default=None, description="column of the options' labels, or the labels themselves, in the order of the options"
    )
    option_separator: str | None = Field(
        default=None, min_length=1, description="what stands between the options, where they are one text"
    )
    options_in_question: bool = Field(default=False, description="whether the question's text holds the options")
    choices_line: str = Field(default=CHOICES_LINE, description="pattern of the line before options in the question")
    question_pattern: str | None = Field(
        default=None, description="pattern whose one group is the question, where more stands around it"
    )
    answer_pattern: str | None = Field(
        default=None,
        description="pattern whose one group is the answer, where more stands around it; its groups may also be called "
        "`label` and `text`, which then have to agree",
    )
    answer_form: AnswerForm = Field(
        default="any",
        description="how right answers are given: labels, index0, index1, one_hot, text, or any of labels and text",
    )
    no_answer: tuple[str, ...] = Field(
        default=(), description="values of the answer that mean that there is none, such as -1"
    )
    must_be_empty: tuple[str, ...] = Field(
        default=(), description="columns that make a record unusable where they hold something, such as an image"
    )
    task: Task | None = Field(default=None, description="task of every record; follows from the options if left out")
    task_column: str | None = Field(default=None, description="column of the task, with `tasks`")
    tasks: dict[str, Task] = Field(default_factory=dict, description="value of the task column → task")
    split_column: str | None = Field(default=None, description="column of the split, where one file holds several")
    splits: dict[str, Split] = Field(default_factory=dict, description="value of the split column → split")
    only: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="column → values; records with another value belong to another source of the same files",
    )
    carve: Carve | None = Field(
        default=None,
        description="validation and test taken out of the same files by group, or by context or question without one",
    )
    id: str | None = Field(default=None, description="column of the record's own identifier")
    group: str | None = Field(default=None, description="column of what items of one case have in common")
    subject: str | None = Field(default=None, description="column of the subject")
    origin: str | None = Field(default=None, description="name of the origin; the name of the source if left out")
    meta: tuple[str, ...] = Field(default=(), description="further columns to keep")

    @field_validator("choices_line", "question_pattern", "answer_pattern")
    @classmethod
    def _pattern(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"a regular expression ({error})") from error
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.options is not None and self.options_in_question:
            raise ValueError("either options or options_in_question")
        if (self.task_column is None) != (not self.tasks) or (self.task_column and self.task):
            raise ValueError("task_column together with tasks, and without task")
        if (self.split_column is None) != (not self.splits):
            raise ValueError("split_column together with splits")
        if self.carve is not None and self.split_column is not None:
            raise ValueError("either carve or split_column")
        if not isinstance(self.answer, str) and self.answer_form != "one_hot":
            raise ValueError("answer_form: one_hot, where the answer has several columns")
        if self.option_labels is not None and (self.options is None or self.option_separator is not None):
            raise ValueError("option_labels only beside options in a list or in columns of their own")
        choice = self.options is not None or self.options_in_question or self.answer_text is not None
        if self.rejected is not None and (choice or self.task_column is not None or not isinstance(self.answer, str)):
            raise ValueError("rejected without options, answer_text and task_column, and with one column of the answer")
        pairs = "preference" in (self.task, *self.tasks.values())
        if pairs != (self.rejected is not None) and (pairs or self.task is not None):
            raise ValueError("rejected together with the task preference, and with no other")
        for name in ("question_pattern", "answer_pattern"):
            pattern = re.compile(getattr(self, name) or "(x)")
            if pattern.groups != 1 and not (name == "answer_pattern" and set(pattern.groupindex) == {"label", "text"}):
                raise ValueError(f"{name} with one group")
        return self

    def named_columns(self) -> tuple[str, ...]:
        """Return the columns that every table of this source has to have."""
        one_each = () if self.options is None or isinstance(self.options, str) else self.options
        several = self.answer if not isinstance(self.answer, str) else (self.answer,)
        named = (
            self.question,
            *several,
            self.answer_text,
            self.rejected,
            self.context,
            self.split_column,
            self.task_column,
            self.id,
        )
        named += (self.group, self.subject, *one_each, *self.meta, *self.must_be_empty, *self.only)
        named += (self.options if isinstance(self.options, str) else None,)
        return tuple(dict.fromkeys(name for name in named if name is not None))


_BLANKS = re.compile(r"\s+")


def draft(record: Any, place: Place, columns: Options, source: str, split: Split) -> Draft:
    """Make a draft of one row."""
    if any(str(value_at(record, name)) not in values for name, values in columns.only.items()):
        raise Elsewhere
    if columns.split_column is not None:
        value = str(value_at(record, columns.split_column))
        if value not in columns.splits:
            raise Rejected("unknown split", f"{value!a:.60}; expected {', '.join(columns.splits)}")
        if columns.splits[value] != split:
            raise Elsewhere
    group = present(record, columns.group)
    context = present(record, columns.context)
    question = value_at(record, columns.question)
    if columns.rejected is not None:
        question = _turn(question, "user", columns.question)
    if columns.carve is not None and _carved(columns.carve, group, context, question) != split:
        raise Elsewhere
    for name in columns.must_be_empty:
        if present(record, name) not in (None, [], {}):
            raise Rejected("not for readers of text", f"{name} holds {value_at(record, name)!a:.80}")
    task = columns.task
    if columns.task_column is not None:
        value = str(value_at(record, columns.task_column))
        if value not in columns.tasks:
            raise Rejected("unknown type", f"{value!a:.60}; expected {', '.join(columns.tasks)}")
        task = columns.tasks[value]
    rejected = None
    if columns.rejected is None:
        answer = _answer(record, columns)
        labels, options = ([], ()) if task == "oeq" else _options(record, columns, answer)
    else:
        task, labels, options = "preference", [], ()
        answer = _turn(value_at(record, str(columns.answer)), "assistant", str(columns.answer))
        rejected = _turn(value_at(record, columns.rejected), "assistant", columns.rejected)
    if columns.question_pattern is not None:
        question = _group_of(columns.question_pattern, question, "question")["text"]
    second: tuple[Any, AnswerForm] | None = None
    if columns.answer_text is not None:
        second = present(record, columns.answer_text), "text"
    if columns.answer_pattern is not None:
        found = _group_of(columns.answer_pattern, answer, "answer")
        answer = found["text"] if "label" not in found else found["label"]
        second = (found["text"], "text") if "label" in found else second
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


def _turn(value: Any, role: str, column: str) -> Any:
    """Return the text of a turn where a field holds a chat of one question and at most one answer, else the field."""
    if isinstance(value, str) and value[:2] == "[{":
        value = _literal(value)
    if not isinstance(value, list):
        return value
    turns = [(one.get("role"), one.get("content")) for one in value if isinstance(one, dict)]
    if len(turns) < len(value) or [name for name, _ in turns] not in (["user"], ["assistant"], ["user", "assistant"]):
        roles = ", ".join(str(name) for name, _ in turns)
        raise Rejected("not one question and one answer", f"{column}: turns of {roles or 'nobody'}")
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


def _group_of(pattern: str, value: Any, what: str) -> dict[str, str]:
    found = re.search(pattern, value, re.DOTALL) if isinstance(value, str) else None
    if found is None:
        reason = "unreadable question" if what == "question" else "unreadable answer"
        raise Rejected(reason, f"{value!a:.80} does not fit {what}_pattern")
    return found.groupdict() or {"text": found.group(1)}


def _options(record: Any, columns: Options, answer: Any) -> tuple[list[str], Any]:
    """Return the labels of the options, none where they have no own ones, and the options."""
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
        if any(isinstance(one, list) for one in value.values()):
            raise Rejected("unreadable options", f"{columns.options}: a map of lists; name one of them by its path")
        return in_order_of_labels({str(label): text for label, text in value.items()})
    if isinstance(value, str):
        return [], value
    if not isinstance(value, list):
        raise Rejected("unreadable options", f"{columns.options}: {type(value).__name__}; expected a list")
    if any(isinstance(one, dict) for one in value):
        raise Rejected(
            "unreadable options", f"{columns.options}: a list of maps; name a field: {columns.options}.*.text"
        )
    return _told_labels(record, columns, len(value)), value


def _told_labels(record: Any, columns: Options, count: int) -> list[str]:
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
        return _told_labels(record, columns, count), options[:count]
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


def _carved(carve: Carve, group: Any, context: Any, question: Any) -> Split:
    """Return the split of a record: by a seeded hash of its group, so that no other record changes it."""
    kind, value = next(
        ((kind, value) for kind, value in (("group", group), ("context", context)) if value is not None),
        ("question", question),
    )
    key = _BLANKS.sub(" ", str(value)).strip().casefold()
    digest = hashlib.blake2b(f"{carve.seed}\x1f{kind}\x1f{key}".encode("utf-8", "surrogatepass"), digest_size=8)
    share = int.from_bytes(digest.digest(), "big") / 2**64
    if share < carve.test:
        return "test"
    return "validation" if share < carve.test + carve.validation else "train"


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
    """Yield the records of the files, read as told or found."""
    columns = shards.options_of(spec, Options)
    named = columns.named_columns()
    wanted = [] if columns.records is not None else [name for name in named if is_plain(name)]
    found: dict[str, set[str]] = {name: set() for name in columns.only}
    for file, path in files.items():
        for batch in with_absent_columns(read_rows({file: path}, columns.form(), wanted), named):
            for record in batch.values() if found else ():
                for name, values in found.items():
                    values.add(str(_or_nothing(record, name)))
            yield batch
    for name, wanted_values in columns.only.items():
        if absent := [value for value in wanted_values if value not in found[name]]:
            known = ", ".join(sorted(found[name])[:12])
            raise InputError(
                f"sources.{spec.source}.options.only.{name} = '{absent[0]}': no record has this value; found {known}"
            )


def _or_nothing(record: Any, name: str) -> Any:
    try:
        return value_at(record, name)
    except (KeyError, TypeError, AttributeError, IndexError):
        return None


def main(argv: list[str]) -> None:
    """Write a shard from rows with configured columns."""
    shards.main(argv, "posologie.sources.columns", reader, rows)


if __name__ == "__main__":
    run(main)
