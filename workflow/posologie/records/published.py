"""A published study that a study is compared with: the file of its numbers, and which of our names are which of its.

Nothing else in the program knows a published number. A study that names no such file (`published`) is compared with
none.
"""

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError

from posologie.records.files import read_text
from posologie.records.items import Split, Task
from posologie.records.specs import Name, PathText, Spec, first_problem
from posologie.running.errors import InputError

Aggregate = Literal["item_weighted", "mean_of_benchmarks", "mean_of_tasks"]
Decoding = Literal["greedy", "constrained", "probabilities", "judged"]
Variants = Literal["original", "permuted", "all"]
BASE = "base"
"""The model without training on a mix: called so here and in the file, and mapped to itself."""
_COLUMNS = ("published", "published_aggregate", "difference")


class PublishedNames(Spec):
    """Which name of ours is which of the published study. A map that is left out: the names that both have."""

    backbones: dict[Name, str] | None = Field(
        default=None, description="our backbone, or merged published model → the published backbone"
    )
    mixes: dict[Name, str] | None = Field(default=None, description="our mix → the published mix; `base` is `base`")
    suites: dict[Name, str] | None = Field(default=None, description="our suite → the published suite")
    judges: dict[Name, str] | None = Field(default=None, description="our judge → the published judge")
    ratings: dict[Name, str] | None = Field(default=None, description="our set of ratings → the published set")
    components: dict[Name, str] | None = Field(
        default=None, description="our component → the published one, for numbers of records"
    )
    translators: dict[Name, str] | None = Field(default=None, description="our translator → the published system")
    test_sets: dict[Name, str] | None = Field(
        default=None, description="our collection → the same test set in the published study"
    )

    def theirs(self, kind: str, ours: str) -> str | None:
        """Return what the published study calls one of our names; None where it has no counterpart."""
        names: dict[str, str] | None = getattr(self, kind)
        return ours if names is None else names.get(ours)


class PublishedStudy(PublishedNames):
    """The published study that this one is compared with; a path alone compares the names that both have."""

    file: PathText = Field(
        description="file of the published numbers, such as `resources/published/medinjection-fr.yaml`"
    )

    def names(self) -> PublishedNames:
        """Return the names alone, which tables depend on; the file is an input of theirs."""
        return PublishedNames(**{name: getattr(self, name) for name in PublishedNames.model_fields})


def _file_alone(value: Any) -> Any:
    return {"file": value} if isinstance(value, str) else value


PublishedKey = Annotated[PublishedStudy, BeforeValidator(_file_alone, json_schema_input_type=PathText | PublishedStudy)]
"""What stands under `published` in a study file: a path, or a section."""


class Compared(Spec):
    """The numbers of ours that a published aggregate may be compared with, where its own definition is not known."""

    metric: str = Field(description="a metric of the tables, such as `em` or `judge:{published judge}`")
    decoding: Decoding
    variants: Variants = "original"
    aggregates: tuple[Aggregate, ...] = Field(min_length=1)


class PublishedAggregate(Spec):
    """One published column."""

    title: str
    unit: Literal["%", "1"]
    suite: Name
    compared_with: Compared
    values: dict[str, dict[str, float]] = Field(
        description="backbone → mix or `base` → value as printed; what is not known is left out"
    )

    def points(self, backbone: str) -> dict[str, float]:
        """Return the values of a backbone in our unit: percent."""
        scale = 100 if self.unit == "1" else 1
        return {label: value * scale for label, value in self.values.get(backbone, {}).items()}


class Printed(Spec):
    """A printed number of records, and which records it counts (all, where a field is left out)."""

    records: int = Field(ge=0)
    component: str | None = None
    split: Split | None = None
    tasks: tuple[Task, ...] | None = None
    origin: str | None = None

    def counted(self) -> str:
        """Say which records it counts."""
        named = [self.component, self.split, "+".join(self.tasks) if self.tasks else None, self.origin]
        return " ".join(name for name in named if name) or "all"


class Sum(Spec):
    """Printed numbers that should add up to another."""

    parts: tuple[str, ...] = Field(min_length=1)
    total: str


class Records(Spec):
    """Printed numbers of records, each as it was printed, also where it contradicts another."""

    printed: dict[str, Printed] = Field(default_factory=dict)
    sums: dict[str, Sum] = Field(default_factory=dict)


