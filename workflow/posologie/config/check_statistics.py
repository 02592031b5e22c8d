"""What the section `statistics` names: metrics, decodings, mixes, scopes, each checked before any job."""

import difflib
from collections.abc import Iterable

from posologie.config import plan
from posologie.config.study import Study
from posologie.errors import InputError
from posologie.scoring.metrics import METRICS, Kind, metric
from posologie.statistics.spec import Family, Measured


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
            f"{key}.decoding = '{decoding}': '{name}' scores no such answers; choose {' or '.join(entry.decodings)}"
        )
    suites = _suites_of_kind(study, suites, entry.kind)
    if not suites:
        if kind is None:
            raise InputError(f"{key}.metric = '{name}': none of its suites has {entry.kind} questions")
        return
    if entry.of_judge:
        judges = (*plan.suite_judges(study), *(["panel"] if study.judging.panel else []))
        _check_known(f"{key}.metric: judge", name.partition(":")[2], judges)
    if name == "bertscore" and study.scoring.encoder is None:
        raise InputError(f"{key}.metric = 'bertscore': it needs scoring.encoder")
    if measured.variants != "original" and not any(study.suites[suite].permutations for suite in suites):
        raise InputError(
            f"{key}.variants = '{measured.variants}': none of the suites {', '.join(suites)} has permutations"
        )
    if measured.aggregate == "mean_of_tasks" and not any(
        {"mcqu", "mcq"} <= plan.asked_tasks(study, suite) for suite in suites
    ):
        raise InputError(f"{key}.aggregate = 'mean_of_tasks': none of the suites {', '.join(suites)} has two tasks")


def _check_family(study: Study, key: str, family: Family) -> None:
    for suite in family.suites:
        _check_known(f"{key}.suites", suite, study.suites)
    _check_measured(study, f"{key}.measured", family.measured, None, list(family.suites))
    benchmarks = [benchmark for suite in family.suites for benchmark in study.suites[suite].benchmarks.items()]
    names: dict[str, list[str]] = {
        "benchmark": [name for name, _ in benchmarks],
        "provenance": list(dict.fromkeys(study.sources[one.source].provenance for _, one in benchmarks)),
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
