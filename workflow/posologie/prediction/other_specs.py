"""What predictions depend on that no single trained model makes: of endpoints, of files, of merged models."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from posologie.backends.spec import Engine, OpenaiEndpoint, Running
from posologie.prediction.spec import PredictionSpec, Questions
from posologie.records.specs import Name, Spec


class Asked(Spec):
    """How a served model is asked."""

    backend: Annotated[OpenaiEndpoint | Engine, Field(discriminator="kind")] = Field(
        description="the endpoint and the model's name there, or the engine that a job starts"
    )
    temperature: float | None = Field(
        default=0.0, ge=0, le=2, description="0 is greedy; null sends none (reasoning models refuse one)"
    )
    choice_new_tokens: int | None = Field(
        default=None,
        ge=1,
        description="tokens of an answer to a question with options, hidden reasoning included; if left out, the"
        " suite's limit, as for a local model",
    )

    @field_validator("backend", mode="before")
    @classmethod
    def _endpoint_if_not_said(cls, value: Any) -> Any:
        return {"kind": "openai_endpoint", **value} if isinstance(value, dict) else value


class Served(Asked):
    """A model behind an endpoint, or behind an engine that a job starts."""

    running: Running = Field(default=Running(), description="how requests are sent: changes no reply")


class EndpointPredictionSpec(Questions, Asked):
    """Exactly what the predictions of a served model depend on, beside its input files."""


class Layout(Spec):
    """What a file of answers looks like, and where its fields are."""

    form: Literal["table", "lm_eval", "inspect"] = Field(
        default="table",
        description="a CSV, TSV, XLSX, JSON or JSONL table with one answer a row; samples of lm-evaluation-harness"
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


Weight = Annotated[float, Field(gt=0)]


class MergedModels(Spec):
    """Which mixes get a merged model: single-component models, merged on effective weights in the mix's shares."""

    of_mixes: bool = Field(
        default=True,
        description="one for each trained mix of two or more components: these show how well merged models predict",
    )
    lattice: int | None = Field(
        default=None, ge=2, le=20, description="one for each mix whose shares are multiples of 1/lattice"
    )
    mixes: dict[Name, dict[Name, Weight]] = Field(
        default_factory=dict, description="further ones by name: relative weight of each component"
    )
    models: dict[Name, Name] = Field(
        default_factory=dict,
        description="component → the mix of that component alone whose models are merged; needed if there are several",
    )
    rank: int | None = Field(
        default=None, ge=1, description="approximate each matrix's change by one of this rank; exact if left out"
    )

    @model_validator(mode="after")
    def _any(self) -> Self:
        if not (self.of_mixes or self.lattice or self.mixes):
            raise ValueError("of_mixes, lattice or mixes: which models to merge")
        return self


class Proxies(Spec):
    """Cheap stand-ins for models that are not trained; they are shown beside the trained ones and enter no test."""

    merged: MergedModels | None = Field(default=None, description="merged single-component models")


class MergedPredictionSpec(PredictionSpec):
    """Exactly what the predictions of a merged model depend on, beside its input files."""

    shares: dict[Name, Weight] = Field(min_length=1, description="mix → share of its model; they sum to 1")
    rank: int | None = None