class Published(Spec):
    """The file of a published study (config/README.md, `published`)."""

    title: str = Field(min_length=1, description="what the report calls it")
    source: str = Field(min_length=1, description="where the numbers are printed")
    aggregates: dict[Name, PublishedAggregate] = Field(default_factory=dict)
    agreement: dict[str, dict[str, float]] = Field(
        default_factory=dict,
        description="set of ratings → `judge:{name}` or metric → Pearson's correlation with people, over all answers",
    )
    records: Records = Records()
    translation: dict[str, dict[str, dict[str, float]]] = Field(
        default_factory=dict, description="test set → system → metric → value as printed"
    )

    def known(self) -> dict[str, list[str]]:
        """Return the names that the file has, by kind, as `PublishedNames` maps them."""
        aggregates = self.aggregates.values()
        raters = [aggregate.compared_with.metric for aggregate in aggregates] + [
            rater for of in self.agreement.values() for rater in of
        ]
        by_kind: dict[str, Iterable[str]] = {
            "backbones": (backbone for aggregate in aggregates for backbone in aggregate.values),
            "mixes": (
                label
                for aggregate in aggregates
                for values in aggregate.values.values()
                for label in values
                if label != BASE
            ),
            "suites": (aggregate.suite for aggregate in aggregates),
            "judges": (rater.removeprefix("judge:") for rater in raters if rater.startswith("judge:")),
            "ratings": self.agreement,
            "components": (
                number.component for number in self.records.printed.values() if number.component is not None
            ),
            "translators": (system for systems in self.translation.values() for system in systems),
            "test_sets": self.translation,
        }
        return {kind: list(dict.fromkeys(names)) for kind, names in by_kind.items()}


def read_published(path: str | os.PathLike[str]) -> Published:
    """Read the file of a published study.

    Raises:
        InputError: naming the first key that does not fit, or the sum that names an unknown number.
    """
    try:
        published = Published.model_validate(yaml.safe_load(read_text(path)))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    except ValidationError as error:
        raise InputError(f"{path}: {first_problem(error)}") from error
    printed = published.records.printed
    for name, expected in published.records.sums.items():
        for key in (*expected.parts, expected.total):
            if key not in printed:
                raise InputError(f"{path}: records.sums.{name} = '{key}': expected one of {', '.join(printed)}")
    return published


def check_names(file: str, published: Published, names: PublishedNames, ours: Mapping[str, Iterable[str]]) -> None:
    """Check that mapped names exist on both sides, and that something can be compared.

    Args:
        ours: names of this study by kind, as `PublishedNames` maps them.

    Raises:
        InputError: naming the key, the name and what was expected.
    """
    theirs = published.known()
    for kind in PublishedNames.model_fields:
        for own, their in (getattr(names, kind) or {}).items():
            key = f"published.{kind}.{own}"
            _check_known(key, own, [*ours[kind]], "this study has no such name")
            _check_known(f"{key} = '{their}'", their, theirs[kind], f"{file} has no such name")
    common = {kind: {names.theirs(kind, own) for own in ours[kind]} & {*theirs[kind]} for kind in theirs}
    scored = (
        {BASE, *common["mixes"]} & values.keys()
        for aggregate in published.aggregates.values()
        if aggregate.suite in common["suites"]
        for backbone, values in aggregate.values.items()
        if backbone in common["backbones"]
    )
    of_scores = any(scored)
    if not of_scores and not any(common[kind] for kind in ("ratings", "components", "translators")):
        raise InputError(
            f"published.file = '{file}': none of its names is one of this study, so nothing can be compared; map "
            f"them, such as published.backbones: {{{next(iter(ours['backbones']), 'ours')}: "
            f"{next(iter(theirs['backbones']), 'theirs')}}}"
        )


def _check_known(key: str, name: str, known: Sequence[str], problem: str) -> None:
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise InputError(f"{key}: {problem}; {hint}choose one of {', '.join(known) or 'none'}")


@dataclass(frozen=True)
class PublishedValue:
    """A published value, in the unit of our tables, and the published aggregate that it belongs to."""

    value: float
    aggregate: str


