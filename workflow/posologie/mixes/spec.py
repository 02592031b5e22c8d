"""What a mix depends on: its shares or counts, sweeps that stand for several mixes, and the share of each component."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AliasChoices, ConfigDict, Field, model_validator

from posologie.records.items import Task
from posologie.records.specs import Name, Spec
from posologie.screening.spec import Comparing

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
    """How the items of each component or source are drawn."""

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
    """Shares or counts of components or sources, and the number of items in all.

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
        "shares, counts and size count an item as often as it occurs",
    )

    @model_validator(mode="after")
    def _shares_or_counts(self) -> Self:
        if (self.shares is None) == (self.counts is None):
            raise ValueError("either shares or counts")
        if (self.shares is None) != (self.size is None):
            raise ValueError("size together with shares, and only with shares")
        if not (self.shares or self.counts):
            raise ValueError("at least one component or source")
        ingredients = self.shares or self.counts or {}
        if unknown := sorted(set(self.epochs) - set(ingredients)):
            raise ValueError(
                f"epochs of the keys of shares or counts ({', '.join(ingredients)}), not of '{unknown[0]}'"
            )
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
        description="components of its items (`provenances` in earlier study files); if left out, those of kind "
        "native, or all if none is of that kind",
    )
    tasks: tuple[Task, ...] = Field(default=("mcqu", "mcq"), min_length=1, description="tasks of its items")
    size: Count | None = Field(default=None, description="number of items; all of them if left out")
    seed: int = Field(default=42, description="seed of its sampling: separate, so that all mixes share the set")
    seen: Literal["leave_out", "refuse", "keep"] = Field(
        default="leave_out",
        description="validation items whose twin or group a mix trains on (found with the settings of "
        "`screening`): left out of that mix's validation set and counted, refused, or kept and counted",
    )


