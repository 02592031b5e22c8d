"""What a predictions file depends on."""

from typing import Literal

from pydantic import Field, field_validator

from posologie.items import Task
from posologie.models.spec import ChatForm
from posologie.prompting import Prompting
from posologie.specs import Name, Spec

LongPrompts = Literal["refuse", "cut"]
"""What becomes of an item whose prompt is longer than the model's positions: a refusal, or a shorter context."""


class Benchmark(Spec):
    """A part of a source's split that is reported by itself."""

    source: Name = Field(description="the source whose items are asked")
    split: Literal["test", "validation"] = Field(default="test", description="the split they come from")
    tasks: tuple[Task, ...] = Field(default=("mcqu", "mcq"), description="tasks of the items")
    origins: tuple[str, ...] | None = Field(
        default=None, description="keep only items whose meta.origin is one of these"
    )
    limit: int | None = Field(
        default=None, ge=1, description="keep the items with the smallest seeded hash of their id"
    )

    @field_validator("tasks")
    @classmethod
    def _asked(cls, value: tuple[Task, ...]) -> tuple[Task, ...]:
        if "preference" in value:
            raise ValueError("mcqu, mcq or oeq: preference pairs are trained on and have no right answer to test")
        return value


class Suite(Spec):
    """A named group of benchmarks, with all variants of their items."""

    benchmarks: dict[Name, Benchmark] = Field(description="parts that are also reported by themselves")
    permutations: int = Field(
        default=0, ge=0, le=100, description="further runs, each with its own order of the options"
    )
    max_new_tokens: int = Field(default=512, ge=1, description="tokens of an answer to an open question, at most")
    mcqu_new_tokens: int = Field(
        default=1,
        ge=1,
        description="tokens of a greedy answer to a single-answer question, of local and served models alike; 1 is the "
        "published study's, and too few for a model that opens its answer with a bracket or a sentence. An answer of a "
        "local model that ends on a bare label by then gets one more, which tells `D` from `D'après`",
    )
    protocol: Literal["automaton", "published"] = Field(
        default="automaton",
        description="how answers are constrained and read: by the label automaton and the parser, or by the published "
        "study's masks and rules, for comparison",
    )


class Questions(Spec):
    """What is asked, whoever answers."""

    model: str = Field(description="`{backbone}/base`, `{backbone}/{mix}/seed-{seed}`, or a published model")
    suites: dict[Name, Suite] = Field(description="the suites that one job answers, so that it loads the model once")
    prompting: Prompting
    seed: int = Field(description="seed of the option orders")
    chat: ChatForm = ChatForm()
    answer_words: str = Field(default="", description="digest of the words by which answers are read")


class PredictionSpec(Questions):
    """Exactly what the predictions of one model on one bundle of suites depend on, beside its input files."""

    precision: Literal["bfloat16", "float32"] = "bfloat16"
    long_prompts: LongPrompts = "refuse"
