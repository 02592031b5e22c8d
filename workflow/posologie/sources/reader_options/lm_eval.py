"""Options of the reader of tasks of lm-evaluation-harness."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from posologie.records.specs import Spec


class Options(Spec):
    """Templates of a task, as its file has them: jinja2, or the name of a column."""

    output_type: Literal["multiple_choice", "generate_until"] = Field(description="choice questions, or open ones")
    doc_to_text: str = Field(min_length=1, description="the question")
    doc_to_target: str | int | tuple[int, ...] = Field(
        description="the right answer: for choices an index, a label or a text"
    )
    doc_to_choice: str | tuple[str, ...] | dict[str, str] | None = Field(default=None, description="the choices")
    origin: str | None = Field(default=None, description="name of the data set")
    subject: str | None = Field(default=None, description="its configuration, such as a subject")

    @field_validator("doc_to_choice", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        return [str(one) for one in value] if isinstance(value, list) else value

    @model_validator(mode="after")
    def _choices(self) -> Self:
        if (self.doc_to_choice is None) == (self.output_type == "multiple_choice"):
            raise ValueError("doc_to_choice with multiple_choice, and only there")
        return self