def _in_lowest_terms(mix: Mix) -> Mix:
    """Return the mix with its weights in lowest terms: 2 to 2 and 0.5 to 0.5 are 1 to 1, and draw the same items.

    One epoch is no repetition, and is left out.
    """
    weights = {"shares": mix.shares, "stratum_shares": mix.stratum_shares}
    lowest: dict[str, Any] = {key: lowest_terms(value) for key, value in weights.items() if isinstance(value, dict)}
    return mix.model_copy(update={**lowest, "epochs": {name: count for name, count in mix.epochs.items() if count > 1}})


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
    """Mixes of one size in which the share of one component or source grows and others fill the rest."""

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
    """Mixes of the same shares in growing sizes."""

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
    """Mixes of the same shares and size in which fewer items of one component or source are repeated more often."""

    kind: Literal["epochs"] = Field(description="this kind of sweep")
    of: Name = Field(description="component or source whose items are repeated")
    values: Annotated[tuple[Epochs, ...], AfterValidator(_each_once)] = Field(
        min_length=1, description="how often each of its items occurs in the training set"
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


def expand_sweeps(sweeps: Mapping[str, Sweep]) -> dict[str, Mix]:
    """Return the mixes of all sweeps by name, in the order of the sweeps and of their values.

    A mix is named after its sweep and its value: `{sweep}-{percent}` for a share (0.125 gives 12.5), `{sweep}-{items}`
    for a size or an added dose, `{sweep}-{times}` for epochs.
    """
    return {
        mix_name(name, sweep, value): mix_of(sweep, value) for name, sweep in sweeps.items() for value in sweep.values
    }


def doses(name: str, sweep: Sweep) -> dict[str, float]:
    """Return the value behind each mix of a sweep: a share from 0 to 1, a number of items, or of epochs."""
    return {mix_name(name, sweep, value): value for value in sweep.values}


def mix_name(name: str, sweep: Sweep, value: float) -> str:
    """Return the name of a sweep's mix."""
    exact = Fraction(str(value)) * (100 if isinstance(sweep, ShareSweep) else 1)
    return f"{name}-{exact.numerator if exact.denominator == 1 else float(exact)}"


def mix_of(sweep: Sweep, value: float) -> Mix:
    """Return the mix of a sweep at one of its values."""
    drawing = {key: getattr(sweep, key) for key in Drawing.model_fields}
    match sweep:
        case ShareSweep():
            share = Fraction(str(value))
            rest = sweep.rest if isinstance(sweep.rest, dict) else {sweep.rest: 1.0}
            weights = {name: Fraction(str(weight)) for name, weight in rest.items()}
            others = {name: (1 - share) * weight / sum(weights.values()) for name, weight in weights.items()}
            shares = {name: float(part) for name, part in {sweep.of: share, **others}.items() if part}
            return Mix(shares=shares, size=sweep.size, **drawing)
        case SizeSweep():
            return Mix(shares=sweep.shares, size=int(value), **drawing)
        case AdditiveSweep():
            dose = {sweep.of: int(value)} if value else {}
            return Mix(counts=sweep.base | dose, **drawing)
        case EpochSweep():
            return Mix(shares=sweep.shares, size=sweep.size, epochs={sweep.of: int(value)}, **drawing)


MOST_EXACT = 6
"""Components up to which all their coalitions are looked for: 6 have 63."""
_EQUAL = 1.01
_ROUNDING = 1e-9

Blend = Mapping[str, float]


def components_of(blends: Mapping[str, Blend], declared: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the components that some blend holds: in the order declared, or else in that in which they are named."""
    used = dict.fromkeys(name for blend in blends.values() for name, share in blend.items() if share > 0)
    return tuple([name for name in declared if name in used] + [name for name in used if name not in declared])


def equal_blend(blend: Blend) -> frozenset[str] | None:
    """Return the components of a blend in equal shares; None if they are not."""
    shares = [share for share in blend.values() if share > 0]
    if not shares or max(shares) > _EQUAL * min(shares):
        return None
    return frozenset(name for name, share in blend.items() if share > 0)


def has_all_coalitions(blends: Mapping[str, Blend]) -> bool:
    """Return whether every coalition of two to six components is a mix in equal shares."""
    everyone = components_of(blends)
    coalitions = {coalition for blend in blends.values() if (coalition := equal_blend(blend)) is not None}
    return 1 < len(everyone) <= MOST_EXACT and len(coalitions) == 2 ** len(everyone) - 1


def linear_design(blends: Mapping[str, Blend], sizes: Mapping[str, str]) -> list[str]:
    """Return the mixes of one size to which a linear surface in the shares can be fitted with a test of its fit.

    There must be more different blends than components, and they must distinguish all components. Of several sizes
    it is the one with most mixes, the larger between equals. Mixes of several sizes are not joined, because their
    differences hold what more data does.

    Returns:
        Their names in the order given; none where no size has such mixes.
    """
    everyone = components_of(blends)
    counted = Counter(sizes.get(mix, "") for mix in blends)
    for size in sorted(counted, key=lambda size: (-counted[size], -int(size) if size.isdigit() else 0)):
        mixes = [mix for mix in blends if sizes.get(mix, "") == size]
        rows = [_shares(blends[mix], everyone) for mix in mixes]
        different = {tuple(round(share, 6) for share in row) for row in rows}
        if len(everyone) > 1 and len(different) > len(everyone) and _rank(rows) == len(everyone):
            return mixes
    return []


def least_repeated(
    blends: Mapping[str, Blend], sizes: Mapping[str, str], epochs: Mapping[str, Mapping[str, int]]
) -> dict[str, Blend]:
    """Return the mixes that differ in shares or size: of several with the same, those that repeat items least.

    A model of the shares alone would take the others for the same mix with another seed.

    Args:
        epochs: for the mixes that repeat items, how often the items of each part occur.
    """
    keys = {
        mix: (tuple(sorted((name, round(share, 9)) for name, share in blend.items() if share)), sizes.get(mix, ""))
        for mix, blend in blends.items()
    }
    fewest: dict[object, int] = {}
    for mix, key in keys.items():
        fewest[key] = min(fewest.get(key, _repetition(epochs, mix)), _repetition(epochs, mix))
    return {mix: blend for mix, blend in blends.items() if _repetition(epochs, mix) == fewest[keys[mix]]}


def _repetition(epochs: Mapping[str, Mapping[str, int]], mix: str) -> int:
    return sum(count - 1 for count in epochs.get(mix, {}).values())


def _shares(blend: Blend, everyone: Sequence[str]) -> list[float]:
    whole = sum(blend.values())
    return [blend.get(name, 0.0) / whole for name in everyone]


def _rank(rows: Sequence[Sequence[float]]) -> int:
    """Return the rank of a small matrix, without numpy: this runs whenever the workflow is read."""
    echelon = [list(row) for row in rows]
    rank = 0
    for column in range(len(rows[0])):
        pivot = max(range(rank, len(echelon)), key=lambda row: abs(echelon[row][column]), default=None)
        if pivot is None or abs(echelon[pivot][column]) < _ROUNDING:
            continue
        echelon[rank], echelon[pivot] = echelon[pivot], echelon[rank]
        for row in range(rank + 1, len(echelon)):
            factor = echelon[row][column] / echelon[rank][column]
            echelon[row] = [value - factor * other for value, other in zip(echelon[row], echelon[rank], strict=True)]
        rank += 1
    return rank
