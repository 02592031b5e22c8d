"""From the study to the artifacts: which models, bundles and inputs there are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar, cast

from posologie.backends.spec import Causal, Engine
from posologie.config.components import blend as blend
from posologie.config.components import components as components
from posologie.config.components import held_by_source as held_by_source
from posologie.config.components import held_items as held_items
from posologie.config.components import repeated_mixes as repeated_mixes
from posologie.config.components import sources_of_component as sources_of_component
from posologie.config.components import trained_sources as trained_sources
from posologie.config.components import trainings_text as trainings_text
from posologie.config.components import validation_components as validation_components
from posologie.config.study import PublishedModel, Study
from posologie.judging.spec import OutsideVerdicts
from posologie.mixes.spec import has_all_coalitions, least_repeated, linear_design
from posologie.models.spec import Backbone, ChatForm, EncoderOrigin, ModelSpec
from posologie.models.store import installed_version
from posologie.records.items import SPLITS, Split, Task
from posologie.records.published import PublishedNames
from posologie.records.specs import Spec
from posologie.sources.layouts import PARALLEL
from posologie.sources.spec import Source
from posologie.statistics.spec import EvaluatedModel

SCREENED_SPLITS: tuple[Split, ...] = ("train", "validation")


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the study. Its id is its folder under `predictions/` and `scores/`.

    `published` names the published model that answers: beside the others, or in the place of one that is not trained.
    """

    id: str
    backbone: str | None = None
    mix: str | None = None
    seed: int | None = None
    published: str | None = None

    @property
    def kind(self) -> Literal["base", "mix", "published"]:
        """Say how the model came about."""
        if self.seed is not None:
            return "mix"
        return "base" if self.published is None else "published"

    @property
    def trained(self) -> bool:
        """Whether this study trains it."""
        return self.kind == "mix" and self.published is None


_latest: tuple[Study, Mapping[str, Model]] | None = None


def models(study: Study) -> Mapping[str, Model]:
    """Return the study's models by id: base and each mix and seed of every backbone, then the published models.

    Every prediction job looks its model up, so the models of the latest study are kept.
    """
    global _latest
    if _latest is None or _latest[0] is not study:
        _latest = study, MappingProxyType(_models(study))
    return _latest[1]


def _models(study: Study) -> dict[str, Model]:
    trained = [(mix, seed) for mix in study.mixes for seed in training_seeds(study, mix)]
    instead = {
        published.in_place_of: name
        for name, published in study.published_models.items()
        if published.in_place_of is not None
    }
    every = []
    for backbone in study.backbones:
        every.append(Model(f"{backbone}/base", backbone))
        for mix, seed in trained:
            name = f"{backbone}/{mix}/seed-{seed}"
            every.append(Model(name, backbone, mix, seed, instead.get(name)))
    for name, published in study.published_models.items():
        if published.in_place_of is None:
            every.append(Model(f"published/{name}", published.adapter_on, published.mix, None, name))
    return {model.id: model for model in every}


def served_models(study: Study) -> list[str]:
    """Return the ids of the models that answer behind a server: an endpoint, or an engine that a job starts."""
    served = {name for name, published in study.published_models.items() if published.served is not None}
    return [model.id for model in models(study).values() if model.published in served]


def engine_of(study: Study, model: str) -> Engine | None:
    """Return the engine behind which a model answers, by the model's id; None where no job starts one for it."""
    name = models(study)[model].published
    served = None if name is None else study.published_models[name].served
    return served.backend if served is not None and isinstance(served.backend, Engine) else None


def outside_models(study: Study) -> list[str]:
    """Return the ids of the models whose answers come from files."""
    outside = {name for name, published in study.published_models.items() if published.answers is not None}
    return [model.id for model in models(study).values() if model.published in outside]


def bundles(study: Study) -> dict[str, tuple[str, ...]]:
    """Return which suites each prediction job answers: the configured bundles, then one for each suite that is left."""
    bundled = {suite for suites in study.prediction.bundles.values() for suite in suites}
    alone = {suite: (suite,) for suite in study.suites if suite not in bundled}
    return {**study.prediction.bundles, **alone}


def sampling_seed(study: Study, training_seed: int) -> int:
    """Return the seed of the draw of the mixes that a training seed uses."""
    fixed = study.training.sampling_seed
    return training_seed if fixed is None else fixed


def training_seeds(study: Study, mix: str) -> tuple[int, ...]:
    """Return the seeds that a mix is trained with: those of every mix, then its own."""
    return (*study.training.seeds, *study.training.further_seeds.get(mix, ()))


def trainings(study: Study) -> int:
    """Return how many adapters the study trains."""
    return sum(model.trained for model in models(study).values())


def sampling_seeds(study: Study, mix: str) -> list[int]:
    """Return the seeds with which a mix is drawn, ascending."""
    return sorted({sampling_seed(study, seed) for seed in training_seeds(study, mix)})


def suite_shards(study: Study, suites: Iterable[str]) -> list[tuple[str, Split]]:
    """Return the source and split of every shard that the suites take items from."""
    benchmarks = [benchmark for suite in suites for benchmark in study.suites[suite].benchmarks.values()]
    shards = {(benchmark.source, benchmark.split) for benchmark in benchmarks}
    return [(source, split) for source in study.sources for split in SPLITS if (source, split) in shards]


