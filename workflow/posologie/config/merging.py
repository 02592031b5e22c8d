"""From the study to what is merged: proxies for mixes, and the models that leave the study."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from posologie.config import job_specs, plan
from posologie.config.plan import Model, models, trained_sources
from posologie.config.study import Study
from posologie.prediction.other_specs import MergedPredictionSpec
from posologie.release.spec import CardSpec, Form, MergeSpec, PushSpec
from posologie.running.errors import InputError
from posologie.statistics.spec import ProxyModel, ProxySpec


@dataclass(frozen=True, slots=True)
class Proxy:
    """A model that stands in for one that is not trained: single-component models of one seed, merged.

    Attributes:
        id: its folder under `predictions/` and `scores/`.
        name: `merged-{mix}`, `merged-{numbers of a lattice}` or `merged-{name}`.
        shares: of components, in the order of the study; they sum to 1.
        of: mix of a component alone → its share.
        stands_for: the trained mix of these shares, or None.
    """

    id: str
    backbone: str
    name: str
    seed: int
    shares: dict[str, float]
    of: dict[str, float]
    stands_for: str | None


def single_component_mixes(study: Study) -> dict[str, str]:
    """Return component → the mix whose models hold it alone, in the order of the mixes, as proxies are merged of them.

    Raises:
        InputError: if a component has several and `proxies.merged.models` names none of them.
    """
    named = study.proxies.merged.models if study.proxies.merged is not None else {}
    mixes_of: dict[str, list[str]] = {}
    for mix in study.mixes:
        if len(shares := plan.blend(study, mix)) == 1 and (
            mix not in plan.repeated_mixes(study) or mix == named.get(next(iter(shares)))
        ):
            mixes_of.setdefault(next(iter(shares)), []).append(mix)
    for component, mix in named.items():
        if mix not in mixes_of.get(component, []):
            choices = ", ".join(mixes_of.get(component, [])) or "none"
            raise InputError(f"proxies.merged.models.{component} = '{mix}': expected a mix of it alone ({choices})")
    for component, mixes in mixes_of.items():
        if len(mixes) > 1 and component not in named:
            raise InputError(
                f"proxies.merged: {', '.join(mixes)} all hold {component} alone; name one in proxies.merged.models"
            )
    return {component: named.get(component, mixes[0]) for component, mixes in mixes_of.items()}


def merged_models(study: Study) -> dict[str, Proxy]:
    """Return the study's merged models by id: of trained mixes, of a lattice, and by name, for each backbone and seed.

    Mixes of equal shares are merged once, under the first of their names.

    Raises:
        InputError: if a component has no models of its own to merge, or two proxies have one name.
    """
    if (settings := study.proxies.merged) is None:
        return {}
    single = single_component_mixes(study)
    shares_of: dict[str, tuple[dict[str, float], str | None]] = {}
    taken: set[tuple[float, ...]] = set()

    def add(name: str, weights: Mapping[str, float], mix: str | None) -> None:
        """Add a proxy with these relative weights, unless there is one of the same shares."""
        for component in weights:
            if component not in single:
                raise InputError(
                    f"proxies.merged: {name} needs models of {component} alone; add a mix of it, or leave {name} out"
                )
        total = sum(weights.values())
        shares = {component: weights[component] / total for component in single if weights.get(component)}
        rounded = tuple(round(shares.get(component, 0.0), 9) for component in single)
        if len(shares) > 1 and rounded not in taken:
            if f"merged-{name}" in shares_of:
                raise InputError(f"proxies.merged: two merged models of different shares are called {name}")
            taken.add(rounded)
            shares_of[f"merged-{name}"] = shares, mix

    for mix in study.mixes if settings.of_mixes else ():
        if mix not in plan.repeated_mixes(study) and set(shares := plan.blend(study, mix)) <= set(single):
            add(mix, shares, mix)
    for name, weights in settings.mixes.items():
        add(name, weights, None)
    for numbers in _lattice(len(single), settings.lattice) if settings.lattice is not None else ():
        add("-".join(map(str, numbers)), dict(zip(single, numbers, strict=True)), None)
    proxies = {}
    for backbone in study.backbones:
        for name, (shares, trained_mix) in shares_of.items():
            of = {single[component]: share for component, share in shares.items()}
            for seed in study.training.seeds:
                key = f"{backbone}/{name}/seed-{seed}"
                proxies[key] = Proxy(key, backbone, name, seed=seed, shares=shares, of=of, stands_for=trained_mix)
    return proxies


def _lattice(components: int, steps: int) -> Iterator[tuple[int, ...]]:
    """Yield all ways to give `steps` parts to components, some of them none."""
    if components == 1:
        yield (steps,)
        return
    for first in range(steps, -1, -1):
        for rest in _lattice(components - 1, steps - first):
            yield (first, *rest)


def bundles(study: Study) -> dict[str, tuple[str, ...]]:
    """Return which suites each prediction job of a merged model answers: those with choice questions."""
    chosen = set(plan.choice_suites(study))
    choice = {name: tuple(suite for suite in suites if suite in chosen) for name, suites in plan.bundles(study).items()}
    return {name: suites for name, suites in choice.items() if suites}


def prediction_spec(study: Study, proxy: str, bundle: str) -> MergedPredictionSpec:
    """Return what a merged model's answers to the choice suites of one bundle depend on.

    Raises:
        ValueError: if the study merges none.
    """
    if study.proxies.merged is None:
        raise ValueError("proxies.merged: missing")
    spec = job_specs.prediction_spec(study, proxy, bundle)
    return MergedPredictionSpec(
        **{**dict(spec), "suites": {name: spec.suites[name] for name in bundles(study)[bundle]}},
        shares=merged_models(study)[proxy].of,
        rank=study.proxies.merged.rank,
    )


def table_spec(study: Study) -> ProxySpec:
    """Return what the table of proxies depends on."""
    proxies = merged_models(study)
    trained = {
        f"{proxy.backbone}/{proxy.stands_for}/seed-{proxy.seed}" for proxy in proxies.values() if proxy.stands_for
    }
    suites_asked = {suite for suites in bundles(study).values() for suite in suites}
    return ProxySpec(
        models=tuple(model for model in plan.evaluated_models(study) if model.name in trained),
        proxies={
            name: ProxyModel(
                backbone=proxy.backbone,
                name=proxy.name,
                seed=proxy.seed,
                shares=proxy.shares,
                stands_for=proxy.stands_for,
            )
            for name, proxy in proxies.items()
        },
        suites=tuple(suite for suite in study.suites if suite in suites_asked),
        statistics=study.statistics,
    )


def trained_models(study: Study) -> list[Model]:
    """Return the models that this study trains, in the order of the configuration."""
    return [model for model in models(study).values() if model.trained]


def released(study: Study) -> list[tuple[Model, Form]]:
    """Return each model that is released, in each form; a fully trained model is no adapter."""
    released_models = study.release.models
    forms = [form for form in study.release.forms if form != "adapter" or study.training.recipe.method != "full"]
    return [
        (model, form)
        for model in trained_models(study)
        if released_models is None or model.id in released_models
        for form in forms
    ]


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
