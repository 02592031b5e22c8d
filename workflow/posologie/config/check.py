"""What one section of a study says of another: names that must exist, checked before any job."""

import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path

from posologie.backends.spec import Engine
from posologie.config import merging, plan
from posologie.config.check_sections import (
    check_components,
    check_engine,
    check_local_model,
    check_published,
    check_served,
    check_statistics,
    misspelt,
    unknown,
)
from posologie.config.check_training import check_training
from posologie.config.study import PublishedModel, Study
from posologie.generation.spec import Generator, Translator
from posologie.judging.spec import Judge, OutsideVerdicts
from posologie.mixes.spec import doses
from posologie.records.components import DEFAULT
from posologie.records.layout import downloaded
from posologie.records.specs import checked_path
from posologie.running.errors import InputError
from posologie.scoring.spec import missing_packages
from posologie.sources.layouts import (
    LAYOUTS,
    check_options,
    collection_files,
    collection_patterns,
    local_files,
    patterns,
)
from posologie.sources.spec import Collection, Source

_LONGEST_FOLDER = 200
"""Bytes of the name of a model's or data set's folder: file systems take 255, temporary names included."""


def check_references(study: Study) -> None:
    """Check that every name that one section uses is defined by another, and that paths can be used as they are.

    Raises:
        InputError: naming the key, its value and what was expected.
    """
    check_components(study)
    _check_sources(study)
    _check_makers(study)
    _check_suites(study)
    _check_mixes(study)
    _check_models(study)
    check_training(study)
    _check_surface(study)
    _check_proxies(study)
    _check_release(study)
    _check_scoring(study)
    check_statistics(study)
    check_published(study)
    _check_folders(study)


def _check_files(key: str, files: Iterable[str]) -> None:
    """Check that files that were found by their pattern or folder exist, and have names that can be used."""
    for file in files:
        try:
            checked_path(file)
        except ValueError as error:
            raise InputError(f"{key}: the file '{file}': expected {error}") from None
        if not Path(file).exists():
            raise InputError(f"{key}: the file '{file}' is a symbolic link to a missing file")


def _check_folders(study: Study) -> None:
    """Check the names of the folders of models and data sets, and of the files in the model folders of this machine."""
    datasets: list[Source | Collection] = [*study.sources.values(), *study.collections.values()]
    folders = [downloaded(dataset.hub, dataset.revision) for dataset in datasets if dataset.hub is not None]
    specs = plan.model_specs(study)
    for folder in (*folders, *specs):
        if len(folder.encode()) > _LONGEST_FOLDER:
            raise InputError(f"'{folder}': expected a name and revision of at most {_LONGEST_FOLDER} bytes together")
    for spec in specs.values():
        if spec.backbone.folder is not None:
            files = sorted(str(path) for path in Path(spec.backbone.folder).glob("*"))
            _check_files(f"folder = '{spec.backbone.folder}'", files)


def _check_sources(study: Study) -> None:
    for name in study.licenses:
        licensed = {**study.sources, **study.collections, **study.backbones}
        if name not in licensed:
            raise unknown("licenses", name, list(licensed))
    for name, source in study.sources.items():
        if importlib.util.find_spec(f"posologie.sources.{source.reader}") is None:
            raise InputError(
                f"sources.{name}.reader = '{source.reader}': no such reader; expected {', '.join(sorted(LAYOUTS))}, "
                "or a module of your own in posologie.sources"
            )
        for split in source.files or {}:
            if split not in source.splits:
                raise unknown(f"sources.{name}.files", split, source.splits)
        try:
            check_options(source.reader, source.options)
        except InputError as error:
            raise InputError(f"sources.{name}.{error}") from error
        for split in source.splits:
            try:
                if source.hub is not None:
                    patterns(source, split)
                elif source.path is not None:
                    _check_files("path", local_files(source, split))
            except InputError as error:
                raise InputError(f"sources.{name}.{error}") from error

        if source.path is not None:
            _check_splits_apart(name, source)
        if source.made is not None:
            _check_made(study, name, source.made, source.splits)


