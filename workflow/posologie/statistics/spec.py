"""What the tables depend on."""

import operator
from typing import Literal, Self

from pydantic import Field, model_validator

from posologie.mixes.spec import least_repeated
from posologie.prediction.spec import Suite
from posologie.records.items import Split
from posologie.records.prompting import Prompting
from posologie.records.published import Aggregate, Decoding, PublishedNames, Variants
from posologie.records.specs import Name, Spec


class Measured(Spec):
    """One number per model: a metric, the decoding, the option orders, and how items are weighted."""

    metric: str = Field(description="a metric of the tables, such as `em`, `rouge2` or `judge:{name}`")
    decoding: Decoding = Field(default="greedy", description="which of the model's answers is scored")
    variants: Variants = Field(
        default="original", description="option orders: the item's own, the permuted runs, or all"
    )
    aggregate: Aggregate = Field(
        default="item_weighted",
        description="what counts the same: every item, every benchmark, or each of the two tasks",
    )


class Family(Spec):
    """Tests that are corrected together: by max-T in one cell of one suite, by Holm over several."""

    suites: tuple[Name, ...] = Field(min_length=1, description="suites of the tests")
    measured: Measured = Field(description="the number that is tested")
    scopes: tuple[str, ...] = Field(
        default=("all",),
        description="`all`, a component or a benchmark; `provenance:NAME` or `benchmark:NAME` where both exist",
    )
    contrasts: tuple[tuple[Name, Name], ...] = Field(
        default=(), description="pairs of mixes, or of a mix and `base`; each mix against base if left out"
    )


class Statistics(Spec):
    """How intervals and tests are computed (section `statistics`)."""

    replicates: int = Field(
        default=10_000, ge=100, description="draws of clusters, and joint draws of the values that are compared"
    )
    seed: int = Field(default=42, description="seed of the draws")
    level: float = Field(default=0.95, gt=0.5, lt=1, description="of the intervals; 1 − level is that of the tests")
    margin: float | None = Field(
        default=None,
        gt=0,
        description="difference up to which two models count as equal, in the unit of the table (points for `%`); set "
        "it before the run; without a margin, nothing is called equivalent",
    )
    minimum_clusters: int = Field(
        default=30,
        ge=2,
        description="with fewer clusters a number is marked `n too small`, and one without a crossed model "
        "has no interval",
    )
    power: float = Field(default=0.8, gt=0.5, lt=1, description="power of the minimum detectable difference")
    calibration_bins: int = Field(default=15, ge=2, le=100, description="bins of the expected calibration error")
    primary_choice: Measured = Field(
        default=Measured(metric="em", decoding="constrained"), description="what is tested on choice questions"
    )
    primary_text: Measured = Field(default=Measured(metric="rouge2"), description="what is tested on open questions")
    contrasts: tuple[tuple[Name, Name], ...] = Field(
        default=(), description="further pairs of mixes to test, beside each mix against base"
    )
    families: dict[Name, Family] = Field(
        default_factory=dict,
        description="tests that are corrected together; if left out, those of one number",
    )
    sweeps: dict[Name, dict[Name, float]] = Field(
        default_factory=dict, description="dose–response curves: mix → dose; the mix may be `base`"
    )


class EvaluatedModel(Spec):
    """A model that has answered the suites."""

    name: str = Field(description="`{backbone}/base`, `{backbone}/{mix}/seed-{seed}` or `published/{name}`")
    kind: Literal["base", "mix", "published", "proxy"]
    backbone: Name | None = None
    mix: Name | None = None
    seed: int | None = None
    published: bool = Field(default=False, description="a published model, which has no run record and no history here")

    @model_validator(mode="after")
    def _parts_of_its_kind(self) -> Self:
        if self.kind in ("mix", "proxy") and (self.backbone is None or self.mix is None or self.seed is None):
            raise ValueError("backbone, mix and seed of a trained model")
        if self.kind == "base" and (self.backbone is None or self.mix is not None or self.seed is not None):
            raise ValueError("a backbone, and neither mix nor seed, of a base model")
        return self


