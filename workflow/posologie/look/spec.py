"""What the pages of `look` depend on."""

from pydantic import Field

from posologie.mixes.spec import Mix, Validation
from posologie.records.items import Split
from posologie.records.prompting import Prompting
from posologie.records.specs import Name, Spec
from posologie.screening.spec import Screening, TestedSuite
from posologie.sources.spec import Source


class LookSpec(Spec):
    """Exactly what the pages depend on, beside the shards, the screened shards that exist and the tokenizer."""

    study: Name
    title: str = ""
    language: str = Field(description="language of the item texts, `report.language`")
    sources: dict[Name, Source]
    order: tuple[Name, ...] = Field(description="sources in the order of the study: an earlier one wins in screening")
    suites: dict[Name, TestedSuite]
    screening: Screening
    screened: dict[Name, tuple[Split, ...]] = Field(description="splits of each source that the study screens")
    earlier: dict[Name, tuple[Name, ...]] = Field(description="sources against which each source is screened")
    mixes: dict[Name, Mix]
    mix_order: tuple[Name, ...] = Field(description="mixes in the order of the study")
    mix_sources: dict[Name, tuple[Name, ...]] = Field(description="sources that each mix may draw from")
    validation: Validation
    validation_sources: tuple[Name, ...] = ()
    prompting: Prompting
    max_length: int = Field(description="tokens of an example, `training.recipe.max_length`")
    backbone: Name = Field(description="the backbone whose chat template is shown")