def _check_splits_apart(name: str, source: Source) -> None:
    """Check that no two splits are the same files, unless the records or a further file say which split they are of."""
    split_of: dict[tuple[str, ...], str] = {}
    for split in source.splits:
        files = tuple(local_files(source, split))
        is_told_apart = (
            any(option in source.options for option in ("split_column", "carve", "origins"))
            or source.reader == "casimedicos"
        )
        is_told_apart = is_told_apart or any(Path(file).name == "test_ground_truth.json" for file in files)
        if files in split_of and not is_told_apart:
            raise InputError(
                f"sources.{name}.files: {split} and {split_of[files]} are the same files, {', '.join(files)}; expected "
                "files of their own, or a form that distinguishes the splits"
            )
        split_of[files] = split


def _check_made(study: Study, name: str, made: str, splits: tuple[str, ...]) -> None:
    """Check that what a source is made from is made by this study, in the source's splits."""
    kind, _, rest = made.partition("/")
    maker, _, of = rest.partition("/")
    if kind == "generated" and maker in study.generators and of in study.generators[maker].collections:
        if len(splits) > 1:  # the same items would be trained on and tested
            raise InputError(f"sources.{name}.splits = {list(splits)}: generated items are one split; expected [train]")
        return
    if kind == "translated" and maker in study.translators and of in study.translators[maker].sources:
        for split in splits:
            if of in study.sources and split not in study.sources[of].splits:
                raise unknown(f"sources.{name}.splits", split, study.sources[of].splits)
        return
    made_here = [
        f"generated/{maker}/{of}" for maker, generator in study.generators.items() for of in generator.collections
    ]
    made_here += [
        f"translated/{maker}/{of}" for maker, translator in study.translators.items() for of in translator.sources
    ]
    raise unknown(f"sources.{name}.from", made, made_here or ["a generator or translator of this study"])


def _check_makers(study: Study) -> None:
    """Check what generators, translators and judges name."""
    for name, collection in study.collections.items():
        try:
            check_options(collection.reader, collection.options)
            if collection.path is None:
                collection_patterns(collection)
            else:
                _check_files("path", collection_files(collection))
        except InputError as error:
            raise InputError(f"collections.{name}.{error}") from error
    for name, generator in study.generators.items():
        for collection_name in generator.collections:
            if collection_name not in study.collections:
                raise unknown(f"generators.{name}.collections", collection_name, study.collections)
    for name, translator in study.translators.items():
        for source in translator.sources:
            if source not in study.sources:
                raise unknown(f"translators.{name}.sources", source, study.sources)
    askers: dict[str, Mapping[str, Generator | Translator | Judge]]
    askers = {"generators": study.generators, "translators": study.translators, "judges": study.judges}
    for section, asking in askers.items():
        for name, asker in asking.items():
            backbone = getattr(asker.backend, "backbone", None)
            if backbone is not None:
                named = "model" if isinstance(asker.backend, Engine) else "backbone"
                check_local_model(study, f"{section}.{name}.backend.{named}", backbone)
            if isinstance(asker.backend, Engine):
                check_engine(study, f"{section}.{name}.backend", asker.backend)
    if study.judging.chosen is not None and study.judging.chosen not in study.judges:
        raise unknown("judging.chosen", study.judging.chosen, study.judges)
    for name, judge in study.judges.items():
        files = judge.backend.files if isinstance(judge.backend, OutsideVerdicts) else None
        if files == ():
            raise InputError(f"judges.{name}.backend.files: missing; expected the files of its verdicts")
        for file in files or ():
            if not Path(file).is_file():
                raise InputError(f"judges.{name}.backend.files = '{file}': no such file")
    for name in study.judging.panel:
        if name not in study.judges:
            raise unknown("judging.panel", name, study.judges)
    if study.judging.panel and len(set(study.judging.panel)) < 2:
        raise InputError(f"judging.panel = {list(study.judging.panel)}: expected at least two judges")
    if "panel" in study.judges:
        raise InputError("judges.panel: the name is taken by the majority of judging.panel; expected another name")
    for name, ratings in study.judging.ratings.items():
        for file in ratings.files.values():
            if not Path(file).is_file():
                raise InputError(f"judging.ratings.{name}.files = '{file}': no such file")
        if ratings.kit is not None and ratings.kit not in study.judging.kits:
            raise unknown(f"judging.ratings.{name}.kit", ratings.kit, study.judging.kits)
    for name, kit in study.judging.kits.items():
        if kit.suite not in study.suites:
            raise unknown(f"judging.kits.{name}.suite", kit.suite, study.suites)
        if kit.judge is not None and kit.judge not in study.judges:
            raise unknown(f"judging.kits.{name}.judge", kit.judge, study.judges)


