"""What each job of a study depends on, tables aside (`table_specs`): one spec for each artifact.

A spec holds no more than changes the artifact.
"""

from collections.abc import Iterable
from typing import Any

from posologie.config import plan
from posologie.config.language import declared_languages, in_other_languages, prompting_of
from posologie.config.study import Study
from posologie.generation.spec import SynthesisSpec, TranslationSpec
from posologie.judging.spec import CalibrationSpec, JudgingSpec, OutsideVerdicts
from posologie.language.answer_words import answer_words_digest
from posologie.language.languages import described_languages, language_digest
from posologie.look.spec import LookSpec
from posologie.mixes.spec import MixSpec
from posologie.models.spec import ChatForm
from posologie.prediction.other_specs import Asked, EndpointPredictionSpec, OutsidePredictionSpec
from posologie.prediction.spec import PredictionSpec
from posologie.records.components import Shown
from posologie.records.items import Split
from posologie.report.spec import BrowserSpec, PromptForm, ReportSpec
from posologie.running.errors import InputError
from posologie.scoring.spec import NeuralSpec, RatedSpec, ScoringSpec
from posologie.screening.spec import (
    Comparing,
    DocumentsSpec,
    LeakageSpec,
    RatingSpec,
    ScreeningSpec,
    tested_parts,
)
from posologie.sources.layouts import patterns
from posologie.sources.spec import ShardSpec
from posologie.training.spec import TrainingSpec


def shard_spec(study: Study, source: str, split: Split) -> ShardSpec:
    """Return what a shard depends on."""
    described = study.sources[source]
    codes = described_languages() if described.language is None else (described.language,)
    return ShardSpec(
        source=source,
        provenance=described.provenance,
        split=split,
        patterns=patterns(described, split) if described.hub is not None else (),
        options=described.options,
        language=described.language,
        phrases={code: digest for code in codes if (digest := language_digest(code)) is not None},
        reject_limit=described.reject_limit,
    )


def screening_spec(study: Study, source: str, split: Split) -> ScreeningSpec:
    """Return what a screened shard depends on."""
    off = study.screening.mode == "off"
    suites = {} if off else {name: study.suites[name] for name in study.screening.against}
    others = [] if off else [source, *plan.earlier_sources(study, source)]
    return ScreeningSpec(
        source=source,
        split=split,
        screening=study.screening,
        suites=suites,
        encoder_version=plan.encoder_version(study.screening.encoder),
        languages=declared_languages(study, others, suites),
    )


def documents_spec(study: Study, collection: str) -> DocumentsSpec:
    """Return what the screened documents of a collection depend on.

    Raises:
        ValueError: if the study screens no documents.
    """
    screening = study.screening
    if screening.mode == "off" or screening.containment is None:
        raise ValueError("screening: mode off or containment null, and both are required to screen documents")
    tested, _ = plan.quotable_shards(study)
    sources = {name for name, _ in tested}
    quoted = {
        name: [benchmark for benchmark in tested_parts(study.suites[name]) if benchmark.source in sources]
        for name in screening.against
    }
    return DocumentsSpec(
        collection=collection,
        mode=screening.mode,
        containment=screening.containment,
        containment_share=screening.containment_share,
        suites={name: tuple(benchmarks) for name, benchmarks in quoted.items() if benchmarks},
    )


def rating_spec(study: Study, judge: str, source: str) -> RatingSpec:
    """Return what a judge's ratings of a source's training items depend on.

    Raises:
        ValueError: if the study has no quality screen.
    """
    quality = study.screening.quality
    if quality is None:
        raise ValueError("screening.quality: missing, and required for ratings")
    backend = study.judges[judge].backend
    if isinstance(backend, OutsideVerdicts):
        raise ValueError(f"judges.{judge}: cannot be asked, because its verdicts come from files")
    return RatingSpec(
        judge=judge, source=source, tasks=quality.tasks, backend=plan.with_form(study, backend), rating=quality.rating
    )


def comparing(study: Study) -> Comparing:
    """Return what makes two items alike, without how a shard is screened."""
    return Comparing(**{name: getattr(study.screening, name) for name in Comparing.model_fields})