class TableSpec(Spec):
    """Exactly what one table depends on, beside the scores of the models on the suites."""

    models: tuple[EvaluatedModel, ...] = Field(min_length=1)
    suites: dict[Name, Suite] = Field(min_length=1)
    statistics: Statistics = Statistics()
    demonstration: bool = Field(default=False, description="say beside every verdict that it shows the machinery only")
    blends: dict[Name, dict[Name, float]] = Field(
        default_factory=dict, description="share of each component in each mix, for the attribution"
    )
    sizes: dict[Name, str] = Field(
        default_factory=dict, description="number of items of each mix, or `smallest`, for the attribution"
    )
    epochs: dict[Name, dict[Name, int]] = Field(
        default_factory=dict,
        exclude_if=operator.not_,
        description="of the mixes that repeat items, how often those of each part stand there",
    )
    components: tuple[Name, ...] = Field(
        default=(),
        exclude_if=operator.not_,
        description="components of the study in their order, where it declares any",
    )
    neural: bool = Field(default=False, description="read scores_neural/ too")
    judges: tuple[Name, ...] = Field(default=(), description="judges whose judgements of the suites are read")
    panel: tuple[Name, ...] = Field(default=(), description="judges whose majority is one more judge, `panel`")
    published: PublishedNames | None = Field(
        default=None, exclude_if=operator.not_, description="our names for what a published study holds, if compared"
    )

    @property
    def designed(self) -> dict[str, dict[str, float]]:
        """Blends of the mixes that differ in shares or size (`least_repeated`)."""
        least = least_repeated(self.blends, self.sizes, self.epochs)
        return {mix: shares for mix, shares in self.blends.items() if mix in least}


class LeakageTableSpec(TableSpec):
    """Exactly what the table of leakage depends on, beside the scores and the audits of the mixes."""

    similarity: float | None = Field(
        default=0.7, description="from which the audits looked for near twins; null: for exact ones only"
    )


class AgreementSpec(Spec):
    """Exactly what the tables over human ratings depend on, beside ratings, scores of rated answers, and verdicts."""

    sets: tuple[Name, ...] = Field(min_length=1, description="sets of human ratings")
    judges: tuple[Name, ...] = Field(default=(), description="judges, all of which rated every set")
    panel: tuple[Name, ...] = Field(default=(), description="judges whose majority is one more judge, `panel`")
    chosen: Name | None = Field(default=None, description="the judge that rates everything else (`judging.chosen`)")
    thresholds: dict[Name, float] = Field(
        default_factory=dict,
        description="mean rating from which an answer counts as right, by set; 0.5 for binary ratings if left out",
    )
    statistics: Statistics = Statistics()
    published: PublishedNames | None = Field(
        default=None, exclude_if=operator.not_, description="our names for what a published study holds, if compared"
    )


class CorrectedSpec(AgreementSpec):
    """Exactly what the table of corrected scores depends on, beside ratings, predictions and judgements."""

    models: tuple[EvaluatedModel, ...] = Field(min_length=1)
    suites: tuple[Name, ...] = Field(min_length=1, description="suites with open questions")


class CompositionSpec(Spec):
    """Exactly what the table of composition depends on, beside the mixes and the reports of the shards."""

    mixes: dict[Name, tuple[int, ...]] = Field(description="sampling seeds of each mix, in the order of the study")
    shards: dict[Name, tuple[Split, ...]] = Field(
        default_factory=dict, description="splits of each source, in the order of the study"
    )
    epochs: int | None = Field(
        default=None, ge=1, description="passes of a training over its mix, where any is trained"
    )
    unmixed: tuple[Name, ...] = Field(
        default=(), description="sources that no mix draws from, which no published number counts either"
    )
    components: tuple[Name, ...] = Field(
        default=(),
        exclude_if=operator.not_,
        description="components of the study in their order, where it declares any",
    )
    backbone: Name | None = Field(default=None, description="the backbone whose tokens are counted")
    prompting: Prompting = Field(default=Prompting(), description="how items become chats, for lengths in tokens")
    published: PublishedNames | None = Field(
        default=None, exclude_if=operator.not_, description="our names for what a published study holds, if compared"
    )


class ComputeSpec(Spec):
    """Exactly what the table of costs depends on, beside the run records."""

    models: tuple[EvaluatedModel, ...] = Field(min_length=1)
    suites: tuple[Name, ...] = Field(min_length=1)
    judges: tuple[Name, ...] = ()
    judged: tuple[Name, ...] = Field(default=(), description="suites whose answers they judge")


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
