"""From the study to the artifacts: which models, bundles and inputs there are, and the spec of each job."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from posologie.config.study import Study
from posologie.generation.synthesis.spec import SynthesisSpec
from posologie.generation.translation.spec import TranslationSpec
from posologie.items import PROVENANCES, SPLITS, Provenance, Split, Task
from posologie.judging.spec import CalibrationSpec, JudgingSpec
from posologie.mixes.spec import MixSpec
from posologie.models.spec import Backbone, ModelSpec
from posologie.prediction.endpoint_spec import EndpointPredictionSpec
from posologie.prediction.spec import PredictionSpec
from posologie.report.spec import BrowserSpec, ReportSpec
from posologie.scoring.spec import NeuralSpec, RatedSpec, ScoringSpec
from posologie.screening.spec import LeakageSpec, MatrixSpec, RatingSpec, ScreeningSpec, TopicsSpec
from posologie.sources.layouts import PARALLEL, patterns
from posologie.sources.spec import ShardSpec, Source
from posologie.statistics.spec import AgreementSpec, CompositionSpec, ComputeSpec, EvaluatedModel, TableSpec
from posologie.training.spec import TrainingSpec

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


def models(study: Study) -> dict[str, Model]:
    """Return the study's models by id: base and each mix and seed of every backbone, then the published models."""
    trained = [(mix, seed) for mix in study.mixes for seed in study.training.seeds]
    instead = {one.in_place_of: name for name, one in study.published_models.items() if one.in_place_of is not None}
    found = []
    for backbone in study.backbones:
        found.append(Model(f"{backbone}/base", backbone))
        for mix, seed in trained:
            name = f"{backbone}/{mix}/seed-{seed}"
            found.append(Model(name, backbone, mix, seed, instead.get(name)))
    for name, published in study.published_models.items():
        if published.in_place_of is None:
            found.append(Model(f"published/{name}", published.adapter_on, published.mix, None, name))
    return {model.id: model for model in found}


def served_models(study: Study) -> list[str]:
    """Return the ids of the models that answer behind an endpoint."""
    served = {name for name, published in study.published_models.items() if published.served is not None}
    return [model.id for model in models(study).values() if model.published in served]


def bundles(study: Study) -> dict[str, tuple[str, ...]]:
    """Return which suites each prediction job answers: the configured bundles, then one for each suite that is left."""
    bundled = {suite for suites in study.prediction.bundles.values() for suite in suites}
    alone = {suite: (suite,) for suite in study.suites if suite not in bundled}
    return {**study.prediction.bundles, **alone}


def sampling_seed(study: Study, training_seed: int) -> int:
    """Return the seed of the draw of the mixes that a training seed uses."""
    fixed = study.training.sampling_seed
    return training_seed if fixed is None else fixed


def sampling_seeds(study: Study) -> list[int]:
    """Return the seeds with which mixes are drawn, ascending."""
    return sorted({sampling_seed(study, seed) for seed in study.training.seeds})


def suite_shards(study: Study, suites: Iterable[str]) -> list[tuple[str, Split]]:
    """Return the source and split of every shard that the suites take items from."""
    benchmarks = [benchmark for suite in suites for benchmark in study.suites[suite].benchmarks.values()]
    wanted = {(benchmark.source, benchmark.split) for benchmark in benchmarks}
    return [(source, split) for source in study.sources for split in SPLITS if (source, split) in wanted]


def trained_sources(study: Study) -> list[str]:
    """Return the sources that have a train split, in the order of the configuration."""
    return [name for name, source in study.sources.items() if source.mixed and "train" in source.splits]


def mix_sources(study: Study, mix: str) -> list[str]:
    """Return the sources that a mix draws from, or whose sizes it needs to know (`size: smallest`)."""
    wanted = study.mixes[mix]
    if wanted.size == "smallest":
        return trained_sources(study)
    parts = (wanted.shares or {}).keys() | (wanted.counts or {}).keys()
    return [name for name in trained_sources(study) if name in parts or study.sources[name].provenance in parts]


