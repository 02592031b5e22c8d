"""What a screened shard depends on."""

from typing import Literal

from pydantic import Field

from posologie.items import Split
from posologie.prediction.spec import Suite
from posologie.specs import Name, Spec


class Screening(Spec):
    """How training and validation items are screened."""

    mode: Literal["off", "report", "remove"] = "report"
    against: tuple[Name, ...] = Field(default=(), description="suites whose items must not be trained on")
    scope: tuple[Literal["within", "across"], ...] = ("within", "across")


class ScreeningSpec(Spec):
    """Exactly what the screened shards of one source and split depend on, beside their input files."""

    source: Name
    split: Split
    screening: Screening
    suites: dict[Name, Suite]
