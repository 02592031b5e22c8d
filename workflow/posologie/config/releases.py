"""From the study to what leaves it: which models are merged, described and pushed, and the spec of each job."""

from posologie.config.plan import Model, models, trained_sources
from posologie.config.study import Study
from posologie.training.release_spec import CardSpec, Form, MergeSpec, PushSpec


def trained_models(study: Study) -> list[Model]:
    """Return the models that this study trains, in the order of the configuration."""
    return [model for model in models(study).values() if model.trained]


def released(study: Study) -> list[tuple[Model, Form]]:
    """Return each model that is released, in each form; a fully trained model is no adapter."""
    wanted = study.release.models
    forms = [form for form in study.release.forms if form != "adapter" or study.training.recipe.method != "full"]
    return [(model, form) for model in trained_models(study) if wanted is None or model.id in wanted for form in forms]


def merge_spec(model: str) -> MergeSpec:
    """Return what a merged model depends on."""
    return MergeSpec(model=model)


def card_spec(study: Study, model: Model, form: Form) -> CardSpec:
    """Return what a model card depends on."""
    return CardSpec(
        model=model.id,
        study=study.study,
        merged=form == "merged",
        base=_base(study, model),
        languages=languages_of(study),
        tags=study.release.tags,
        limits=study.release.limits,
        license=study.release.license,
    )


def languages_of(study: Study) -> tuple[str, ...]:
    """Return the language of the release, or those that the training sources declare, in their order."""
    if study.release.language is not None:
        return (study.release.language,)
    declared = (study.sources[name].language for name in trained_sources(study))
    return tuple(dict.fromkeys(language for language in declared if language is not None))


def push_spec(study: Study, model: Model, form: Form) -> PushSpec:
    """Return what a push depends on.

    Raises:
        ValueError: if the study names no repository, or one that is none on the hub.
    """
    if study.release.repository is None:
        raise ValueError("release.repository: missing, and required to push")
    return PushSpec(
        repository=study.release.repository.format(
            study=study.study, backbone=model.backbone, mix=model.mix, seed=model.seed, form=form
        ),
        base=_base(study, model),
        private=study.release.private,
        revision=study.release.revision,
        message=study.release.message,
    )


def _base(study: Study, model: Model) -> str | None:
    return None if model.backbone is None else study.backbones[model.backbone].hub