def _check_suites(study: Study) -> None:
    for name, suite in study.suites.items():
        for label, benchmark in suite.benchmarks.items():
            key = f"suites.{name}.benchmarks.{label}"
            if benchmark.source not in study.sources:
                raise unknown(f"{key}.source", benchmark.source, study.sources)
            if benchmark.split not in study.sources[benchmark.source].splits:
                raise unknown(f"{key}.split", benchmark.split, study.sources[benchmark.source].splits)
            if study.sources[benchmark.source].compared:
                raise InputError(
                    f"{key}.source = '{benchmark.source}': a source with compared: true is not tested; remove "
                    "the setting or the benchmark"
                )
    quality = study.screening.quality
    if quality is not None and quality.judge not in study.judges:
        raise unknown(
            "screening.quality.judge", quality.judge, study.judges or ["the study's judges, of which there are none"]
        )
    if quality is not None and isinstance(study.judges[quality.judge].backend, OutsideVerdicts):
        raise InputError(
            f"screening.quality.judge = '{quality.judge}': its verdicts come from files; expected a judge that can be"
            " asked"
        )
    for name in (quality.sources or ()) if quality is not None else ():
        if name not in study.sources or "train" not in study.sources[name].splits:
            raise unknown(
                "screening.quality.sources",
                name,
                [source for source in study.sources if "train" in study.sources[source].splits],
            )
    for name in study.screening.against:
        if name not in study.suites:
            raise unknown("screening.against", name, study.suites)
    bundled: set[str] = set()
    for bundle, suites in study.prediction.bundles.items():
        for name in suites:
            if name not in study.suites:
                raise unknown(f"prediction.bundles.{bundle}", name, study.suites)
            if name in bundled:
                raise InputError(f"prediction.bundles.{bundle} = '{name}': expected a suite that is in no other bundle")
            bundled.add(name)


def _check_mixes(study: Study) -> None:
    trainable = {
        name
        for name, source in study.sources.items()
        if source.mixed and not source.compared and "train" in source.splits
    }
    drawn = {study.sources[name].provenance for name in trainable}
    known = study.components or DEFAULT
    places = {mix: f"sweeps.{name}" for name, sweep in study.sweeps.items() for mix in doses(name, sweep)}
    for name, mix in study.mixes.items():
        for ingredient in (mix.shares or {}).keys() | (mix.counts or {}).keys():
            key = places.get(name, f"mixes.{name}.{'shares' if mix.shares else 'counts'}")
            if ingredient in drawn or ingredient in trainable:
                continue
            if ingredient in known and ingredient not in study.sources:
                raise InputError(f"{key} = '{ingredient}': no source of this component has a train split to draw from")
            possible = [name for name in known if name in drawn] + sorted(trainable)
            raise misspelt(key, ingredient, "component or source with a train split", possible)
        if name == "base":
            raise InputError("mixes.base: 'base' names the model without adapter; expected another name")


def _check_models(study: Study) -> None:
    for name, published in study.published_models.items():
        if published.adapter_on is not None and published.adapter_on not in study.backbones:
            raise unknown(f"published_models.{name}.adapter_on", published.adapter_on, study.backbones)
        if published.in_place_of is not None:
            _check_in_place(study, name, published)
        for file in published.answers.files if published.answers is not None else ():
            if not Path(file).is_file():
                raise InputError(f"published_models.{name}.answers.files = '{file}': no such file")
        if published.served is not None:
            check_served(study, f"published_models.{name}.served", published.served)
    if "published" in study.backbones:
        raise InputError("backbones.published: the name is taken by the published models; expected another name")
    models = plan.models(study)
    for name, kit in study.judging.kits.items():
        for model in kit.models:
            if model not in models:
                raise unknown(f"judging.kits.{name}.models", model, models)


