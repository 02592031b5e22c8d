"""What a mix depends on."""

from typing import Literal, Self

from pydantic import Field, model_validator

from posologie.items import Provenance, Task
from posologie.specs import Name, Spec


class Mix(Spec):
    """How much of which provenance or source, and how many items in all.

    A share or count is given per provenance (all its sources in proportion to what they hold) or per source.
    """

    shares: dict[str, float] | None = Field(default=None, description="relative weight of each provenance or source")
    counts: dict[str, int] | None = Field(default=None, description="number of items of each provenance or source")
    size: int | Literal["smallest"] | None = Field(default=None, description="number of items, with shares")
    tasks: tuple[Task, ...] = ("mcqu", "mcq")
    strata: tuple[Literal["task", "source", "subject", "length"], ...] = ()

    @model_validator(mode="after")
    def _shares_or_counts(self) -> Self:
        if (self.shares is None) == (self.counts is None):
            raise ValueError("either shares or counts")
        if (self.shares is None) != (self.size is None):
            raise ValueError("size together with shares, and only with shares")
        if self.shares is not None and (not self.shares or any(share <= 0 for share in self.shares.values())):
            raise ValueError("shares above zero")
        if self.counts is not None and (not self.counts or any(count < 1 for count in self.counts.values())):
            raise ValueError("counts of at least one")
        return self


class Validation(Spec):
    """The validation set that all mixes share."""

    provenances: tuple[Provenance, ...] = ("native",)
    size: int | None = Field(default=None, ge=1, description="number of items; all of them if left out")


class MixSpec(Spec):
    """Exactly what one mix depends on, beside its input files."""

    name: Name
    mix: Mix
    seed: int
    provenance_of: dict[Name, Provenance]
    validation: Validation