@dataclass(frozen=True)
class Comparison:
    """A published study and our names for what it holds."""

    published: Published
    names: PublishedNames

    def metric(self, ours: str) -> str | None:
        """Return what the published study calls a metric, or a judge as a metric; None where it has no counterpart."""
        kind, _, judge = ours.partition(":")
        if kind != "judge" or not judge:
            return ours
        name = self.names.theirs("judges", judge)
        return None if name is None else f"judge:{name}"

    def points(self, aggregate: PublishedAggregate, backbone: str, label: str) -> float | None:
        """Return a published value in percent: of a backbone of ours and a mix of ours or `base`."""
        mix = label if label == BASE else self.names.theirs("mixes", label)
        return aggregate.points(self.names.theirs("backbones", backbone) or "").get(mix or "")

    def aggregates(self, suite: str, metric: str, decoding: str) -> Iterator[tuple[str, PublishedAggregate]]:
        """Yield the published aggregates that a measure of ours on a suite of ours may be."""
        for name, aggregate in self.published.aggregates.items():
            compared = aggregate.compared_with
            if aggregate.suite != self.names.theirs("suites", suite) or decoding != compared.decoding:
                continue
            if self.metric(metric) == compared.metric:
                yield name, aggregate

    def value(
        self,
        model: tuple[str, str],
        suite: str,
        measure: tuple[str, str],
        variants: str,
        cell: tuple[str, str, str],
    ) -> PublishedValue | None:
        """Return the published value that a number of ours may be compared with.

        Only numbers over all items and tasks of a suite have one.

        Args:
            model: its backbone (its own name where it has none), and its mix or `base`.
            measure: metric and decoding.
            cell: kind of scope, task and aggregate.
        """
        scope, task, aggregate = cell
        if scope != "all" or task != "all":
            return None
        for name, candidate in self.aggregates(suite, *measure):
            if variants == candidate.compared_with.variants and aggregate in candidate.compared_with.aggregates:
                value = self.points(candidate, *model)
                if value is not None:
                    return PublishedValue(value, name)
        return None

    def agreement(self, ratings: str, rater: str) -> float | None:
        """Return the published correlation of a judge or metric with people, on a set of ratings of ours."""
        of_set = self.published.agreement.get(self.names.theirs("ratings", ratings) or "", {})
        return of_set.get(self.metric(rater) or "")

    def translation(self, translator: str, metric: str, collection: str) -> tuple[float, str] | None:
        """Return the published value of a translator, and the test set that it is on if that is not our collection."""
        system = self.names.theirs("translators", translator) or ""
        own = self.names.theirs("test_sets", collection)
        sets = self.published.translation
        for test_set in sorted(sets, key=lambda name: name != own):
            if metric in (values := sets[test_set].get(system, {})):
                return values[metric], "" if test_set == own else test_set
        return None

    def records(self, printed: Printed, reports: Sequence[Mapping[str, Any]]) -> tuple[int, int | None] | None:
        """Return how many records of a kind our shards kept and read, or None if no shard can hold any.

        Rejected records have no known task or origin: what was read is None where the number counts only some of these.

        Args:
            reports: the reports of all shards.
        """
        shards = [
            report
            for report in reports
            if printed.component in (None, self.names.theirs("components", report["provenance"]))
            and printed.split in (None, report["split"])
        ]
        if printed.origin is not None:
            name = printed.origin.casefold()
            counts = [count for of in shards for origin, count in of["origins"].items() if origin.casefold() == name]
            return (sum(counts), None) if counts else None
        if not shards:
            return None
        if printed.tasks is not None:
            return sum(report["tasks"].get(task, 0) for report in shards for task in printed.tasks), None
        return sum(report["kept"] for report in shards), sum(report["read"] for report in shards)


def comparison(path: str | os.PathLike[str] | None, names: PublishedNames | None) -> Comparison | None:
    """Return the published study of a file beside our names for what it holds; None if no file is given."""
    return None if path is None else Comparison(read_published(path), names or PublishedNames())


def shown(
    columns: Sequence[str], rows: Sequence[Mapping[str, Any]], compared: Comparison | None
) -> tuple[Sequence[str], Sequence[Mapping[str, Any]]]:
    """Return the columns and rows of a table, without published numbers where no published study is compared."""
    if compared is not None:
        return columns, rows
    own_columns = [name for name in columns if name not in _COLUMNS]
    return own_columns, [{name: row[name] for name in own_columns} for row in rows]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two printed numbers, or a sum of printed numbers and their printed total, that differ."""

    name: str
    first: int
    second: int
    words: str


def contradictions(records: Records) -> Iterator[Contradiction]:
    """Yield the printed numbers that contradict each other: sums first, then numbers of the same records."""
    printed = records.printed
    for name, printed_sum in records.sums.items():
        parts = [printed[key].records for key in printed_sum.parts]
        total = printed[printed_sum.total].records
        if sum(parts) != total:
            shown = " + ".join(f"{part:,}" for part in parts)
            yield Contradiction(name, sum(parts), total, f"{shown} = {sum(parts):,}, not {total:,}")
    for key, other in combinations(printed, 2):
        first, second = printed[key], printed[other]
        if first.counted() == second.counted() and first.records != second.records:
            words = f"{first.records:,} ({key}) and {second.records:,} ({other}) are printed for the same records"
            yield Contradiction(f"{first.counted()}: two numbers", first.records, second.records, words)
