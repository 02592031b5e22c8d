"""What single sections name, checked before any job: components, the published study, served models, statistics."""

import difflib
from collections.abc import Iterable

from posologie.backends.spec import Engine
from posologie.config import plan
from posologie.config.study import Study
from posologie.prediction.other_specs import Served
from posologie.records.components import DEFAULT, PALETTE, RESERVED
from posologie.records.published import check_names, read_published
from posologie.running.errors import InputError
from posologie.running.installed import shipped
from posologie.scoring.metrics import METRICS, Kind, metric
from posologie.statistics.spec import Family, Measured


def check_components(study: Study) -> None:
    """Check the names, titles and colours of components, and that sources and the validation set name them.

    Raises:
        InputError: naming the key, its value and what can stand there.
    """
    declared = study.components or DEFAULT
    for name, source in study.sources.items():
        if source.provenance not in declared:
            raise misspelt(f"sources.{name}.component", source.provenance, "component", declared)
    for name in study.validation.provenances or ():
        if name not in declared:
            raise misspelt("validation.components", name, "component", declared)
    titles: dict[str, str] = {}
    colours: dict[str, str] = {}
    for name, component in study.components.items():
        key = f"components.{name}"
        if name.lower() in RESERVED:
            meaning = "all components together" if name.lower() == "all" else "the model without adapter"
            raise InputError(f"{key}: '{name}' names {meaning} in the tables; choose another name")
        own = [source for source, other in study.sources.items() if other.provenance == name]
        if not own:
            raise InputError(f"{key}: no source has this component; name it in a source, or remove it")
        if name in study.sources and own != [name]:
            raise InputError(
                f"{key}: a source is called '{name}' too, and is not all of the component, so that a share of '{name}' "
                "would mean either; rename one of them"
            )
        title = component.title or name
        if title in titles:
            raise InputError(f"{key}.title = '{title}': components.{titles[title]} has it too; choose another title")
        titles[title] = name
        if component.colour is None:
            continue
        if component.colour in colours:
            free = [colour for colour in PALETTE if colour not in {used.colour for used in study.components.values()}]
            other = colours[component.colour]
            raise InputError(
                f"{key}.colour = '{component.colour}': components.{other} has it too; choose one of {', '.join(free)}"
                if free
                else f"{key}.colour: leave it out, as all colours are taken"
            )
        colours[component.colour] = name


def misspelt(key: str, value: str, what: str, known: Iterable[str]) -> InputError:
    """Return the error for a name that is not known: the nearest one, or all of them."""
    names = list(dict.fromkeys(known))
    close = difflib.get_close_matches(value, names, 1)
    hint = f"did you mean '{close[0]}'?" if close else f"choose one of {', '.join(names)}"
    return InputError(f"{key} = '{value}': no such {what}; {hint}")


def check_published(study: Study) -> None:
    """Check the file of the published study, and that what is compared is known on both sides.

    Raises:
        InputError: naming the key or the file, what was found and what was expected.
    """
    if study.published is None:
        return
    file = study.published.file
    try:
        published = read_published(shipped(file))
    except InputError as error:
        raise InputError(f"published.file: {error}") from None
    compared = {
        f"aggregates.{name}.compared_with": aggregate.compared_with for name, aggregate in published.aggregates.items()
    }
    for key, comparison in compared.items():
        decodings = _metric(f"{file}: {key}.metric", comparison.metric)
        if comparison.decoding not in decodings:
            raise InputError(
                f"published.file: {file}: {key}.decoding = '{comparison.decoding}': '{comparison.metric}' does not "
                f"score such answers; choose {' or '.join(decodings)}"
            )
    for ratings, values in published.agreement.items():
        for rater in values:
            _metric(f"{file}: agreement.{ratings}", rater)
    ours = {
        "backbones": (*study.backbones, *study.published_models),
        "mixes": study.mixes,
        "suites": study.suites,
        "judges": study.judges,
        "ratings": study.judging.ratings,
        "components": plan.components(study),
        "translators": study.translators,
        "test_sets": study.collections,
    }
    check_names(file, published, study.published.names(), ours)


def _metric(key: str, name: str) -> tuple[str, ...]:
    """Return the decodings of a metric, or of a judge as a metric."""
    try:
        return metric(name).decodings
    except InputError as error:
        raise InputError(f"published.file: {key}: {error}") from None


def check_served(study: Study, key: str, served: Served) -> None:
    """Check that a served model can answer what every table counts: constrained answers, by the automaton's rules."""
    if isinstance(served.backend, Engine):
        check_local_model(study, f"{key}.backend.model", served.backend.model)
        check_engine(study, f"{key}.backend", served.backend)
    elif served.backend.structured in ("json_object", "none"):
        structured = served.backend.structured
        raise InputError(
            f"{key}.backend.structured = '{structured}': expected json_schema or a grammar, for constrained answers"
        )
    for name, suite in study.suites.items():
        if suite.protocol == "published":
            raise InputError(
                f"suites.{name}.protocol = 'published': its masks need a local model, and {key} is not one"
            )


def check_local_model(study: Study, key: str, name: str) -> None:
    """Check that a model that runs here is one of the study's."""
    if name not in study.local_models and name not in study.backbones:
        raise unknown(key, name, [*study.local_models, *study.backbones])


