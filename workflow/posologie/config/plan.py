"""From the study to the artifacts: which models, bundles and inputs there are."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from posologie.config.study import Study
from posologie.errors import InputError
from posologie.items import PROVENANCES, SPLITS, Provenance, Split, Task
from posologie.mixes.spec import lowest_terms
from posologie.models.packages import installed_version
from posologie.models.spec import Backbone, EncoderOrigin, ModelSpec
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
    asked = study.proxies.merged.models if study.proxies.merged is not None else {}
    found: dict[str, list[str]] = {}
    for mix in study.mixes:
        if len(shares := blend(study, mix)) == 1:
            found.setdefault(next(iter(shares)), []).append(mix)
    for component, mix in asked.items():
        if mix not in found.get(component, []):
            choices = ", ".join(found.get(component, [])) or "none"
            raise InputError(f"proxies.merged.models.{component} = '{mix}': expected a mix of it alone ({choices})")
    for component, mixes in found.items():
        if len(mixes) > 1 and component not in asked:
            raise InputError(
                f"proxies.merged: {', '.join(mixes)} all hold {component} alone; name one in proxies.merged.models"
            )
    return {component: asked.get(component, mixes[0]) for component, mixes in found.items()}


def proxies(study: Study) -> dict[str, Proxy]:
    """Return the study's merged models by id: of trained mixes, of a lattice, and by name, for each backbone and seed.

    Mixes of equal shares are merged once, under the first of their names.

    Raises:
        InputError: if a component has no models of its own to merge, or two proxies have one name.
    """
    if (settings := study.proxies.merged) is None:
        return {}
    single = single_component_mixes(study)
    wanted: dict[str, tuple[dict[str, float], str | None]] = {}
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
            if f"merged-{name}" in wanted:
                raise InputError(f"proxies.merged: two merged models of different shares are called {name}")
            taken.add(rounded)
            wanted[f"merged-{name}"] = shares, mix

    for mix in study.mixes if settings.of_mixes else ():
        if set(shares := blend(study, mix)) <= set(single):
            add(mix, shares, mix)
    for name, weights in settings.mixes.items():
        add(name, weights, None)
    for numbers in _lattice(len(single), settings.lattice) if settings.lattice is not None else ():
        add("-".join(map(str, numbers)), dict(zip(single, numbers, strict=True)), None)
    found = {}
    for backbone in study.backbones:
        for name, (shares, mix) in wanted.items():
            of = {single[component]: share for component, share in shares.items()}
            for seed in study.training.seeds:
                key = f"{backbone}/{name}/seed-{seed}"
                found[key] = Proxy(key, backbone, name, seed, shares, of, mix)
    return found


def _lattice(components: int, steps: int) -> Iterator[tuple[int, ...]]:
    """Yield all ways to give `steps` parts to components, some of them none."""
    if components == 1:
        yield (steps,)
        return
    for first in range(steps, -1, -1):
        for rest in _lattice(components - 1, steps - first):
            yield (first, *rest)


def served_models(study: Study) -> list[str]:
    """Return the ids of the models that answer behind an endpoint."""
    served = {name for name, published in study.published_models.items() if published.served is not None}
    return [model.id for model in models(study).values() if model.published in served]


def outside_models(study: Study) -> list[str]:
    """Return the ids of the models whose answers come from files."""
    outside = {name for name, published in study.published_models.items() if published.answers is not None}
    return [model.id for model in models(study).values() if model.published in outside]


def bundles(study: Study) -> dict[str, tuple[str, ...]]:
    """Return which suites each prediction job answers: the configured bundles, then one for each suite that is left."""
    bundled = {suite for suites in study.prediction.bundles.values() for suite in suites}
    alone = {suite: (suite,) for suite in study.suites if suite not in bundled}
    return {**study.prediction.bundles, **alone}


def proxy_bundles(study: Study) -> dict[str, tuple[str, ...]]:
    """Return which suites each prediction job of a merged model answers: those with choice questions."""
    chosen = set(choice_suites(study))
    found = {name: tuple(suite for suite in suites if suite in chosen) for name, suites in bundles(study).items()}
    return {name: suites for name, suites in found.items() if suites}


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
    return [
        name
        for name, source in study.sources.items()
        if source.mixed and not source.compared and "train" in source.splits
    ]


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
    if study.screening.mode == "off":
        return []
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


def model_specs(study: Study) -> dict[str, ModelSpec]:
    """Return the spec of every folder below the models root, by the folder's name."""
    published = (one.model for one in study.published_models.values() if one.model is not None)
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
    wanted = {name: tuple(split for split in names if name in names[split]) for name in study.sources}
    return {name: splits for name, splits in wanted.items() if splits}


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


