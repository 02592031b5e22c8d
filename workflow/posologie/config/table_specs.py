"""What each table of a study depends on: one spec for each kind of table, with no more in it than changes it."""

from posologie.config import plan
from posologie.config.study import Study
from posologie.screening.spec import MatrixSpec, TopicsSpec
from posologie.statistics.spec import (
    AgreementSpec,
    CompositionSpec,
    ComputeSpec,
    CorrectedSpec,
    LeakageTableSpec,
    TableSpec,
)
from posologie.surface.spec import SurfaceSpec


def screening_table_spec(study: Study) -> MatrixSpec:
    """Return what the table of screening gathers."""
    return MatrixSpec(screened=plan.screened_splits(study))


def topics_spec(study: Study) -> TopicsSpec:
    """Return what the table of topic mismatch depends on."""
    return TopicsSpec(suites={name: study.suites[name] for name in plan.choice_suites(study)})


def table_spec(study: Study) -> TableSpec:
    """Return what the tables over all scores depend on."""
    return TableSpec(
        models=plan.evaluated_models(study),
        suites=study.suites,
        statistics=study.statistics,
        demonstration=study.demonstration,
        blends={mix: plan.blend(study, mix) for mix in study.mixes},
        sizes={mix: plan.size(study, mix) for mix in study.mixes},
        epochs=plan.repeated_mixes(study),
        components=tuple(study.components),
        neural=study.scoring.encoder is not None and bool(plan.open_suites(study)),
        judges=plan.suite_judges(study),
        panel=study.judging.panel,
        published=plan.published_names(study),
    )


def surface_spec(study: Study) -> SurfaceSpec:
    """Return what the table of surfaces depends on."""
    mixed = plan.mixed_components(study)
    return SurfaceSpec(
        **dict(table_spec(study)),
        surface=study.surface,
        order=mixed,
        prices={
            name: component.price
            for name, component in study.components.items()
            if component.price is not None and name in mixed
        },
        currency=study.currency,
    )


def leakage_table_spec(study: Study) -> LeakageTableSpec:
    """Return what the table of leakage depends on."""
    return LeakageTableSpec(**dict(table_spec(study)), similarity=study.screening.similarity)


def composition_spec(study: Study) -> CompositionSpec:
    """Return what the table of what each mix and each source holds depends on."""
    return CompositionSpec(
        mixes={mix: tuple(plan.sampling_seeds(study, mix)) for mix in study.mixes},
        shards={name: source.splits for name, source in study.sources.items()},
        components=tuple(study.components),
        epochs=study.training.recipe.epochs if study.mixes else None,
        unmixed=tuple(name for name, source in study.sources.items() if not source.mixed or source.compared),
        backbone=next(iter(study.backbones), None),
        prompting=study.prompting,
        published=plan.published_names(study),
    )


def compute_spec(study: Study) -> ComputeSpec:
    """Return what the table of costs depends on."""
    judging = {"judges": plan.queried_judges(study), "judged": tuple(plan.open_suites(study))}
    return ComputeSpec(models=plan.evaluated_models(study), suites=tuple(study.suites), **judging)


def agreement_spec(study: Study) -> AgreementSpec:
    """Return what the tables over human ratings depend on."""
    return AgreementSpec(
        sets=tuple(study.judging.ratings),
        judges=tuple(study.judges),
        panel=study.judging.panel,
        chosen=study.judging.chosen,
        thresholds={
            name: threshold
            for name, ratings in study.judging.ratings.items()
            if (threshold := ratings.right_from()) is not None
        },
        statistics=study.statistics,
        published=plan.published_names(study),
    )


def corrected_spec(study: Study) -> CorrectedSpec:
    """Return what the table of corrected scores depends on."""
    over_ratings = {name: value for name, value in agreement_spec(study) if name != "judges"}
    return CorrectedSpec(
        **over_ratings,
        judges=plan.suite_judges(study),
        models=plan.evaluated_models(study),
        suites=tuple(plan.open_suites(study)),
    )