def _check_scoring(study: Study) -> None:
    """Check sources with settings of their own, and that tokenizers have the packages that they need."""
    for key, named in (("scoring.sources", study.scoring.sources), ("prompting.sources", study.prompting.sources)):
        for name in named:
            if name not in study.sources:
                raise unknown(key, name, study.sources)
    settings = {"scoring.text": study.scoring.text}
    settings |= {f"scoring.sources.{name}": text for name, text in study.scoring.sources.items()}
    for key, text in settings.items():
        for option in ("words", "bleu_tokenizer"):
            tokenizer = getattr(text, option)
            if (lacking := missing_packages(tokenizer)) is not None:
                raise InputError(f"{key}.{option} = '{tokenizer}': {lacking}")


def _check_surface(study: Study) -> None:
    """Check the components and suites that the sections `design` and `surface` name."""
    trainable = {study.sources[name].provenance for name in plan.trained_sources(study)}
    known = sorted(trainable | {name for mix in study.mixes for name in plan.blend(study, mix)})
    for key, names in (
        ("design.components", study.design.components),
        ("design.bounds", study.design.bounds),
        ("design.epochs", study.design.epochs),
        ("surface.bounds", study.surface.bounds),
    ):
        for name in names:
            if name not in known:
                raise unknown(key, name, known or ["the components of a mix, of which there are none"])
    for key, suites in (
        ("surface.objective", study.surface.objective),
        ("surface.at_least_base", study.surface.at_least_base),
    ):
        for name in suites:
            if name not in study.suites:
                raise unknown(key, name, study.suites)
    for key, bounds in (("design.bounds", study.design.bounds), ("surface.bounds", study.surface.bounds)):
        lowest = sum(low for low, _ in bounds.values())
        highest = sum(bounds[name][1] if name in bounds else 1.0 for name in known)
        if bounds and (lowest > 1 + 1e-9 or highest < 1 - 1e-9):
            what = f"lowest shares sum to {lowest:g}" if lowest > 1 else f"highest shares sum to {highest:g}"
            raise InputError(f"{key}: the {what}, so no mix satisfies them")


def _check_proxies(study: Study) -> None:
    """Check that merged models are made of models that this study trains, and are called like no mix."""
    trained = {model.id for model in plan.models(study).values() if model.trained}
    merged = merging.merged_models(study)
    if study.proxies.merged is not None and not merged:
        raise InputError("proxies.merged: no mix of two or more components to merge for; name some in mixes or lattice")
    for proxy in merged.values():
        if proxy.name in study.mixes:
            raise InputError(f"mixes.{proxy.name}: the name is taken by a merged model; expected another name")
        for mix in proxy.of:
            if (model := f"{proxy.backbone}/{mix}/seed-{proxy.seed}") not in trained:
                raise InputError(f"proxies.merged: {model} is not trained here, so there is nothing to merge")


def _check_in_place(study: Study, name: str, published: PublishedModel) -> None:
    """Check that a published model takes the place of a model of this study, and no other one does."""
    key, place = f"published_models.{name}", str(published.in_place_of)
    known = {model.id: model for model in plan.models(study).values() if model.kind == "mix"}
    if place not in known:
        raise unknown(f"{key}.in_place_of", place, known or ["the models of a mix"])
    model = known[place]
    if model.published != name:
        raise InputError(f"{key}.in_place_of = '{place}': published_models.{model.published} already takes it")
    if published.adapter_on not in (None, model.backbone):
        raise InputError(f"{key}.adapter_on = '{published.adapter_on}': expected {model.backbone}, as in in_place_of")
    if published.mix not in (None, model.mix):
        raise InputError(f"{key}.mix = '{published.mix}': expected {model.mix}, as in in_place_of")


def _check_release(study: Study) -> None:
    release, trained = study.release, [model.id for model in merging.trained_models(study)]
    for model in release.models or ():
        if model not in trained:
            raise unknown("release.models", model, trained or ["the models that this study trains"])
    if study.training.recipe.method == "full" and "merged" not in release.forms:
        raise InputError("release.forms = [adapter]: training.recipe.method is full; expected [merged]")
    if release.repository is None:
        return
    owner: dict[str, str] = {}
    for released, form in merging.released(study):
        try:
            repository = merging.push_spec(study, released, form).repository
        except ValueError as error:
            raise InputError(
                f"release.repository = '{release.repository}': no `owner/name` for {released.id}"
            ) from error
        if repository in owner:
            raise InputError(
                f"release.repository = '{release.repository}': {repository} for {owner[repository]} and for "
                f"{released.id} ({form}); expected one repository for each"
            )
        owner[repository] = f"{released.id} ({form})"
