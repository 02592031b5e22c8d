"""What a file of judgements depends on."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from posologie.backends.spec import Causal, Decoding, Engine, OpenaiEndpoint, Running
from posologie.records.specs import Name, PathText, Spec


class OutsideVerdicts(Spec):
    """Verdicts that a judge gave elsewhere, as tables with one verdict per row (CSV, TSV, XLSX, JSON or JSONL)."""

    kind: Literal["outside"] = Field(default="outside", description="this kind of backend")
    files: tuple[PathText, ...] = Field(
        default=(),
        exclude=True,
        json_schema_extra={"minItems": 1},
        description="files that together hold a verdict on every answer; required",
    )
    model: str = Field(default="model", description="column of the model that wrote the answer")
    item: str = Field(default="item", description="column of the item's id, or of a rated answer's")
    verdict: str = Field(default="verdict", description="column of what the judge said, read by the judge's `verdict`")
    probability: str | None = Field(default=None, description="column of the probability of `1`, where there is one")


JudgeBackend = Annotated[Causal | OpenaiEndpoint | Engine | OutsideVerdicts, Field(discriminator="kind")]
"""A backend that judges; `kind` is also the name of the module in `posologie.judging`."""


class Judge(Spec):
    """A judge of open answers: its model, its prompt, and how its verdict is read."""

    backend: JudgeBackend = Field(description="the model that judges, or the files of its verdicts")
    prompt: PathText = Field(
        default="resources/prompts/fr/judging/equivalence.md",
        exclude=True,
        description="prompt file with places for {question}, {reference} and {candidate}",
    )
    decoding: Decoding = Field(default=Decoding(max_new_tokens=8), description="how its reply is drawn")
    labels: tuple[str, str] = Field(
        default=("0", "1"),
        description="the prompt's labels for not equivalent and equivalent; each is one token of the model",
    )
    verdict: str = Field(
        default=r"^\W*([01])(?![0-9.,%])",
        description="regular expression whose one group is one of the labels; its last match in the reply counts",
    )
    probability_at: Literal["first_token", "verdict"] = Field(
        default="first_token",
        description="where the labels' probabilities are read: at the first token, or where a reasoning judge gives its"
        " verdict",
    )
    trained_on: tuple[PathText, ...] = Field(
        default=(),
        exclude=True,
        description="files the judge was trained on, or folders of them (JSON, JSONL, CSV, TSV, XLSX, Parquet, text;"
        " also .gz); rated items that occur in them are left out",
    )
    running: Running = Field(default=Running(), exclude=True, description="how the backend is run; changes no verdict")

    @model_validator(mode="after")
    def _one_group(self) -> Self:
        try:
            groups = re.compile(self.verdict).groups
        except re.error as error:
            raise ValueError(f"a regular expression in verdict ({error})") from error
        if groups != 1:
            raise ValueError(f"one group in verdict, not {groups}")
        return self


class JudgingSpec(Spec):
    """Exactly what one judge's verdicts on a model's answers to a suite depend on, beside the input files."""

    name: Name = Field(description="the judge's name")
    model: str = Field(description="the model whose answers are judged")
    suite: Name
    judge: Judge


class SuitesJudgingSpec(Spec):
    """Exactly what one judge's verdicts on a model's answers to several suites depend on, beside the input files."""

    name: Name = Field(description="the judge's name")
    model: str = Field(description="the model whose answers are judged")
    suites: tuple[Name, ...]
    judge: Judge

    def of(self, suite: str) -> JudgingSpec:
        """Return what the verdicts on the answers to one suite depend on."""
        return JudgingSpec(name=self.name, model=self.model, suite=suite, judge=self.judge)


class CalibrationSpec(Spec):
    """Exactly what one judge's verdicts on a set of human ratings depend on, beside the input files."""

    name: Name = Field(description="the judge's name")
    set: Name = Field(description="the name of the set of human ratings")
    judge: Judge


class RatingColumns(Spec):
    """What the columns of a ratings file are called: either `raters`, one column each, or `rater` and `rating`."""

    item: str | None = Field(default="item", description="the question's id; null makes it from the texts")
    question: str = Field(default="question", description="the question's text")
    context: str | None = Field(default=None, description="the question's context, where there is one")
    reference: str = Field(default="reference", description="the reference answer")
    candidate: str = Field(default="candidate", description="the answer that was rated")
    generator: str | None = Field(default=None, description="the model that wrote the candidate, where known")
    group: str | None = Field(default=None, description="what questions on one case share; the item if left out")
    weight: str | None = Field(
        default=None,
        description="how many answers of its model a rated one stands for, if they were not drawn with equal"
        " probability",
    )
    raters: tuple[str, ...] = Field(default=(), description="one column of ratings per rater, named after the rater")
    rater: str | None = Field(default=None, description="column that names the rater, in a file of one rating per row")
    rating: str | None = Field(default=None, description="column of the rating, in a file of one rating per row")

    @model_validator(mode="after")
    def _wide_or_long(self) -> Self:
        if bool(self.raters) == (self.rater is not None) or (self.rater is None) != (self.rating is None):
            raise ValueError("either raters, or rater and rating together")
        return self


