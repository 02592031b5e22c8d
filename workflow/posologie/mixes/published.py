"""Published numbers of records: compared with ours, and with each other."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import yaml
from pydantic import Field, ValidationError

from posologie.errors import InputError
from posologie.files import read_text
from posologie.items import Split, Task
from posologie.specs import Spec, first_problem


class Printed(Spec):
    """A printed number of records, and which records it counts (all, where a field is left out)."""

    records: int = Field(ge=0)
    provenance: str | None = None
    split: Split | None = None
    tasks: tuple[Task, ...] | None = None
    origin: str | None = None

    def counted(self) -> str:
        """Say which records it counts."""
        named = [self.provenance, self.split, "+".join(self.tasks) if self.tasks else None, self.origin]
        return " ".join(name for name in named if name) or "all"


class Sum(Spec):
    """Printed numbers that should add up to another."""

    parts: tuple[str, ...] = Field(min_length=1)
    total: str


class PublishedComposition(Spec):
    """What a publication says of its data (resources/published/composition.yaml)."""

    source: str
    printed: dict[str, Printed]
    sums: dict[str, Sum] = Field(default_factory=dict)


def read_published(path: str | os.PathLike[str]) -> PublishedComposition:
    """Read the published numbers.

    Raises:
        InputError: naming the key that does not fit, or the sum that names an unknown number.
    """
    try:
        published = PublishedComposition.model_validate(yaml.safe_load(read_text(path)))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    except ValidationError as error:
        raise InputError(f"{path}: {first_problem(error)}") from error
    for name, one in published.sums.items():
        for key in (*one.parts, one.total):
            if key not in published.printed:
                raise InputError(f"{path}: sums.{name} = '{key}': expected one of {', '.join(published.printed)}")
    return published


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two printed numbers, or a sum of printed numbers and their printed total, that differ."""

    name: str
    one: int
    other: int
    words: str


def contradictions(published: PublishedComposition) -> Iterator[Contradiction]:
    """Yield the printed numbers that contradict each other: sums first, then numbers of the same records."""
    printed = published.printed
    for name, wanted in published.sums.items():
        parts = [printed[key].records for key in wanted.parts]
        total = printed[wanted.total].records
        if sum(parts) != total:
            shown = " + ".join(f"{part:,}" for part in parts)
            yield Contradiction(name, sum(parts), total, f"{shown} = {sum(parts):,}, not {total:,}")
    for key, other in combinations(printed, 2):
        one, two = printed[key], printed[other]
        if one.counted() == two.counted() and one.records != two.records:
            words = f"{one.records:,} ({key}) and {two.records:,} ({other}) are printed for the same records"
            yield Contradiction(f"{one.counted()}: two numbers", one.records, two.records, words)


def ours(one: Printed, reports: Sequence[Mapping[str, Any]]) -> tuple[int, int | None] | None:
    """Return how many records of a kind the shards kept and read, or None if no shard can hold any.

    Rejected records have no known task or origin: what was read is None where the number counts only some of these.

    Args:
        reports: the reports of all shards.
    """
    shards = [
        report
        for report in reports
        if one.provenance in (None, report["provenance"]) and one.split in (None, report["split"])
    ]
    if one.origin is not None:
        name = one.origin.casefold()
        found = [count for report in shards for origin, count in report["origins"].items() if origin.casefold() == name]
        return (sum(found), None) if found else None
    if not shards:
        return None
    if one.tasks is not None:
        return sum(report["tasks"].get(task, 0) for report in shards for task in one.tasks), None
    return sum(report["kept"] for report in shards), sum(report["read"] for report in shards)
