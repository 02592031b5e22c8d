"""Merged models: stand-ins for mixes that were not trained, and what their predictions depend on."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from posologie.prediction.spec import PredictionSpec
from posologie.specs import Name, Spec

Weight = Annotated[float, Field(gt=0)]


class MergedModels(Spec):
    """Which mixes get a merged model: single-component models, merged on effective weights in the mix's shares."""

    of_mixes: bool = Field(
        default=True,
        description="one for each trained mix of two or more components: these tell how well merged models predict",
    )
    lattice: int | None = Field(
        default=None, ge=2, le=20, description="one for each mix whose shares are multiples of 1/lattice"
    )
    mixes: dict[Name, dict[Name, Weight]] = Field(
        default_factory=dict, description="further ones by name: relative weight of each component"
    )
    models: dict[Name, Name] = Field(
        default_factory=dict,
        description="component → the mix of it alone whose models are merged; needed where there are several",
    )
    rank: int | None = Field(
        default=None, ge=1, description="approximate each matrix's change by one of this rank; exact if left out"
    )

    @model_validator(mode="after")
    def _any(self) -> Self:
        if not (self.of_mixes or self.lattice or self.mixes):
            raise ValueError("of_mixes, lattice or mixes: which models to merge")
        return self


class Proxies(Spec):
    """Cheap stand-ins for models that are not trained; they are shown beside the trained ones and judged with none."""

    merged: MergedModels | None = Field(default=None, description="merged single-component models")


class MergedPredictionSpec(PredictionSpec):
    """Exactly what the predictions of a merged model depend on, beside its input files."""

    shares: dict[Name, Weight] = Field(min_length=1, description="mix → share of its model; they sum to 1")
    rank: int | None = None
