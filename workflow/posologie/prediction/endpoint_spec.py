"""What predictions of a model behind an endpoint depend on."""

from pydantic import Field

from posologie.generation.backends.spec import OpenaiEndpoint, Running
from posologie.prediction.spec import Questions
from posologie.specs import Spec


class Asked(Spec):
    """How a served model is asked."""

    backend: OpenaiEndpoint = Field(description="the endpoint and the model's name there")
    temperature: float | None = Field(
        default=0.0, ge=0, le=2, description="0 is greedy; null sends none (reasoning models refuse one)"
    )
    choice_new_tokens: int | None = Field(
        default=None,
        ge=1,
        description="tokens of an answer to a question with options, hidden reasoning included; if left out, the budget"
        " of the suite, as for a local model",
    )


class Served(Asked):
    """A model behind an endpoint."""

    running: Running = Field(default=Running(), description="how the endpoint is asked: changes no reply")


class EndpointPredictionSpec(Questions, Asked):
    """Exactly what the predictions of a served model depend on, beside its input files."""
