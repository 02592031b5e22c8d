"""What a mix depends on."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AliasChoices, ConfigDict, Field, model_validator

from posologie.items import Task
from posologie.screening.spec import Comparing
from posologie.specs import Name, Spec

Stratum = Literal["task", "source", "subject", "length"]
Share = Annotated[float, Field(gt=0, strict=True)]
Count = Annotated[int, Field(ge=1, strict=True)]
"""Strict: `true` is no number of items, and `"1"` no weight."""
Epochs = Annotated[int, Field(ge=1, le=100, strict=True)]
"""How often an item stands in a training set."""

_EXACT = 1 << 53
"""The whole numbers up to here are floats without rounding."""


def lowest_terms(weights: Mapping[str, float]) -> dict[str, float]:
    """Return weights as whole numbers without a common factor: equal for equal ratios.

    A weight counts as the decimal number that it prints as. Weights whose whole numbers would be too large for a float
    stay as they are.
    """
    exact = {name: Fraction(str(weight)) for name, weight in weights.items()}
    if not exact:
        return {}
    scale = math.lcm(*(weight.denominator for weight in exact.values()))
    whole = {name: int(weight * scale) for name, weight in exact.items()}
    factor = math.gcd(*whole.values())
    if max(whole.values()) // factor > _EXACT:
        return dict(weights)
    return {name: float(number // factor) for name, number in whole.items()}


class Drawing(Spec):
    """How the items of each part are drawn."""

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
    def _strata_that_fit(self) -> Self:
        if self.stratum_shares != "as_held" and not self.strata:
            raise ValueError("strata to which stratum_shares apply")
        if list(self.length_bands) != sorted(set(self.length_bands)):
            raise ValueError("ascending length_bands")
        return self


class Mix(Drawing):
    """How much of which component or source, and how many items in all.

    A share or count is given per component (all its sources in proportion to what they hold) or per source. A key that
    is the name of a component means the component.
    """

    shares: dict[Name, Share] | None = Field(default=None, description="relative weight of each component or source")
    counts: dict[Name, Count] | None = Field(default=None, description="number of items of each component or source")
    size: Count | Literal["smallest"] | None = Field(
        default=None,
        description="number of items, with shares; `smallest`: as many as the study's smallest component holds",
    )
    epochs: dict[Name, Epochs] = Field(
        default_factory=dict,
        exclude_if=lambda epochs: not epochs,  # a mix without repetition keeps its identity
        description="how often each item of a component or source stands in the training set, once if left out; "
        "shares, counts and size count an item as often as it stands there",
    )

    @model_validator(mode="after")
    def _shares_or_counts(self) -> Self:
        if (self.shares is None) == (self.counts is None):
            raise ValueError("either shares or counts")
        if (self.shares is None) != (self.size is None):
            raise ValueError("size together with shares, and only with shares")
        if not (self.shares or self.counts):
            raise ValueError("at least one component or source")
        parts = self.shares or self.counts or {}
        if unknown := sorted(set(self.epochs) - set(parts)):
            raise ValueError(f"epochs of the keys of shares or counts ({', '.join(parts)}), not of '{unknown[0]}'")
        return self


def _earlier_key(schema: dict[str, Any]) -> None:
    """Let the JSON schema take `provenances`, the key of earlier study files, in place of `components`."""
    schema["properties"]["provenances"] = {**schema["properties"]["components"], "deprecated": True}


class Validation(Spec):
    """The validation set that all mixes share."""

    model_config = ConfigDict(json_schema_extra=_earlier_key)

    provenances: tuple[Name, ...] | None = Field(
        default=None,
        validation_alias=AliasChoices("components", "provenances"),
        description="components of its items (`provenances` in earlier study files); those of kind native if left out, "
        "or all where none is of that kind",
    )
    tasks: tuple[Task, ...] = Field(default=("mcqu", "mcq"), min_length=1, description="tasks of its items")
    size: Count | None = Field(default=None, description="number of items; all of them if left out")
    seed: int = Field(default=42, description="seed of its sampling: its own, so that all mixes share the set")
    seen: Literal["leave_out", "refuse", "keep"] = Field(
        default="leave_out",
        description="validation items of which a mix trains on a twin or on the group (found with the settings of "
        "`screening`): left out of that mix's validation set and counted, refused, or kept and counted",
    )


def _in_lowest_terms(mix: Mix) -> Mix:
    """Return the mix with its weights in lowest terms: 2 to 2 and 0.5 to 0.5 are 1 to 1, and draw the same items.

    One epoch is no repetition, and is left out.
    """
    weights = {"shares": mix.shares, "stratum_shares": mix.stratum_shares}
    found: dict[str, Any] = {key: lowest_terms(value) for key, value in weights.items() if isinstance(value, dict)}
    return mix.model_copy(update={**found, "epochs": {name: count for name, count in mix.epochs.items() if count > 1}})


class MixSpec(Spec):
    """Exactly what one mix depends on, beside its input files; equal however its shares are written."""

    name: Name
    mix: Annotated[Mix, AfterValidator(_in_lowest_terms)]
    seed: int
    provenance_of: dict[Name, Name]
    validation: Validation
    comparing: Comparing = Comparing()
    encoder_version: str | None = Field(default=None, description="installed version of `screening.encoder.package`")


def _each_once(values: tuple[float, ...]) -> tuple[float, ...]:
    if len(set(values)) < len(values):
        raise ValueError("each value once")
    return values


class ShareSweep(Drawing):
    """Mixes of one size in which the share of one part grows and the rest is filled by others."""

    kind: Literal["share"] = Field(description="this kind of sweep")
    of: Name = Field(description="component or source whose share varies")
    values: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], AfterValidator(_each_once)] = Field(
        min_length=1, description="its shares, from 0 to 1"
    )
    rest: Name | dict[Name, Share] = Field(description="component or source that fills the rest, or several by weight")
    size: Count | Literal["smallest"] = Field(description="number of items of every mix")

    @model_validator(mode="after")
    def _rest_is_another(self) -> Self:
        if self.of in (self.rest if isinstance(self.rest, dict) else (self.rest,)):
            raise ValueError(f"a rest without '{self.of}', whose share varies")
        return self


class SizeSweep(Drawing):
    """Mixes of the same shares that grow."""

    kind: Literal["size"] = Field(description="this kind of sweep")
    shares: dict[Name, Share] = Field(min_length=1, description="relative weight of each component or source")
    values: Annotated[tuple[Count, ...], AfterValidator(_each_once)] = Field(
        min_length=1, description="numbers of items"
    )


class AdditiveSweep(Drawing):
    """Mixes of a fixed base to which a growing dose is added."""

    kind: Literal["additive"] = Field(description="this kind of sweep")
    base: dict[Name, Count] = Field(default_factory=dict, description="number of items of each component or source")
    of: Name = Field(description="component or source that is added")
    values: Annotated[tuple[Annotated[int, Field(ge=0)], ...], AfterValidator(_each_once)] = Field(
        min_length=1, description="numbers of items added"
    )

    @model_validator(mode="after")
    def _something_in_every_mix(self) -> Self:
        if self.of in self.base:
            raise ValueError(f"a base without '{self.of}', which is added")
        if not self.base and 0 in self.values:
            raise ValueError("a base, or values above zero")
        return self


class EpochSweep(Drawing):
    """Mixes of the same shares and size in which fewer items of one part stand there more often."""

    kind: Literal["epochs"] = Field(description="this kind of sweep")
    of: Name = Field(description="component or source whose items are repeated")
    values: Annotated[tuple[Epochs, ...], AfterValidator(_each_once)] = Field(
        min_length=1, description="how often each of its items stands in the training set"
    )
    shares: dict[Name, Share] = Field(min_length=1, description="relative weight of each component or source")
    size: Count | Literal["smallest"] = Field(description="number of items of every mix, repeated ones each time")

    @model_validator(mode="after")
    def _repeats_a_part(self) -> Self:
        if self.of not in self.shares:
            raise ValueError(f"of = one of the keys of shares ({', '.join(self.shares)}), not '{self.of}'")
        return self


Sweep = Annotated[ShareSweep | SizeSweep | AdditiveSweep | EpochSweep, Field(discriminator="kind")]
"""Mixes that differ in one number, written once."""
