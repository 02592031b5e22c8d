"""What predictions that come as files depend on."""

from typing import Literal, Self

from pydantic import Field, model_validator

from posologie.prediction.spec import Questions
from posologie.specs import Spec


class Layout(Spec):
    """What a file of answers looks like, and where its fields are."""

    form: Literal["table", "lm_eval", "inspect"] = Field(
        default="table",
        description="a CSV, TSV, XLSX, JSON or JSONL table with one answer a row; lm-evaluation-harness's samples"
        " (`--log_samples`); or an Inspect log as JSON",
    )
    item: str | None = Field(
        default=None,
        description="where the item's id is: a column, or a path with points such as `doc.id`; by the form if left out",
    )
    question: str | None = Field(
        default=None, description="where the question's text is, for files that do not know the ids; used in place of"
        " them",
    )  # fmt: skip
    answer: str = Field(default="answer", description="column of the answer in a table")
    variant: str | None = Field(
        default=None, description="where the option order is named (`original`, `permuted-1`); all original if left out"
    )

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.item is not None and self.question is not None:
            raise ValueError("one of item and question: answers are matched by one of them")
        return self


class OutsideAnswers(Layout):
    """A model's answers from outside, as files."""

    files: tuple[str, ...] = Field(
        min_length=1, exclude=True, description="files that together hold an answer to every item of the suites"
    )


class OutsidePredictionSpec(Questions, Layout):
    """Exactly what predictions from outside depend on, beside the files of answers and items."""
