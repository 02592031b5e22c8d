"""The study: every section of a configuration, composed from the specs of the stages."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from posologie.generation.spec import Generator, Translator
from posologie.generation.translation_quality_spec import TranslationQuality
from posologie.judging.spec import Judge, Kit, Ratings
from posologie.mixes.spec import Mix, Sweep, Validation
from posologie.models.spec import Backbone
from posologie.prediction.other_specs import OutsideAnswers, Proxies, Served
from posologie.prediction.spec import Benchmark, LongPrompts, Suite
from posologie.records.components import Component
from posologie.records.prompting import Prompting
from posologie.records.published import PublishedKey
from posologie.records.specs import Name, PathText, Spec
from posologie.release.spec import Release
from posologie.report.spec import Report
from posologie.scoring.spec import Encoder, TextMetrics
from posologie.screening.spec import Screening
from posologie.sources.spec import Collection, Source
from posologie.statistics.spec import Statistics
from posologie.surface.spec import Design, SurfaceSettings
from posologie.training.spec import Recipe


class StudySuite(Suite):
    """A named group of benchmarks, with all variants of their items; or tasks of lm-evaluation-harness."""

    benchmarks: dict[Name, Benchmark] = Field(
        default_factory=dict, description="parts that are also reported separately; none with `lm_eval`"
    )
    lm_eval: PathText | None = Field(
        default=None,
        description="task or group of lm-evaluation-harness: a YAML file, a folder of them, or a name where the "
        "package lm-eval is installed; each task becomes a source and a benchmark",
    )
    component: Name | None = Field(
        default=None, description="component of the tasks' items, with `lm_eval`; the first if left out"
    )
    path: PathText | None = Field(
        default=None, description="local folder of the tasks' data, with `lm_eval`; the hub if left out"
    )
    files: tuple[str, ...] | None = Field(
        default=None,
        description="patterns of the data files below the folder or repository, with `{name}` for the task's "
        "`dataset_name` and `{split}` for its split",
    )
    reject_limit: float = Field(
        default=0.2, ge=0, le=1, description="highest share of rejected records of a task; more stop it; with `lm_eval`"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if bool(self.benchmarks) == (self.lm_eval is not None):
            raise ValueError("exactly one of benchmarks and lm_eval")
        if self.lm_eval is None and (self.component or self.path or self.files):
            raise ValueError("component, path and files only with lm_eval")
        return self


class Roots(Spec):
    """Folders outside `results/`; the first two are shared by all studies and may be on another file system."""

    models: PathText = Field(default="models", description="backbones, each in `{name}@{revision}/` with its manifest")
    datasets: PathText = Field(default="datasets", description="downloaded data sets, each in `{name}@{revision}/`")
    work: PathText = Field(
        default="work", description="checkpoints, caches and progress; never declared as outputs, safe to delete"
    )
    data: PathText = Field(
        default=".",
        description="folder that relative paths of sources and collections start from; nothing is written there",
    )


class Training(Spec):
    """How and how often each mix is trained on."""

    recipe: Recipe = Field(default=Recipe(), description="how an adapter is trained")
    seeds: tuple[int, ...] = Field(default=(42,), min_length=1, description="one adapter per mix and seed")
    further_seeds: dict[Name, tuple[int, ...]] = Field(
        default_factory=dict,
        description="further seeds of single mixes, beside `seeds`: a few mixes trained again say how much a seed "
        "matters",
    )
    budget: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="most adapters that the study may train, including those that `design` may propose; a study "
        "that asks for more is refused",
    )
    sampling_seed: int | None = Field(
        default=None, description="seed of the draw of every mix; each training seed draws its own mix if left out"
    )
    threads: int = Field(
        default=8, ge=1, description="torch's thread count on the CPU, and the rule's threads; re-runs nothing"
    )
    report_to: Literal["tensorboard", "wandb", "trackio", "mlflow"] | None = Field(
        default=None, description="also show the losses there while training runs; re-runs nothing"
    )


class Prediction(Spec):
    """How models are asked."""

    precision: Literal["bfloat16", "float32"] = Field(default="bfloat16", description="of the model that answers")
    long_prompts: LongPrompts = Field(
        default="refuse",
        description="if prompt and answer need more positions than the model has: end before the first answer"
        " and name the items, or cut the ends of their contexts and count them in the run record",
    )
    seed: int = Field(default=42, description="seed of the option orders")
    threads: int = Field(
        default=8, ge=1, description="torch's thread count on the CPU, and the rule's threads; re-runs nothing"
    )
    bundles: dict[Name, tuple[Name, ...]] = Field(
        default_factory=dict,
        description="suites that one job answers together; a suite in no bundle has a job of its own",
    )


class Devices(Spec):
    """What a device can hold at once. It changes no result, so changing it re-runs nothing."""

    training_micro_batch: int = Field(default=12, ge=1, description="examples in one forward and backward pass")
    prediction_chunk_tokens: int = Field(
        default=16384, ge=64, description="tokens, padding included, in one forward pass"
    )
    gpus_per_training_job: int = Field(
        default=1, ge=0, description="of each of its nodes; 0 trains on the CPU, in one process"
    )
    nodes_per_training_job: int = Field(
        default=1, ge=1, description="nodes that train one model together, on a cluster with SLURM"
    )
    shard_backbone: bool = Field(
        default=False,
        description="each GPU of a training job holds a part of the frozen backbone instead of all of it: slower, for "
        "backbones that do not fit on one",
    )
    training_group_minutes: float = Field(
        default=180,
        gt=0,
        description="how long the processes of a training wait for each other, such as for the first one that checks "
        "the model's files and tokenises",
    )
    gpus_per_prediction_job: int = Field(default=1, ge=0, description="0 predicts on the CPU")


class PublishedModel(Spec):
    """A model that others trained: an adapter on one of the backbones, a merged model, a served one, or its answers."""

    model: Backbone | None = Field(default=None, description="where it comes from: hub or folder")
    served: Served | None = Field(default=None, description="the endpoint behind which it answers")
    answers: OutsideAnswers | None = Field(
        default=None, description="files of its answers, made elsewhere; the model is not needed"
    )
    adapter_on: Name | None = Field(
        default=None, description="the backbone under the adapter; a merged model if left out"
    )
    mix: Name | None = Field(default=None, description="the mix that it was trained on, for the tables")
    in_place_of: str | None = Field(
        default=None,
        description="`{backbone}/{mix}/seed-{seed}`: the model that this one replaces, which is then not trained",
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(origin is not None for origin in (self.model, self.served, self.answers)) != 1:
            raise ValueError("exactly one of model, served and answers")
        if self.model is None and self.adapter_on is not None:
            raise ValueError("adapter_on only with model: an endpoint serves whole models, and answers need none")
        return self


class Scoring(Spec):
    """How answers are scored."""

    text: TextMetrics = Field(default=TextMetrics(), description="metrics of open answers")
    sources: dict[Name, TextMetrics] = Field(
        default_factory=dict,
        description="metrics of open answers to questions of single sources; a source in another language "
        "than the study's has that language's",
    )
    encoder: Encoder | None = Field(default=None, description="encoder of BERTScore; not computed if left out")


class Judging(Spec):
    """Who judges the open answers, and against whom judges are checked."""

    chosen: Name | None = Field(
        default=None,
        description="the judge that rates every open answer; named here so that the jobs are known in advance",
    )
    panel: tuple[Name, ...] = Field(
        default=(), description="judges that rate every open answer too; their majority is one more judge, `panel`"
    )
    ratings: dict[Name, Ratings] = Field(default_factory=dict, description="human ratings; all judges rate them too")
    kits: dict[Name, Kit] = Field(default_factory=dict, description="blinded sheets for raters, made from predictions")


class Study(Spec):
    """One study: its data, mixes, models, suites and statistics. The study's name is its folder under `results/`."""

    study: Name = Field(description="name of the study, and of its folder below `results/`")
    title: str = Field(default="", description="heading of the report; made from the name if left out")
    language: str | None = Field(
        default=None,
        pattern="^[a-z]{2,3}$",
        description="language of the items (ISO 639 code); sets everything that depends on a language and is left out "
        "here, from `resources/languages/{code}.yaml`; if left out, the language that all sources declare",
    )
    demonstration: bool = Field(default=False, description="say beside every verdict that it shows the machinery only")
    published: PublishedKey | None = Field(
        default=None,
        description="published study that this one is compared with: a path, or a section; none if left out",
    )
    truth: PathText | None = Field(
        default=None,
        description="file of the true scores of mixes, if they are known because the world was invented; "
        "`posologie findings` says whether the study's answers are right",
    )
    roots: Roots = Field(default=Roots(), description="folders outside `results/`")
    components: dict[Name, Component] = Field(
        default_factory=dict,
        description="the parts of the training data whose doses are studied, in the order of tables and figures; "
        "native, translated and synthetic if left out",
    )
    currency: str = Field(default="", max_length=20, description="unit of the prices of components, such as EUR")
    sources: dict[Name, Source] = Field(
        default_factory=dict,
        json_schema_extra={"minProperties": 1},
        description="where the items come from; the order counts in screening; none if only judges are calibrated",
    )
    licenses: dict[Name, str] = Field(
        default_factory=dict,
        description="licence of each source, collection and backbone, such as `CC-BY-4.0`, for `posologie package` and "
        "the checklist of the report",
    )
    suites: dict[Name, StudySuite] = Field(
        default_factory=dict,
        json_schema_extra={"minProperties": 1},
        description="what the models are asked; none if only judges are calibrated",
    )
    screening: Screening = Field(default=Screening(), description="duplicates, and overlap with the suites")
    mixes: dict[Name, Mix] = Field(default_factory=dict, description="what is trained on")
    sweeps: dict[Name, Sweep] = Field(
        default_factory=dict,
        description="further mixes that differ in one number, written once; each sweep is also a dose–response curve",
    )
    validation: Validation = Field(default=Validation(), description="items that all trainings are validated on")
    backbones: dict[Name, Backbone] = Field(
        default_factory=dict,
        json_schema_extra={"minProperties": 1},
        description="models that are adapted; none if all answers come from elsewhere",
    )
    published_models: dict[Name, PublishedModel] = Field(
        default_factory=dict, description="trained models that are evaluated alongside, or replace trainings"
    )
    proxies: Proxies = Field(default=Proxies(), description="cheap stand-ins for mixes that are not trained")
    prompting: Prompting = Field(default=Prompting(), description="how an item becomes a prompt")
    training: Training = Field(default=Training(), description="recipe and seeds")
    prediction: Prediction = Field(default=Prediction(), description="precision, seed and bundles of suites")
    devices: Devices = Field(default=Devices(), description="GPUs of a job, and what fits on one")
    local_models: dict[Name, Backbone] = Field(
        default_factory=dict, description="models that judge, write or translate and are not adapted"
    )
    collections: dict[Name, Collection] = Field(
        default_factory=dict, description="documents to generate from, and parallel text to check translators on"
    )
    generators: dict[Name, Generator] = Field(default_factory=dict, description="models that write items")
    translators: dict[Name, Translator] = Field(default_factory=dict, description="models that translate items")
    translation_quality: TranslationQuality = Field(
        default=TranslationQuality(), description="how translators are compared"
    )
    judges: dict[Name, Judge] = Field(default_factory=dict, description="models that judge open answers")
    judging: Judging = Field(default=Judging(), description="the chosen judge, human ratings and rating kits")
    scoring: Scoring = Field(default=Scoring(), description="settings of the metrics")
    statistics: Statistics = Field(default=Statistics(), description="intervals, tests and contrasts")
    design: Design = Field(default=Design(), description="which mixes to train on next")
    surface: SurfaceSettings = Field(
        default=SurfaceSettings(), description="the score as a function of the shares, and what is computed from it"
    )
    report: Report = Field(default=Report(), description="language and item browser")
    release: Release = Field(default=Release(), description="what is merged, described and pushed on request")

    @model_validator(mode="after")
    def _models_or_ratings(self) -> Self:
        """Check that models answer suites, or that judges are held against ratings; the second needs nothing else."""
        if not self.suites and self.judging.ratings and self.judges:
            strange = [name for name in ("mixes", "sweeps", "published_models") if getattr(self, name)]
            if strange or self.judging.kits or self.judging.chosen or self.judging.panel:
                what = strange[0] if strange else "judging.kits, judging.chosen or judging.panel"
                raise ValueError(f"suites beside {what}: without suites a study only calibrates judges")
            return self
        for name in ("sources", "suites"):
            if not getattr(self, name):
                raise ValueError(f"{name}, or judges with judging.ratings to calibrate them")
        if not self.backbones and not self.published_models:
            raise ValueError("backbones or published_models, which answer the suites")
        if not self.backbones and (self.mixes or self.sweeps):
            raise ValueError("backbones, which the mixes are trained on")
        return self
