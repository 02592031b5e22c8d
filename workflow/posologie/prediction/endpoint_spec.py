"""What predictions of a model behind an endpoint depend on."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from posologie.generation.backends.spec import Engine, OpenaiEndpoint, Running
from posologie.prediction.spec import Questions
from posologie.specs import Spec


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
        description="tokens of an answer to a question with options, hidden reasoning included; if left out, the budget"
        " of the suite, as for a local model",
    )

    @field_validator("backend", mode="before")
    @classmethod
    def _endpoint_if_not_said(cls, value: Any) -> Any:
        return {"kind": "openai_endpoint", **value} if isinstance(value, dict) else value


class Served(Asked):
    """A model behind an endpoint, or behind an engine that a job starts."""

    running: Running = Field(default=Running(), description="how the endpoint is asked: changes no reply")


class EndpointPredictionSpec(Questions, Asked):
    """Exactly what the predictions of a served model depend on, beside its input files."""
