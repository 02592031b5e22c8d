"""What a screened shard depends on."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from posologie.backends.spec import ChatBackend, Decoding
from posologie.models.spec import EncoderOrigin
from posologie.records.items import Split, Task
from posologie.records.specs import Name, PathText, Spec
from posologie.running.errors import InputError


class Tested(Spec):
    """Items of a source's split that a suite tests on."""

    source: Name
    split: Split = "test"
    tasks: tuple[Task, ...]
    origins: tuple[str, ...] | None = Field(default=None, description="only items whose meta.origin is one of these")


def tested_parts(suite: Any) -> Any:
    """Narrow a suite to the items that it may test on.

    Its limit, its permutations and its decoding change no screened shard: all items of a benchmark are screened
    against, also those beyond its limit.
    """
    benchmarks = getattr(suite, "benchmarks", None)
    if benchmarks is None:
        return suite
    return tuple(
        Tested(source=part.source, split=part.split, tasks=part.tasks, origins=part.origins)
        for _, part in sorted(benchmarks.items())
    )


TestedSuite = Annotated[tuple[Tested, ...], BeforeValidator(tested_parts)]


class SentenceEncoder(EncoderOrigin):
    """A multilingual sentence encoder, which finds a tested question in languages that share no stems with the tests'.

    Exactly one of `package`, `folder` and `hub` is given.
    """

    pooling: Literal["mean", "first"] = Field(
        default="mean", description="a text's vector: the mean of its tokens' vectors, or that of the first token"
    )
    prefix: str = Field(
        default="", description="put before every text, if the encoder was trained that way, such as `query: `"
    )
    similarity: float = Field(
        default=0.6,
        gt=0,
        le=1,
        description="lowest cosine of two questions, each less the mean of its language, at which their options and "
        "answers are compared",
    )


class Comparing(Spec):
    """What makes two items alike."""

    similarity: float | None = Field(
        default=0.7,
        ge=0.3,
        le=1,
        description="lowest Jaccard similarity of near-duplicates; null: exact ones only",
    )
    shingle: int = Field(default=5, ge=2, le=20, description="characters of the shingles whose sets are compared")
    same_options: bool = Field(
        default=True,
        description="an item repeats a tested one that has the same options and right answer, however it is worded",
    )
    containment: int | None = Field(
        default=13,
        ge=5,
        le=50,
        description="words of the n-grams by which a training text quotes a tested question; null: no such search",
    )
    containment_share: float = Field(
        default=0.5, gt=0, le=1, description="lowest share of a tested question's words that counts as a quotation"
    )
    lineage: bool = Field(
        default=True,
        description="items that were translated or generated from one item are twins, by `meta.translated_from` and "
        "`meta.lineage`",
    )
    across_languages: Literal["off", "ngrams"] = Field(
        default="ngrams",
        description="how tested questions are searched for in other languages: by character n-grams and "
        "options, or not at all",
    )
    encoder: SentenceEncoder | None = Field(
        default=None, description="a sentence encoder that searches for tested questions in other languages as well"
    )


class Rating(Spec):
    """How a judge is asked to score an item."""

    prompt: PathText = Field(
        default="resources/prompts/fr/quality/item.md",
        exclude=True,
        description="prompt file with places for {question}, {options} and {answer}",
    )
    decoding: Decoding = Field(default=Decoding(max_new_tokens=8), description="how its reply is drawn")
    score: str = Field(
        default=r"^\W*([1-5])(?![0-9%]|[.,][0-9])",
        description="regular expression whose one group is the score, a number; its last match in the reply counts",
    )

    @model_validator(mode="after")
    def _one_group(self) -> Self:
        try:
            groups = re.compile(self.score).groups
        except re.error as error:
            raise ValueError(f"a regular expression in score ({error})") from error
        if groups != 1:
            raise ValueError(f"one group in score, not {groups}")
        return self

    def score_in(self, reply: str) -> float | None:
        """Return the score in a judge's reply, or None if it holds none.

        Raises:
            InputError: if what the expression finds is no number.
        """
        scores = [match.group(1) for match in re.finditer(self.score, reply)]
        if not scores:
            return None
        try:
            return float(scores[-1].replace(",", "."))
        except ValueError:
            raise InputError(f"score = '{self.score}': its group matched '{scores[-1]}'; expected a number") from None


