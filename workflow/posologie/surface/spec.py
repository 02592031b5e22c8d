"""What designs and surfaces of a study depend on."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from posologie.mixes.spec import Count, Epochs
from posologie.records.specs import Name, Spec
from posologie.statistics.spec import TableSpec

Part = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(gt=0)]


def _ascending(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError("a lowest and a highest share, in this order")
    return bounds


ShareBounds = Annotated[tuple[Part, Part], AfterValidator(_ascending)]
"""The lowest and the highest share of a component."""

SurfaceModel = Literal["mean", "linear", "quadratic", "special_cubic", "process"]


def _each_once(values: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(values)) < len(values):
        raise ValueError("each size once")
    return values


class Design(Spec):
    """Which mixes to train on next: read by `posologie design mixes` and by no job (section `design`)."""

    components: tuple[Name, ...] = Field(
        default=(), description="what a proposed mix may hold; the components with training items if left out"
    )
    bounds: dict[Name, ShareBounds] = Field(
        default_factory=dict, description="lowest and highest share of a component; those of `surface` if left out"
    )
    sizes: Annotated[tuple[Count, ...], AfterValidator(_each_once)] = Field(
        default=(), description="number of items of a proposed mix, or several; that of the mixes if they have one"
    )
    trainings: Count | None = Field(default=None, description="how many adapters may be trained")
    epochs: dict[Name, Epochs] = Field(
        default_factory=dict,
        description="how often an item of a component may occur in a proposed mix, if the component holds too few; "
        "once if left out",
    )
    repeats: int | None = Field(
        default=None,
        ge=0,
        description="how many of the trainings repeat a mix with another seed; if left out, a quarter, at least "
        "two, less the repeats that exist, as far as the model's terms leave any",
    )
    model: Literal["linear", "quadratic", "special_cubic"] = Field(
        default="quadratic", description="Scheffé's model that the design is meant for"
    )
    kind: Literal["i_optimal", "space_filling", "lattice", "centroid"] = Field(
        default="i_optimal",
        description="lowest mean prediction variance for the model; mixes far apart; simplex-lattice; simplex-centroid",
    )
    seed: int = Field(default=42, description="seed of the random starts")
    starts: Annotated[int, Field(ge=1, le=1000)] = Field(default=8, description="random starts of the exchange")

    @model_validator(mode="after")
    def _repeats_leave_a_mix(self) -> Self:
        if self.trainings is not None and (self.repeats or 0) >= self.trainings:
            raise ValueError(f"fewer repeats than the {self.trainings} trainings, which leave a training for a new mix")
        return self


class SurfaceSettings(Spec):
    """The score as a function of the shares, and what is computed from it; re-trains nothing (section `surface`)."""

    bounds: dict[Name, ShareBounds] = Field(
        default_factory=dict, description="lowest and highest share of a component among the mixes that are compared"
    )
    models: tuple[SurfaceModel, ...] = Field(
        default=("mean", "linear", "quadratic", "special_cubic", "process"),
        min_length=1,
        description="candidate models; the one that best predicts left-out mixes is taken",
    )
    objective: dict[Name, Weight] = Field(
        default_factory=dict,
        description="weight of each suite in the number to maximise; each suite separately if left out",
    )
    at_least_base: tuple[Name, ...] = Field(
        default=(), description="suites on which the recommended mix must not score below the base model"
    )
    size: Count | None = Field(
        default=None, description="number of items at which mixes are compared; the largest trained on if left out"
    )
    lattice: int = Field(
        default=10, ge=2, le=40, description="steps from 0 to 1 of the mixes at which the table shows predictions"
    )

    @model_validator(mode="after")
    def _constraint_beside_an_aim(self) -> Self:
        both = set(self.at_least_base) & set(self.objective)
        if both and len(self.objective) == 1:
            raise ValueError(f"at_least_base without {sorted(both)[0]}, which is the whole objective")
        return self


class SurfaceSpec(TableSpec):
    """Exactly what the table of surfaces depends on, beside the scores of the models on the suites."""

    surface: SurfaceSettings = SurfaceSettings()
    prices: dict[Name, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict, description="price of one item of each component that has one"
    )
    currency: str = Field(default="", description="unit of the prices")
    order: tuple[Name, ...] = Field(default=(), description="components in the order of the study")