def check_engine(study: Study, key: str, engine: Engine) -> None:
    """Check that a job of an engine is given the GPUs that its model is spread over, and can ask it."""
    if plan.local_model(study, engine.model).chat.answer_prefix is not None:
        raise InputError(
            f"{key}.model = '{engine.model}': its chat has an answer_prefix, which no engine can put there"
        )
    gpus = study.devices.gpus_per_prediction_job
    if engine.tensor_parallel > 1 and not gpus:
        raise InputError(
            f"{key}.tensor_parallel = {engine.tensor_parallel}: its jobs get no GPU, because"
            " devices.gpus_per_prediction_job is 0; expected at least 1 there, or tensor_parallel: 1"
        )


def unknown(key: str, value: str, expected: Iterable[str]) -> InputError:
    """Return the error for a name that is none of those that could stand there."""
    return InputError(f"{key} = '{value}': expected one of {', '.join(expected)}")


def check_statistics(study: Study) -> None:
    """Check that every number and every comparison that the statistics ask for can exist in this study.

    Raises:
        InputError: naming the key, its value and what can stand there.
    """
    settings, suites = study.statistics, list(study.suites)
    primary: tuple[tuple[str, Measured, Kind], ...] = (
        ("primary_choice", settings.primary_choice, "choice"),
        ("primary_text", settings.primary_text, "open"),
    )
    for key, measured, kind in primary:
        _check_measured(study, f"statistics.{key}", measured, kind, _suites_of_kind(study, suites, kind))
    _check_pairs(study, "statistics.contrasts", settings.contrasts)
    for name, family in settings.families.items():
        _check_family(study, f"statistics.families.{name}", family)
    for name, doses in settings.sweeps.items():
        for mix in doses:
            _check_known(f"statistics.sweeps.{name}", mix, ("base", *study.mixes))


def _suites_of_kind(study: Study, suites: Iterable[str], kind: Kind) -> list[str]:
    of_kind = plan.choice_suites(study) if kind == "choice" else plan.open_suites(study)
    return [suite for suite in suites if suite in of_kind]


def _check_measured(study: Study, key: str, measured: Measured, kind: Kind | None, suites: list[str]) -> None:
    """Check one measured number against the suites that it is meant for; without such suites nothing is measured."""
    name, decoding = measured.metric, measured.decoding
    try:
        entry = metric(name)
    except InputError as error:
        close = difflib.get_close_matches(name, METRICS, 1)
        raise InputError(f"{key}.metric: {error}" + (f"; did you mean '{close[0]}'?" if close else "")) from None
    if entry.aggregate_only:
        raise InputError(f"{key}.metric = '{name}': it exists only for all items together and cannot be tested")
    if kind is not None and entry.kind != kind:
        fitting = ", ".join(
            known for known, other in METRICS.items() if other.kind == kind and not other.aggregate_only
        )
        raise InputError(f"{key}.metric = '{name}': not a metric of {kind} questions; choose one of {fitting}")
    if decoding not in entry.decodings:
        raise InputError(
            f"{key}.decoding = '{decoding}': '{name}' does not score such answers; choose"
            f" {' or '.join(entry.decodings)}"
        )
    suites = _suites_of_kind(study, suites, entry.kind)
    if not suites:
        if kind is None:
            raise InputError(f"{key}.metric = '{name}': none of its suites has {entry.kind} questions")
        return
    if entry.of_judge:
        judges = (*plan.suite_judges(study), *(["panel"] if study.judging.panel else []))
        _check_known(f"{key}.metric: judge", name.partition(":")[2], judges)
    if entry.of_encoder and study.scoring.encoder is None:
        raise InputError(f"{key}.metric = '{name}': it needs scoring.encoder")
    if measured.variants != "original" and not any(study.suites[suite].permutations for suite in suites):
        raise InputError(
            f"{key}.variants = '{measured.variants}': none of the suites {', '.join(suites)} has permutations"
        )
    if measured.aggregate == "mean_of_tasks" and not any(
        {"mcqu", "mcq"} <= plan.tested_tasks(study, suite) for suite in suites
    ):
        raise InputError(f"{key}.aggregate = 'mean_of_tasks': none of the suites {', '.join(suites)} has two tasks")


def _check_family(study: Study, key: str, family: Family) -> None:
    for suite in family.suites:
        _check_known(f"{key}.suites", suite, study.suites)
    _check_measured(study, f"{key}.measured", family.measured, None, list(family.suites))
    benchmarks = [benchmark for suite in family.suites for benchmark in study.suites[suite].benchmarks.items()]
    names: dict[str, list[str]] = {
        "benchmark": [name for name, _ in benchmarks],
        "provenance": list(dict.fromkeys(study.sources[benchmark.source].provenance for _, benchmark in benchmarks)),
    }
    for scope in family.scopes:
        kind, _, rest = scope.partition(":")
        if kind in names and rest:
            _check_known(f"{key}.scopes", rest, names[kind])
        else:
            _check_known(f"{key}.scopes", scope, ("all", *names["provenance"], *names["benchmark"]))
    _check_pairs(study, f"{key}.contrasts", family.contrasts)


def _check_pairs(study: Study, key: str, pairs: Iterable[tuple[str, str]]) -> None:
    known = ("base", *study.mixes, *study.published_models)
    for number, pair in enumerate(pairs):
        for name in pair:
            _check_known(f"{key}[{number}]", name, known)
        if pair[0] == pair[1]:
            raise InputError(f"{key}[{number}] = '{pair[0]}' twice: expected two models that differ")


def _check_known(key: str, name: str, known: Iterable[str]) -> None:
    names = list(dict.fromkeys(known))
    if name not in names:
        close = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise InputError(f"{key} = '{name}': unknown; {hint}choose one of {', '.join(names) or 'none'}")
