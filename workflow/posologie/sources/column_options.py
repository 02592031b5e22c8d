"""What a study says of the columns of its own files: which holds what, and how its values are meant."""

import hashlib
import re
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from posologie.records.items import Split, Task
from posologie.records.specs import Spec
from posologie.sources.answers import AnswerForm
from posologie.sources.options import CHOICES_LINE
from posologie.sources.spec import FileForm

_BLANKS = re.compile(r"\s+")


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

    def split_of(self, group: Any, context: Any, question: Any) -> Split:
        """Return the split of a record by a seeded hash of its group, so other records do not change it."""
        kind, value = next(
            ((kind, value) for kind, value in (("group", group), ("context", context)) if value is not None),
            ("question", question),
        )
        key = _BLANKS.sub(" ", str(value)).strip().casefold()
        digest = hashlib.blake2b(f"{self.seed}\x1f{kind}\x1f{key}".encode("utf-8", "surrogatepass"), digest_size=8)
        share = int.from_bytes(digest.digest(), "big") / 2**64
        if share < self.test:
            return "test"
        return "validation" if share < self.test + self.validation else "train"


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
        default=(), description="values of the answer that stand for no right answer, such as -1"
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
            raise ValueError("option_labels only with options in a list or in columns of their own")
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
