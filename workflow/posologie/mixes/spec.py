"""What a mix depends on."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from posologie.items import Provenance, Task
from posologie.specs import Name, Spec

Stratum = Literal["task", "source", "subject", "length"]
Share = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Mix(Spec):
    """How much of which provenance or source, and how many items in all.

    A share or count is given per provenance (all its sources in proportion to what they hold) or per source. A key that
    is the name of a provenance means the provenance.
    """

    shares: dict[Name, Share] | None = Field(default=None, description="relative weight of each provenance or source")
    counts: dict[Name, Count] | None = Field(default=None, description="number of items of each provenance or source")
    size: Count | Literal["smallest"] | None = Field(
        default=None,
        description="number of items, with shares; `smallest`: as many as the study's smallest provenance holds",
    )
    tasks: tuple[Task, ...] = Field(default=("mcqu", "mcq"), min_length=1, description="tasks of the items drawn")
    strata: tuple[Stratum, ...] = Field(
        default=(),
        description="what each source is stratified by: task; source (the record's origin, where a source bundles "
        "several data sets); subject; length (in bands)",
    )
    stratum_shares: Literal["as_held", "equal"] | dict[str, Share] = Field(
        default="as_held",
        description="weight of each stratum in each source: as the source holds them, equal, or a weight by stratum "
        "(values joined by `/` in the order of `strata`); a stratum that is not named is not drawn from",
    )
    length_bands: tuple[Count, ...] = Field(
        default=(300, 1000),
        description="upper bounds of all length bands but the last, in characters of question, context and options",
    )
    shortfall: Literal["fail", "redistribute"] = Field(
        default="fail",
        description="when a stratum holds too little: fail, or take more of the source's others and record it",
    )

    @model_validator(mode="after")
    def _shares_or_counts(self) -> Self:
        if (self.shares is None) == (self.counts is None):
            raise ValueError("either shares or counts")
        if (self.shares is None) != (self.size is None):
            raise ValueError("size together with shares, and only with shares")
        if not (self.shares or self.counts):
            raise ValueError("at least one provenance or source")
        if self.stratum_shares != "as_held" and not self.strata:
            raise ValueError("strata to which stratum_shares apply")
        if list(self.length_bands) != sorted(set(self.length_bands)):
            raise ValueError("ascending length_bands")
        return self


class Validation(Spec):
    """The validation set that all mixes share."""

    provenances: tuple[Provenance, ...] = Field(default=("native",), description="provenances of its items")
    tasks: tuple[Task, ...] = Field(default=("mcqu", "mcq"), min_length=1, description="tasks of its items")
    size: Count | None = Field(default=None, description="number of items; all of them if left out")
    seed: int = Field(default=42, description="seed of its sampling: its own, so that all mixes share the set")


class MixSpec(Spec):
    """Exactly what one mix depends on, beside its input files."""

    name: Name
    mix: Mix
    seed: int
    provenance_of: dict[Name, Provenance]
    validation: Validation
