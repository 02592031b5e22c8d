"""What a predictions file depends on, and its table: one row per item and variant."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from posologie.models.spec import ChatForm
from posologie.records.items import Task
from posologie.records.prompting import Prompting
from posologie.records.specs import Name, Spec

if TYPE_CHECKING:
    import pyarrow

LongPrompts = Literal["refuse", "cut"]
"""What becomes of an item whose prompt is longer than the model's positions: a refusal, or a shorter context."""


class Benchmark(Spec):
    """A part of a source's split that is reported separately."""

    source: Name = Field(description="the source whose items are asked")
    split: Literal["test", "validation"] = Field(default="test", description="the split they come from")
    tasks: tuple[Task, ...] = Field(default=("mcqu", "mcq"), description="tasks of the items")
    origins: tuple[str, ...] | None = Field(
        default=None, description="keep only items whose meta.origin is one of these"
    )
    limit: int | None = Field(
        default=None, ge=1, description="keep this many items, those with the smallest seeded hash of their id"
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
    max_new_tokens: int = Field(default=512, ge=1, description="most tokens of an answer to an open question")
    mcqu_new_tokens: int = Field(
        default=1,
        ge=1,
        description="tokens of a greedy answer to a single-answer question, for local and served models alike; 1 is "
        "the published study's, and too few for a model that opens its answer with a bracket or a sentence. An"
        " answer of a local model that ends on a bare label by then gets one more, which distinguishes `D` from"
        " `D'après`",
    )
    protocol: Literal["automaton", "published"] = Field(
        default="automaton",
        description="how answers are constrained and read: by the label automaton and the parser, or by the published "
        "study's masks and rules, for comparison",
    )


class Questions(Spec):
    """What is asked, independent of the model that answers."""

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


def prediction_schema() -> "pyarrow.Schema":
    """Return the schema of `predictions/{model}/{suite}.parquet`.

    Labels are displayed positions (0 is A), ascending. `option_order[p]` is the index into the item's options of what
    is displayed at position p; `gold` are displayed positions too, so that the gold follows the options (the gold that
    does not follow them is `sorted(option_order[p] for p in gold)`). Rows are ordered by benchmark, item and variant.
    For open questions the choice columns are empty lists or null.
    """
    import pyarrow as pa

    labels = pa.list_(pa.int32())
    return pa.schema(
        [
            pa.field("item", pa.string(), nullable=False),
            pa.field("benchmark", pa.string(), nullable=False),
            pa.field("variant", pa.string(), nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("provenance", pa.string(), nullable=False),
            pa.field("task", pa.string(), nullable=False),
            pa.field("group", pa.string(), nullable=False),
            pa.field("option_order", labels, nullable=False),
            pa.field("gold", labels, nullable=False),
            pa.field("position_dependent", pa.bool_()),  # an item whose options are never permuted
            pa.field("greedy_text", pa.string(), nullable=False),  # the answer, without thoughts
            pa.field("thoughts", pa.string()),  # null where the model wrote none
            pa.field("greedy_outcome", pa.string()),  # labels | none | ambiguous; null for open questions
            pa.field("greedy_labels", labels),  # null unless the outcome is "labels"
            pa.field("constrained_labels", labels),  # null for open questions, or where it could not be asked for
            # automaton | published masks | first_token | grammar | json_schema | likelihoods | text; null as the labels
            pa.field("constrained_by", pa.string()),
            pa.field("label_probabilities", pa.list_(pa.float32())),  # at the first step, over the labels; sums to 1
            pa.field("label_mass", pa.float32()),  # probability of all labels together under the full vocabulary
            pa.field("prompt_tokens", pa.int32(), nullable=False),
            pa.field("generated_tokens", pa.int32(), nullable=False),  # of the greedy text
            pa.field("thought_tokens", pa.int32()),  # of the thoughts; 0 where they are not counted
            pa.field("finish", pa.string(), nullable=False),  # stop | length | filtered (withheld by an endpoint)
        ]
    )
