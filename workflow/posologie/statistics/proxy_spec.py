"""What the table of proxies depends on."""

from pydantic import Field

from posologie.records.specs import Name, Spec
from posologie.statistics.spec import EvaluatedModel, Statistics


class ProxyModel(Spec):
    """A merged model, and the trained mix of the same shares where there is one."""

    backbone: Name
    name: Name
    seed: int
    shares: dict[Name, float] = Field(min_length=2, description="of components; they sum to 1")
    stands_for: Name | None = None


class ProxySpec(Spec):
    """Exactly what the table of proxies depends on, beside the scores."""

    models: tuple[EvaluatedModel, ...] = Field(description="the trained models that proxies stand for")
    proxies: dict[str, ProxyModel] = Field(min_length=1, description="by the name of the model")
    suites: tuple[Name, ...] = Field(min_length=1)
    statistics: Statistics = Statistics()