def mix_sources(study: Study, mix: str) -> list[str]:
    """Return the sources that a mix draws from, or whose sizes it needs to know (`size: smallest`)."""
    described = study.mixes[mix]
    if described.size == "smallest":
        return trained_sources(study)
    ingredients = (described.shares or {}).keys() | (described.counts or {}).keys()
    return [
        name for name in trained_sources(study) if name in ingredients or study.sources[name].provenance in ingredients
    ]


def validation_sources(study: Study) -> list[str]:
    """Return the sources of the validation set that all mixes share."""
    provenances = validation_components(study)
    return [
        name
        for name, source in study.sources.items()
        if source.mixed and not source.compared and "validation" in source.splits and source.provenance in provenances
    ]


def earlier_sources(study: Study, source: str) -> list[str]:
    """Return the sources against which the training items of `source` are screened: those before it in the study."""
    if study.screening.mode == "off":
        return []
    names = trained_sources(study)
    return names[: names.index(source)] if source in names else []


def compared_shards(study: Study) -> list[tuple[str, Split]]:
    """Return the source and split of every shard that is only compared."""
    return [(name, split) for name, source in study.sources.items() if source.compared for split in source.splits]


def made_from_documents(study: Study, source: str) -> bool:
    """Say whether a source's items were generated by this study, or are translations of such."""
    kind, _, rest = (study.sources[source].made or "").partition("/")
    return kind == "generated" or (kind == "translated" and made_from_documents(study, rest.partition("/")[2]))


def quotable_shards(study: Study) -> tuple[list[tuple[str, Split]], list[tuple[str, Split]]]:
    """Return the shards whose questions a document must not quote: of tests, and of sources that are only compared.

    Both are empty where documents are not screened. Items that the study generates itself are not among them.
    """
    if study.screening.mode == "off" or study.screening.containment is None:
        return [], []
    tested, compared = suite_shards(study, study.screening.against), compared_shards(study)
    return (
        [(name, split) for name, split in tested if not made_from_documents(study, name)],
        [(name, split) for name, split in compared if not made_from_documents(study, name)],
    )


def documents(study: Study, collection: str) -> str:
    """Return the documents that items are generated from: the screened ones, where documents are screened."""
    folder = "screened_documents" if any(quotable_shards(study)) else "documents"
    return f"{folder}/{collection}.parquet"


def local_model(study: Study, name: str) -> Backbone:
    """Return where a model that judges, writes or translates comes from: a model of its own, or a backbone."""
    return study.local_models[name] if name in study.local_models else study.backbones[name]


def published_model(study: Study, model: str) -> PublishedModel | None:
    """Return the published model that answers as a model of the study, or None."""
    described = models(study).get(model)
    return None if described is None or described.published is None else study.published_models[described.published]


def answering_backbone(study: Study, model: str) -> Backbone:
    """Return the model that answers, without its adapter, for a model that answers in a job of its own."""
    described = models(study)[model]
    published = published_model(study, model)
    if published is not None and published.adapter_on is None and published.model is not None:
        return published.model
    return study.backbones[str(described.backbone)]


def chat_form(study: Study, model: str) -> ChatForm:
    """Return how chats are put to a model that answers suites: as to its backbone, or to the published model."""
    if (published := published_model(study, model)) is not None:
        return ChatForm() if published.model is None else published.model.chat
    return study.backbones[model.partition("/")[0]].chat


Asking = TypeVar("Asking", bound=Spec)


def with_form(study: Study, asking: Asking) -> Asking:
    """Return a backend, or what has one, with the form of chats of its backbone where it says none of its own."""
    backend: Any = getattr(asking, "backend", asking)
    if isinstance(backend, Engine) and "template_options" not in backend.model_fields_set:
        options = {"template_options": local_model(study, backend.model).chat.template_options}
    elif isinstance(backend, Causal) and not any(name in backend.model_fields_set for name in ChatForm.model_fields):
        options = dict(local_model(study, backend.backbone).chat)
    else:
        return asking
    completed: Any = backend.model_copy(update=options)
    return cast(Asking, completed) if asking is backend else asking.model_copy(update={"backend": completed})


def model_specs(study: Study) -> dict[str, ModelSpec]:
    """Return the spec of every folder below the models root, by the folder's name."""
    published = (entry.model for entry in study.published_models.values() if entry.model is not None)
    encoders = (
        encoder.backbone() for encoder in (study.scoring.encoder, study.screening.encoder) if encoder is not None
    )
    fetched = [encoder for encoder in encoders if encoder is not None]
    origins = [*study.backbones.values(), *study.local_models.values(), *published, *fetched]
    return {origin.folder_name(): _model_spec(origin) for origin in origins}


def _model_spec(origin: Backbone) -> ModelSpec:
    version = None if origin.gguf_package is None else installed_version(origin.gguf_package)
    return ModelSpec(name=origin.folder_name(), backbone=origin, package_version=version)