def leakage_spec(study: Study, mix: str, suite: str) -> LeakageSpec:
    """Return what the audit of one mix against one suite depends on."""
    return LeakageSpec(
        mix=mix,
        suite=suite,
        tested=study.suites[suite],
        encoder_version=plan.encoder_version(study.screening.encoder),
        languages=declared_languages(study, plan.mix_sources(study, mix), [suite]),
        **comparing(study).model_dump(),
    )


def mix_spec(study: Study, mix: str, seed: int) -> MixSpec:
    """Return what a mix depends on."""
    names = [*plan.mix_sources(study, mix), *plan.validation_sources(study)]
    return MixSpec(
        name=mix,
        mix=study.mixes[mix],
        seed=seed,
        provenance_of={name: study.sources[name].provenance for name in sorted(set(names))},
        validation=study.validation,
        comparing=comparing(study),
        encoder_version=plan.encoder_version(study.screening.encoder),
    )


def look_spec(study: Study) -> LookSpec:
    """Return what the pages about the data depend on.

    Raises:
        InputError: if a source has the name of the page about all of them.
    """
    if "index" in study.sources:
        raise InputError("sources.index: its page would be the one about all sources; expected another name")
    return LookSpec(
        study=study.study,
        title=study.title,
        language=study.report.language,
        sources=study.sources,
        order=tuple(study.sources),
        suites=study.suites,
        screening=study.screening,
        screened=plan.screened_splits(study),
        earlier={name: tuple(plan.earlier_sources(study, name)) for name in study.sources},
        mixes=study.mixes,
        mix_order=tuple(study.mixes),
        mix_sources={mix: tuple(plan.mix_sources(study, mix)) for mix in study.mixes},
        validation=study.validation,
        validation_sources=tuple(plan.validation_sources(study)),
        prompting=study.prompting,
        max_length=study.training.recipe.max_length,
        backbone=next(iter(study.backbones)),
    )


def training_spec(study: Study, backbone: str, mix: str, seed: int) -> TrainingSpec:
    """Return what an adapter depends on."""
    prompting = prompting_of(study, [*plan.mix_sources(study, mix), *plan.validation_sources(study)])
    chat, recipe = study.backbones[backbone].chat, study.training.recipe
    return TrainingSpec(backbone=backbone, mix=mix, seed=seed, recipe=recipe, prompting=prompting, chat=chat)


def _questions(study: Study, model: str, names: Iterable[str]) -> dict[str, Any]:
    """Return what a model is asked in some suites, and how."""
    suites = {name: study.suites[name] for name in names}
    tested = {benchmark.source for suite in suites.values() for benchmark in suite.benchmarks.values()}
    return {
        "model": model,
        "suites": suites,
        "prompting": prompting_of(study, tested),
        "seed": study.prediction.seed,
        "chat": plan.chat_form(study, model),
        "answer_words": answer_words_digest(),
    }


def prediction_spec(study: Study, model: str, bundle: str) -> PredictionSpec:
    """Return what one model's answers to one bundle of suites depend on."""
    questions, described = _questions(study, model, plan.bundles(study)[bundle]), study.prediction
    return PredictionSpec(**questions, precision=described.precision, long_prompts=described.long_prompts)


def endpoint_prediction_spec(study: Study, model: str, suites: Iterable[str]) -> EndpointPredictionSpec:
    """Return what a served model's answers to some suites depend on; a model that is not served is a ValueError."""
    published = plan.published_model(study, model)
    if published is None or (served := published.served) is None:
        raise ValueError(f"{model}: not a served model")
    settings = {name: getattr(plan.with_form(study, served), name) for name in Asked.model_fields}
    return EndpointPredictionSpec(**_questions(study, model, suites), **settings)


def outside_prediction_spec(study: Study, model: str, bundle: str) -> OutsidePredictionSpec:
    """Return what the predictions of a model whose answers come from files depend on; another one is a ValueError."""
    published = plan.published_model(study, model)
    if published is None or published.answers is None:
        raise ValueError(f"{model}: its answers are not from outside")
    return OutsidePredictionSpec(
        **_questions(study, model, plan.bundles(study)[bundle]), **published.answers.model_dump()
    )


def scoring_spec(study: Study, suite: str) -> ScoringSpec:
    """Return what the scores of one suite depend on."""
    tested = {benchmark.source for benchmark in study.suites[suite].benchmarks.values()}
    sources = {name: text for name, text in study.scoring.sources.items() if name in tested}
    return ScoringSpec(suite=study.suites[suite], text=study.scoring.text, sources=sources)


