"""What a screened shard depends on."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from posologie.items import Split, Task
from posologie.specs import Name, Spec


class Tested(Spec):
    """Items of a source's split that a suite tests on."""

    source: Name
    split: Split = "test"
    tasks: tuple[Task, ...]
    origins: tuple[str, ...] | None = Field(default=None, description="only items whose meta.origin is one of these")


def _tested(suite: Any) -> Any:
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


TestedSuite = Annotated[tuple[Tested, ...], BeforeValidator(_tested)]


class Comparing(Spec):
    """What makes two items alike."""

    similarity: float | None = Field(
        default=0.7,
        ge=0.3,
        le=1,
        description="Jaccard similarity from which items are near-duplicates; null: exact ones only",
    )
    shingle: int = Field(default=5, ge=2, le=20, description="characters of the shingles whose sets are compared")


class Quality(Spec):
    """Training items that a judge rates too low."""

    judge: Name = Field(description="the judge whose ratings `quality/{judge}/{source}.parquet` are used")
    threshold: float = Field(description="items with a score below it are flagged, or removed in mode remove")
    sources: tuple[Name, ...] | None = Field(default=None, description="sources that are rated; all if left out")


class Screening(Comparing):
    """How training and validation items are screened."""

    mode: Literal["off", "report", "remove"] = Field(
        default="report", description="off: every item passes unseen; report: matches are listed; remove: and removed"
    )
    against: tuple[Name, ...] = Field(default=(), description="suites whose items must not be trained on")
    scope: tuple[Literal["within", "across"], ...] = Field(
        default=("within", "across"),
        description="duplicates inside a source, and of sources listed before it (the earlier source wins)",
    )
    quality: Quality | None = Field(default=None, description="an optional screen of training items by a judge")


class ScreeningSpec(Spec):
    """Exactly what the screened shards of one source and split depend on, beside their input files."""

    source: Name
    split: Split
    screening: Screening
    suites: dict[Name, TestedSuite]

    def rated(self) -> Quality | None:
        """Return the quality screen, where it applies to this shard: training items of the sources that it names."""
        quality = self.screening.quality
        applies = quality is not None and self.split == "train" and self.source in (quality.sources or (self.source,))
        return quality if applies else None


class MatrixSpec(Spec):
    """Which screened shards the table of screening gathers."""

    screened: dict[Name, tuple[Split, ...]] = Field(description="source → splits, in the order of the study")


class LeakageSpec(Comparing):
    """Exactly what the leakage audit of one mix and suite depends on, beside its input files."""

    mix: Name
    suite: Name
    tested: TestedSuite


class TopicsSpec(Spec):
    """Exactly what the table of topic mismatch depends on, beside its input files."""

    suites: dict[Name, TestedSuite]
    tasks: tuple[Task, ...] = Field(default=("mcqu", "mcq"), description="tasks of the training items")
    sample: int = Field(default=20_000, ge=1, description="items taken of each source and suite, at most about")
    replicates: int = Field(default=100, ge=20, description="bootstrap draws, and permutations")
    seed: int = 42