def validation_sources(study: Study) -> list[str]:
    """Return the sources of the validation set that all mixes share."""
    provenances = study.validation.provenances
    return [
        name
        for name, source in study.sources.items()
        if source.mixed and "validation" in source.splits and source.provenance in provenances
    ]


def earlier_sources(study: Study, source: str) -> list[str]:
    """Return the sources against which the training items of `source` are screened: those before it in the study."""
    if study.screening.mode == "off":
        return []
    names = trained_sources(study)
    return names[: names.index(source)] if source in names else []


def local_model(study: Study, name: str) -> Backbone:
    """Return where a model that judges, writes or translates comes from: a model of its own, or a backbone."""
    return study.local_models[name] if name in study.local_models else study.backbones[name]


def model_specs(study: Study) -> dict[str, ModelSpec]:
    """Return the spec of every folder below the models root, by the folder's name."""
    published = (one.model for one in study.published_models.values() if one.model is not None)
    encoders = [encoder_backbone(study)] if study.scoring.encoder is not None and study.scoring.encoder.hub else []
    origins = [*study.backbones.values(), *study.local_models.values(), *published, *encoders]
    return {origin.folder_name(): ModelSpec(name=origin.folder_name(), backbone=origin) for origin in origins}


def reader_of(source: Source) -> str:
    """Return the reader of a source; items that the study made itself have one of their own."""
    return source.reader if source.made is None else "made"


def shard_spec(study: Study, source: str, split: Split) -> ShardSpec:
    """Return what a shard depends on."""
    described = study.sources[source]
    return ShardSpec(
        source=source,
        provenance=described.provenance,
        split=split,
        patterns=patterns(described, split) if described.hub is not None else (),
        options=described.options,
    )


def screening_spec(study: Study, source: str, split: Split) -> ScreeningSpec:
    """Return what a screened shard depends on."""
    suites = {} if study.screening.mode == "off" else {name: study.suites[name] for name in study.screening.against}
    return ScreeningSpec(source=source, split=split, screening=study.screening, suites=suites)


def rated_sources(study: Study) -> list[str]:
    """Return the sources whose training items a judge rates for the quality screen."""
    quality = study.screening.quality
    if quality is None or study.screening.mode == "off":
        return []
    return [name for name in trained_sources(study) if quality.sources is None or name in quality.sources]


def rating_spec(study: Study, judge: str, source: str) -> RatingSpec:
    """Return what a judge's ratings of a source's training items depend on.

    Raises:
        ValueError: if the study has no quality screen.
    """
    quality = study.screening.quality
    if quality is None:
        raise ValueError("screening.quality: missing, and required for ratings")
    return RatingSpec(
        judge=judge, source=source, tasks=quality.tasks, backend=study.judges[judge].backend, rating=quality.rating
    )


def screened_splits(study: Study) -> dict[str, tuple[Split, ...]]:
    """Return which splits of each source the study screens: all training items, and the shared validation set."""
    names: dict[Split, list[str]] = {"train": trained_sources(study), "validation": validation_sources(study)}
    wanted = {name: tuple(split for split in names if name in names[split]) for name in study.sources}
    return {name: splits for name, splits in wanted.items() if splits}


def screening_table_spec(study: Study) -> MatrixSpec:
    """Return what the table of screening gathers."""
    return MatrixSpec(screened=screened_splits(study))


def topics_spec(study: Study) -> TopicsSpec:
    """Return what the table of topic mismatch depends on."""
    return TopicsSpec(suites={name: study.suites[name] for name in choice_suites(study)})


def leakage_spec(study: Study, mix: str, suite: str) -> LeakageSpec:
    """Return what the audit of one mix against one suite depends on."""
    return LeakageSpec(
        mix=mix,
        suite=suite,
        tested=study.suites[suite],
        similarity=study.screening.similarity,
        shingle=study.screening.shingle,
    )


def mix_spec(study: Study, mix: str, seed: int) -> MixSpec:
    """Return what a mix depends on."""
    names = [*mix_sources(study, mix), *validation_sources(study)]
    return MixSpec(
        name=mix,
        mix=study.mixes[mix],
        seed=seed,
        provenance_of={name: study.sources[name].provenance for name in sorted(set(names))},
        validation=study.validation,
    )