def neural_spec(study: Study, suite: str) -> NeuralSpec:
    """Return what the neural scores of one suite depend on.

    Raises:
        ValueError: if the study names no encoder.
    """
    if study.scoring.encoder is None:
        raise ValueError("scoring.encoder: missing, and required for neural scores")
    return NeuralSpec(
        suite=study.suites[suite],
        encoder=study.scoring.encoder,
        package_version=plan.encoder_version(study.scoring.encoder),
    )


def rated_spec(study: Study) -> RatedSpec:
    """Return what the scores of answers that people rated depend on."""
    return RatedSpec(
        text=study.scoring.text,
        encoder=study.scoring.encoder,
        package_version=plan.encoder_version(study.scoring.encoder),
    )


def report_spec(study: Study, tables: Iterable[str]) -> ReportSpec:
    """Return what the page and the figures depend on."""
    return ReportSpec(
        study=study.study,
        title=study.title,
        demonstration=study.demonstration,
        mixes=tuple(study.mixes),
        models=plan.evaluated_models(study),
        suites=tuple(study.suites),
        tables=tuple(tables),
        components=Shown.of(plan.components(study)),
        statistics=study.statistics,
        report=study.report,
        licenses=study.licenses,
    )


def browser_spec(study: Study) -> BrowserSpec:
    """Return what the item browser depends on."""
    scales = {name: ratings.scale.values.values() for name, ratings in study.judging.ratings.items()}
    thresholds = {name: ratings.right_from() for name, ratings in study.judging.ratings.items()}
    tested = {benchmark.source for suite in study.suites.values() for benchmark in suite.benchmarks.values()}
    return BrowserSpec(
        study=study.study,
        models=plan.evaluated_models(study),
        suites=tuple(study.suites),
        mixes={mix: tuple(plan.sampling_seeds(study, mix)) for mix in study.mixes},
        prompting=prompting_of(study, tested),
        forms=_prompt_forms(study),
        text_metric=study.statistics.primary_text.metric,
        judges=(study.judging.chosen,) if study.judging.chosen is not None and plan.open_suites(study) else (),
        languages=in_other_languages(study, study.report.language),
        ratings={name: thresholds[name] or (min(values) + max(values)) / 2 for name, values in scales.items()},
        items_per_file=study.report.items_per_file,
    )


def _prompt_forms(study: Study) -> tuple[PromptForm, ...]:
    """Return which models were sent the same prompts; what was sent for answers from files is not known."""
    served, outside = plan.served_models(study), plan.outside_models(study)
    groups: dict[tuple[str, str], list[str]] = {}
    for model in plan.models(study):
        if model not in outside:
            folder = "" if model in served else plan.answering_backbone(study, model).folder_name()
            form = ChatForm() if model in served else plan.chat_form(study, model)
            groups.setdefault((folder, form.canonical_json()), []).append(model)
    return tuple(
        PromptForm(models=tuple(models), backbone=folder, chat=ChatForm.from_json(form))
        for (folder, form), models in groups.items()
    )


def judging_spec(study: Study, judge: str, model: str, suite: str) -> JudgingSpec:
    """Return what one judge's verdicts on a model's answers depend on."""
    return JudgingSpec(name=judge, model=model, suite=suite, judge=plan.with_form(study, study.judges[judge]))


def calibration_spec(study: Study, judge: str, ratings: str) -> CalibrationSpec:
    """Return what one judge's verdicts on a set of human ratings depend on."""
    return CalibrationSpec(name=judge, set=ratings, judge=plan.with_form(study, study.judges[judge]))


def synthesis_spec(study: Study, generator: str, collection: str) -> SynthesisSpec:
    """Return what the items that a generator makes from a collection depend on."""
    described = study.generators[generator]
    maker, phrases = plan.with_form(study, described), language_digest(described.language)
    return SynthesisSpec(name=generator, collection=collection, generator=maker, phrases=phrases)


def translation_spec(study: Study, translator: str, source: str, split: Split) -> TranslationSpec:
    """Return what the translation of a split depends on."""
    maker = plan.with_form(study, study.translators[translator])
    return TranslationSpec(name=translator, source=source, split=split, translator=maker)