class Quality(Spec):
    """Training items that a judge rates too low."""

    judge: Name = Field(description="the judge, whose backend rates: `quality/{judge}/{source}.parquet`")
    threshold: float = Field(description="items with a score below it are flagged, or removed in mode remove")
    sources: tuple[Name, ...] | None = Field(default=None, description="sources that are rated; all if left out")
    tasks: tuple[Task, ...] = Field(
        default=("mcqu", "mcq"), min_length=1, description="tasks of the items that are rated; others stay"
    )
    rating: Rating = Field(default=Rating(), exclude=True, description="how the judge is asked")


class RatingSpec(Spec):
    """Exactly what a judge's ratings of the training items of a source depend on, beside the shard and the prompt."""

    judge: Name
    source: Name
    tasks: tuple[Task, ...]
    backend: ChatBackend
    rating: Rating = Rating()


class Screening(Comparing):
    """How training and validation items are screened."""

    mode: Literal["off", "report", "remove"] = Field(
        default="report",
        description="off: nothing is screened; report: matches are listed; remove: they are also removed",
    )
    against: tuple[Name, ...] = Field(default=(), description="suites whose items must not be trained on")
    scope: tuple[Literal["within", "across"], ...] = Field(
        default=("within", "across"),
        description="duplicates inside a source, and of sources listed before it (the earlier source wins)",
    )
    same_answer: bool = Field(
        default=True, description="training items with different right answers are not duplicates of each other"
    )
    same_facts: bool = Field(
        default=True,
        description="training items that differ in a number, negation, exception or polarity are not duplicates "
        "of each other",
    )
    quality: Quality | None = Field(default=None, description="an optional screen of training items by a judge")


class ScreeningSpec(Spec):
    """Exactly what the screened shards of one source and split depend on, beside their input files."""

    source: Name
    split: Split
    screening: Screening
    suites: dict[Name, TestedSuite]
    encoder_version: str | None = Field(default=None, description="installed version of `screening.encoder.package`")
    languages: dict[Name, str] = Field(default_factory=dict, description="declared language of each source compared")

    def rated(self) -> Quality | None:
        """Return the quality screen, where it applies to this shard: training items of the sources that it names."""
        quality = self.screening.quality
        applies = quality is not None and self.split == "train" and self.source in (quality.sources or (self.source,))
        return quality if applies else None


class DocumentsSpec(Spec):
    """Exactly what the screened documents of one collection depend on, beside their input files."""

    collection: Name
    mode: Literal["report", "remove"]
    containment: int
    containment_share: float
    suites: dict[Name, TestedSuite]


class MatrixSpec(Spec):
    """Which screened shards the table of screening gathers."""

    screened: dict[Name, tuple[Split, ...]] = Field(description="source → splits, in the order of the study")


class LeakageSpec(Comparing):
    """Exactly what the leakage audit of one mix and suite depends on, beside its input files."""

    mix: Name
    suite: Name
    tested: TestedSuite
    encoder_version: str | None = Field(default=None, description="installed version of `screening.encoder.package`")
    languages: dict[Name, str] = Field(default_factory=dict, description="declared language of each source compared")


class TopicsSpec(Spec):
    """Exactly what the table of topic mismatch depends on, beside its input files."""

    suites: dict[Name, TestedSuite]
    tasks: tuple[Task, ...] = Field(default=("mcqu", "mcq"), description="tasks of the training items")
    sample: int = Field(default=20_000, ge=1, description="items taken of each source and suite, at most about")
    replicates: int = Field(default=100, ge=20, description="bootstrap draws, and permutations")
    seed: int = 42