def training_spec(study: Study, backbone: str, mix: str, seed: int) -> TrainingSpec:
    """Return what an adapter depends on."""
    return TrainingSpec(
        backbone=backbone,
        mix=mix,
        seed=seed,
        recipe=study.training.recipe,
        prompting=study.prompting,
        threads=study.training.threads,
    )


def prediction_spec(study: Study, model: str, bundle: str) -> PredictionSpec:
    """Return what one model's answers to one bundle of suites depend on."""
    return PredictionSpec(
        model=model,
        suites={name: study.suites[name] for name in bundles(study)[bundle]},
        prompting=study.prompting,
        precision=study.prediction.precision,
        seed=study.prediction.seed,
        threads=study.prediction.threads,
    )


def endpoint_prediction_spec(study: Study, model: str, bundle: str) -> EndpointPredictionSpec:
    """Return what a served model's answers to one bundle of suites depend on.

    Raises:
        ValueError: if the model is not a served one.
    """
    name = models(study)[model].published
    served = None if name is None else study.published_models[name].served
    if served is None:
        raise ValueError(f"{model}: not a served model")
    return EndpointPredictionSpec(
        model=model,
        suites={name: study.suites[name] for name in bundles(study)[bundle]},
        prompting=study.prompting,
        seed=study.prediction.seed,
        backend=served.backend,
        temperature=served.temperature,
        choice_new_tokens=served.choice_new_tokens,
    )


def scoring_spec(study: Study, suite: str) -> ScoringSpec:
    """Return what the scores of one suite depend on."""
    return ScoringSpec(suite=study.suites[suite], text=study.scoring.text)


def neural_spec(study: Study, suite: str) -> NeuralSpec:
    """Return what the neural scores of one suite depend on.

    Raises:
        ValueError: if the study names no encoder.
    """
    if study.scoring.encoder is None:
        raise ValueError("scoring.encoder: missing, and required for neural scores")
    return NeuralSpec(suite=study.suites[suite], encoder=study.scoring.encoder, threads=study.prediction.threads)


def encoder_backbone(study: Study) -> Backbone:
    """Return an encoder on the hub as a model to be fetched."""
    encoder = study.scoring.encoder
    return Backbone(hub=encoder.hub, revision=encoder.revision) if encoder is not None else Backbone()


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


def table_spec(study: Study) -> TableSpec:
    """Return what the tables over all scores depend on."""
    return TableSpec(
        models=evaluated_models(study),
        suites=study.suites,
        statistics=study.statistics,
        demonstration=study.demonstration,
        blends={mix: blend(study, mix) for mix in study.mixes},
        neural=study.scoring.encoder is not None and bool(open_suites(study)),
        judges=(study.judging.chosen,) if study.judging.chosen is not None else (),
    )


def composition_spec(study: Study) -> CompositionSpec:
    """Return what the table of what each mix and each source holds depends on."""
    return CompositionSpec(
        mixes={mix: tuple(sampling_seeds(study)) for mix in study.mixes},
        shards={name: source.splits for name, source in study.sources.items()},
        unmixed=tuple(name for name, source in study.sources.items() if not source.mixed),
        backbone=next(iter(study.backbones)),
        prompting=study.prompting,
    )


def compute_spec(study: Study) -> ComputeSpec:
    """Return what the table of costs depends on."""
    return ComputeSpec(models=evaluated_models(study), suites=tuple(study.suites))


def agreement_spec(study: Study) -> AgreementSpec:
    """Return what the tables over human ratings depend on."""
    return AgreementSpec(
        sets=tuple(study.judging.ratings),
        judges=tuple(study.judges),
        chosen=study.judging.chosen,
        thresholds={
            name: threshold
            for name, ratings in study.judging.ratings.items()
            if (threshold := ratings.right_from()) is not None
        },
        statistics=study.statistics,
    )