def reader_of(source: Source) -> str:
    """Return the reader of a source; items that the study made itself have one of their own."""
    return source.reader if source.made is None else "made"


def rated_sources(study: Study) -> list[str]:
    """Return the sources whose training items a judge rates for the quality screen."""
    quality = study.screening.quality
    if quality is None or study.screening.mode == "off":
        return []
    return [name for name in trained_sources(study) if quality.sources is None or name in quality.sources]


def screened_splits(study: Study) -> dict[str, tuple[Split, ...]]:
    """Return which splits of each source the study screens: all training items, and the shared validation set."""
    names: dict[Split, list[str]] = {"train": trained_sources(study), "validation": validation_sources(study)}
    screened = {name: tuple(split for split in names if name in names[split]) for name in study.sources}
    return {name: splits for name, splits in screened.items() if splits}


def encoder_version(encoder: EncoderOrigin | None) -> str | None:
    """Return the installed version of an encoder's package; None where it comes from elsewhere or is missing."""
    return None if encoder is None or encoder.package is None else installed_version(encoder.package)


def wordnet_files(study: Study) -> list[str]:
    """Return the files of the WordNet that METEOR takes its synonyms from."""
    folder = study.scoring.text.wordnet
    return [] if folder is None else sorted(str(path) for path in Path(folder).glob("*") if path.is_file())


def evaluated_models(study: Study) -> tuple[EvaluatedModel, ...]:
    """Return the models of the tables, in the order of the configuration."""
    return tuple(
        EvaluatedModel(
            name=model.id,
            kind=model.kind,
            backbone=model.backbone,
            mix=model.mix,
            seed=model.seed,
            published=model.published is not None,
        )
        for model in models(study).values()
    )


def size(study: Study, mix: str) -> str:
    """Return the number of items of a mix, or `smallest`, as the configuration has it."""
    described = study.mixes[mix]
    return str(described.size if described.size is not None else sum((described.counts or {}).values()))


def has_attribution(study: Study) -> bool:
    """Say whether the mixes determine what each component adds: all coalitions, or a design for a linear surface."""
    sizes = {mix: size(study, mix) for mix in study.mixes}
    blends = least_repeated({mix: blend(study, mix) for mix in study.mixes}, sizes, repeated_mixes(study))
    return has_all_coalitions(blends) or bool(linear_design(blends, sizes))


def has_surface(study: Study) -> bool:
    """Say whether the mixes can bear a surface: three different ones or more, of two components or more."""
    blends = [blend(study, mix) for mix in study.mixes]
    different = {tuple(sorted((name, round(share, 6)) for name, share in shares.items())) for shares in blends}
    return len(different) > 2 and len({name for shares in blends for name in shares}) > 1


def mixed_components(study: Study) -> tuple[str, ...]:
    """Return the components that the study's mixes hold, in the order of the study."""
    held = {name for mix in study.mixes for name in blend(study, mix)}
    return tuple(name for name in components(study) if name in held)


def tests_several_components(study: Study) -> bool:
    """Say whether some suite has items of several components, so that gains on them can be compared."""
    return bool(study.mixes) and any(
        len({study.sources[benchmark.source].provenance for benchmark in suite.benchmarks.values()}) > 1
        for suite in study.suites.values()
    )


def tested_tasks(study: Study, suite: str) -> set[Task]:
    """Return the tasks of a suite's benchmarks."""
    return {task for benchmark in study.suites[suite].benchmarks.values() for task in benchmark.tasks}


def choice_suites(study: Study) -> list[str]:
    """Return the suites that hold choice questions."""
    return [name for name in study.suites if tested_tasks(study, name) - {"oeq"}]


def open_suites(study: Study) -> list[str]:
    """Return the suites that hold open questions."""
    return [name for name in study.suites if "oeq" in tested_tasks(study, name)]


def parallel_collections(study: Study) -> list[str]:
    """Return the collections of parallel text; none where nobody translates them."""
    if not study.translators:
        return []
    return [name for name, collection in study.collections.items() if collection.reader in PARALLEL]


def generated_artifacts(study: Study) -> list[str]:
    """Return what the study's sources take from its generators and translators, each artifact once."""
    artifacts = []
    for source in study.sources.values():
        if source.made is not None:
            translated = source.made.startswith("translated/")
            artifacts += [f"{source.made}/{split}" for split in source.splits] if translated else [source.made]
    return list(dict.fromkeys(artifacts))


def published_names(study: Study) -> PublishedNames | None:
    """Return our names for what the published study holds; None where the study is compared with none."""
    return None if study.published is None else study.published.names()


def queried_judges(study: Study) -> tuple[str, ...]:
    """Return the judges of open answers that are asked, so that they cost something: not verdicts from files."""
    return tuple(name for name in suite_judges(study) if not isinstance(study.judges[name].backend, OutsideVerdicts))


def suite_judges(study: Study) -> tuple[str, ...]:
    """Return the judges that rate every open answer: the chosen one and those of the panel."""
    chosen = () if study.judging.chosen is None else (study.judging.chosen,)
    return tuple(dict.fromkeys([*chosen, *study.judging.panel]))
