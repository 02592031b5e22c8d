"""Options of the reader of configured columns."""

import re
from typing import Self

from pydantic import Field, field_validator, model_validator

from posologie.items import Split, Task
from posologie.sources.answers import AnswerForm
from posologie.sources.options import CHOICES_LINE
from posologie.specs import Spec


class Options(Spec):
    """Options of the reader: columns by name, and how their values are meant."""

    question: str = Field(description="column of the question")
    answer: str = Field(description="column of the right answer")
    context: str | None = Field(default=None, description="column of the clinical case or other context")
    options: str | tuple[str, ...] | None = Field(
        default=None, description="column that holds the options as a list, or the columns that hold one each"
    )
    option_separator: str | None = Field(
        default=None, min_length=1, description="what stands between the options, where they are one text"
    )
    options_in_question: bool = Field(default=False, description="whether the question's text holds the options")
    choices_line: str = Field(default=CHOICES_LINE, description="pattern of the line before options in the question")
    answer_form: AnswerForm = Field(
        default="any",
        description="how right answers are given: labels, index0, index1, text, or any of labels and text",
    )
    task: Task | None = Field(default=None, description="task of every record; follows from the options if left out")
    task_column: str | None = Field(default=None, description="column of the task, with `tasks`")
    tasks: dict[str, Task] = Field(default_factory=dict, description="value of the task column → task")
    split_column: str | None = Field(default=None, description="column of the split, where one file holds several")
    splits: dict[str, Split] = Field(default_factory=dict, description="value of the split column → split")
    id: str | None = Field(default=None, description="column of the record's own identifier")
    group: str | None = Field(default=None, description="column of what items of one case have in common")
    subject: str | None = Field(default=None, description="column of the subject")
    origin: str | None = Field(default=None, description="name of the origin; the name of the source if left out")
    meta: tuple[str, ...] = Field(default=(), description="further columns to keep")

    @field_validator("choices_line")
    @classmethod
    def _pattern(cls, value: str) -> str:
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
        return self