def blend(study: Study, mix: str) -> dict[Provenance, float]:
    """Return the share of each provenance in a mix, as configured; they sum to 1."""
    described = study.mixes[mix]
    parts = lowest_terms(described.shares or described.counts or {})
    found: dict[Provenance, float] = {}
    for part, amount in parts.items():
        provenance = next((known for known in PROVENANCES if known == part), None) or study.sources[part].provenance
        found[provenance] = found.get(provenance, 0) + amount / sum(parts.values())
    return found


def size(study: Study, mix: str) -> str:
    """Return the number of items of a mix, or `smallest`, as the configuration has it."""
    found = study.mixes[mix]
    return str(found.size if found.size is not None else sum((found.counts or {}).values()))


def has_all_coalitions(study: Study) -> bool:
    """Say whether every coalition of the mixes' provenances, two or more, is a mix in equal shares: an attribution."""
    blends = [blend(study, mix) for mix in study.mixes]
    everyone = frozenset(provenance for one in blends for provenance in one)
    equal = {frozenset(one) for one in blends if max(one.values()) < 1.01 * min(one.values())}
    return len(everyone) > 1 and len(equal) == 2 ** len(everyone) - 1


def asked_tasks(study: Study, suite: str) -> set[Task]:
    """Return the tasks of a suite's benchmarks."""
    return {task for benchmark in study.suites[suite].benchmarks.values() for task in benchmark.tasks}


def choice_suites(study: Study) -> list[str]:
    """Return the suites that hold choice questions."""
    return [name for name in study.suites if asked_tasks(study, name) - {"oeq"}]


def open_suites(study: Study) -> list[str]:
    """Return the suites that hold open questions."""
    return [name for name in study.suites if "oeq" in asked_tasks(study, name)]


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


def score_tables(study: Study) -> list[str]:
    """Return the tables of scores that the study's suites and mixes allow."""
    names = ["mcqa", "position"] if choice_suites(study) else []
    if open_suites(study):
        names += ["oeq", "length"] if suite_judges(study) else ["oeq"]
    names += ["contrasts", "best", "paper"] if len(study.mixes) > 1 else ["contrasts", "paper"]
    names += ["leakage"] if study.mixes else []
    names += ["proxies"] if choice_suites(study) and proxies(study) else []
    names += ["attribution"] if has_all_coalitions(study) else []
    return names + (["dose_response"] if study.statistics.sweeps else [])


def suite_judges(study: Study) -> tuple[str, ...]:
    """Return the judges that rate every open answer: the chosen one and those of the panel."""
    chosen = () if study.judging.chosen is None else (study.judging.chosen,)
    return tuple(dict.fromkeys([*chosen, *study.judging.panel]))


def rating_tables(study: Study) -> list[str]:
    """Return the tables over human ratings, where there are any."""
    if not study.judging.ratings:
        return []
    of_judges = ["judge_choice", "generator"] if study.judges else []
    joined = ["corrected"] if suite_judges(study) and open_suites(study) else []
    return ["agreement", "agreement_contrasts", "raters", "verbosity", *of_judges, *joined]


def tables(study: Study) -> list[str]:
    """Return every table of the study, in the order of the report."""
    if not study.suites:  # judges are calibrated, and nothing else
        return rating_tables(study)
    of_pairs = ["translation_quality"] if parallel_collections(study) else []
    of_training = ["screening", "topics"] if trained_sources(study) else []
    statistics = [*score_tables(study), *rating_tables(study), "compute"]
    return [*of_training, "composition", *statistics, *of_pairs]