class Scale(Spec):
    """The possible values of a rating."""

    kind: Literal["binary", "ordinal"] = Field(default="binary", description="two values, or several in order")
    values: dict[str, float] = Field(
        default={"0": 0, "1": 1},
        description="number of each rating as it is written in the file, such as {oui: 1, non: 0}",
    )

    @model_validator(mode="after")
    def _numbers_of_its_kind(self) -> Self:
        numbers = set(self.values.values())
        if self.kind == "binary" and not numbers <= {0.0, 1.0}:
            raise ValueError("numbers 0 and 1 in the values of a binary scale")
        if len(numbers) < 2:
            raise ValueError("at least two different numbers in values")
        return self


class Ratings(Spec):
    """Human ratings of answers: where they are, and how they are read.

    With `kit`, the files are filled-in sheets of a rating kit, one per rater, and columns are known.
    """

    files: dict[Name, PathText] = Field(
        min_length=1, description="CSV, XLSX, JSON or JSONL files; of a kit, the sheet of each rater"
    )
    columns: RatingColumns | None = Field(default=None, description="columns of the files; none for a kit's sheets")
    columns_of: dict[Name, RatingColumns] = Field(
        default_factory=dict, description="columns of single files that have others, by the file's name in `files`"
    )
    kit: Name | None = Field(default=None, description="the rating kit whose sheets the files are")
    sheet: str | None = Field(default=None, description="name of the sheet in an XLSX file; the first if left out")
    scale: Scale = Field(default=Scale(), description="the values of the ratings")
    threshold: float | None = Field(
        default=None,
        exclude=True,
        description="lowest mean rating of an answer that counts as right; if left out, 0.5 on a binary scale,"
        " and on an ordinal one nothing is right or wrong",
    )

    @model_validator(mode="after")
    def _columns_or_kit(self) -> Self:
        if strange := sorted(self.columns_of.keys() - self.files.keys()):
            raise ValueError(f"names of files in columns_of, not {strange[0]}")
        has_columns = self.columns is not None or bool(self.columns_of)
        if has_columns == (self.kit is not None):
            raise ValueError("either columns or kit")
        if (
            self.kit is None
            and self.columns is None
            and (without := sorted(self.files.keys() - self.columns_of.keys()))
        ):
            raise ValueError(f"columns, or columns_of the file {without[0]} too")
        return self

    @model_validator(mode="after")
    def _threshold_in_scale(self) -> Self:
        numbers = self.scale.values.values()
        if self.threshold is not None and not min(numbers) < self.threshold <= max(numbers):
            raise ValueError(f"a threshold above {min(numbers):g} and at most {max(numbers):g}, as in scale.values")
        return self

    def right_from(self) -> float | None:
        """Return the mean rating from which an answer counts as right; None where nothing is right or wrong."""
        return 0.5 if self.threshold is None and self.scale.kind == "binary" else self.threshold


class RatingsSpec(Spec):
    """Exactly what one set of human ratings depends on, beside its files."""

    set: Name
    ratings: Ratings


class Kit(Spec):
    """A blinded, shuffled sheet for raters, made from predictions.

    Either whole questions, each with every model's answer, or with `judge` and `answers` single answers.
    """

    models: tuple[str, ...] = Field(min_length=1, description="models whose answers are rated")
    suite: Name = Field(description="suite whose open questions are rated")
    questions: int = Field(default=100, ge=1, description="questions; each is shown with the answer of every model")
    judge: Name | None = Field(
        default=None,
        description="draw single answers by this judge's verdicts, more where it is unsure; it judges"
        " every answer of the kit's models",
    )
    answers: int | None = Field(
        default=None, ge=10, description="answers that are drawn with `judge`, in place of `questions`"
    )
    raters: tuple[Name, ...] = Field(min_length=1, description="names of the raters, one sheet each")
    seed: int = Field(default=42, description="seed of the draw and of the shuffling")

    @model_validator(mode="after")
    def _judge_and_answers(self) -> Self:
        if (self.judge is None) != (self.answers is None):
            raise ValueError("judge and answers together")
        if self.answers is not None and self.answers < 10 * len(self.models):
            raise ValueError(f"at least {10 * len(self.models)} answers, ten of each model")
        return self


class KitSpec(Spec):
    """Exactly what a rating kit depends on, beside predictions and shards."""

    name: Name
    kit: Kit