def rated_spec(study: Study) -> RatedSpec:
    """Return what the scores of answers that people rated depend on."""
    return RatedSpec(text=study.scoring.text, encoder=study.scoring.encoder, threads=study.prediction.threads)


def blend(study: Study, mix: str) -> dict[Provenance, float]:
    """Return the share of each provenance in a mix, as configured; they sum to 1."""
    described = study.mixes[mix]
    parts: Mapping[str, float] = described.shares or described.counts or {}
    found: dict[Provenance, float] = {}
    for part, amount in parts.items():
        provenance = next((known for known in PROVENANCES if known == part), None) or study.sources[part].provenance
        found[provenance] = found.get(provenance, 0) + amount / sum(parts.values())
    return found


def has_all_coalitions(study: Study) -> bool:
    """Say whether every coalition of the three provenances is a mix in equal shares, as the attribution needs."""
    blends = [blend(study, mix) for mix in study.mixes]
    return len({frozenset(one) for one in blends if max(one.values()) - min(one.values()) < 1e-9}) == 7


def asked_tasks(study: Study, suite: str) -> set[Task]:
    """Return the tasks of a suite's benchmarks."""
    return {task for benchmark in study.suites[suite].benchmarks.values() for task in benchmark.tasks}


def choice_suites(study: Study) -> list[str]:
    """Return the suites that hold choice questions."""
    return [name for name in study.suites if asked_tasks(study, name) - {"oeq"}]


def open_suites(study: Study) -> list[str]:
    """Return the suites that hold open questions."""
    return [name for name in study.suites if "oeq" in asked_tasks(study, name)]


def report_spec(study: Study, tables: Iterable[str]) -> ReportSpec:
    """Return what the page and the figures depend on."""
    return ReportSpec(
        study=study.study,
        title=study.title,
        demonstration=study.demonstration,
        mixes=tuple(study.mixes),
        models=evaluated_models(study),
        suites=tuple(study.suites),
        tables=tuple(tables),
        statistics=study.statistics,
        report=study.report,
    )


def browser_spec(study: Study) -> BrowserSpec:
    """Return what the item browser depends on."""
    scales = {name: ratings.scale.values.values() for name, ratings in study.judging.ratings.items()}
    given = {name: ratings.right_from() for name, ratings in study.judging.ratings.items()}
    return BrowserSpec(
        models=evaluated_models(study),
        suites=tuple(study.suites),
        judges=(study.judging.chosen,) if study.judging.chosen is not None and open_suites(study) else (),
        ratings={name: given[name] or (min(values) + max(values)) / 2 for name, values in scales.items()},
        items_per_file=study.report.items_per_file,
    )


def judging_spec(study: Study, judge: str, model: str, suite: str) -> JudgingSpec:
    """Return what one judge's verdicts on a model's answers depend on."""
    return JudgingSpec(name=judge, model=model, suite=suite, judge=study.judges[judge])


def calibration_spec(study: Study, judge: str, ratings: str) -> CalibrationSpec:
    """Return what one judge's verdicts on a set of human ratings depend on."""
    return CalibrationSpec(name=judge, set=ratings, judge=study.judges[judge])


def synthesis_spec(study: Study, generator: str, collection: str) -> SynthesisSpec:
    """Return what the items that a generator makes from a collection depend on."""
    return SynthesisSpec(name=generator, collection=collection, generator=study.generators[generator])


def translation_spec(study: Study, translator: str, source: str, split: Split) -> TranslationSpec:
    """Return what the translation of a split depends on."""
    return TranslationSpec(name=translator, source=source, split=split, translator=study.translators[translator])


def parallel_collections(study: Study) -> list[str]:
    """Return the collections of parallel text; none where nobody translates them."""
    if not study.translators:
        return []
    return [name for name, collection in study.collections.items() if collection.reader in PARALLEL]


def made_artifacts(study: Study) -> list[str]:
    """Return what the study's sources take from its generators and translators, each artifact once."""
    made = []
    for source in study.sources.values():
        if source.made is not None:
            translated = source.made.startswith("translated/")
            made += [f"{source.made}/{split}" for split in source.splits] if translated else [source.made]
    return list(dict.fromkeys(made))
