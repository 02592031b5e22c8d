"""Reader of the records that MedInjection-FR is published in: instruction, context, answer, type, origin (PAPER, 1).

The options stand in the instruction, after the line `Choix de réponses :`, as lines `(A) …`. Files are JSON lists, JSON
lines or Parquet: `Train|Validation|Test/{mcq,mcqu,oeq}/{task}_{train|val|test|training}.json`, or
`data/{train|validation|test}-*.parquet` for the data set of all parts.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from posologie.records.items import Task
from posologie.records.specs import Spec
from posologie.running.commands import run
from posologie.sources import shards
from posologie.sources.cleaning import Elsewhere, Rejected
from posologie.sources.drafts import Draft
from posologie.sources.shards import Drafting, Place
from posologie.sources.spec import ShardSpec


class Options(Spec):
    """Options of the reader."""

    origins: tuple[str, ...] | None = Field(
        default=None, description="keep only records of these origins, such as those of one provenance out of `…/ALL`"
    )


_TASKS: dict[str, Task] = {
    "mcqu": "mcqu", "qcu": "mcqu", "mcqsingle": "mcqu", "singleanswer": "mcqu", "single": "mcqu", "simple": "mcqu",
    "mcq": "mcq", "mcqm": "mcq", "qcm": "mcq", "mcqmulti": "mcq", "mcqmultiple": "mcq", "multianswer": "mcq",
    "multipleanswer": "mcq", "multiple": "mcq",
    "oeq": "oeq", "oe": "oeq", "open": "oeq", "openended": "oeq", "openendedquestion": "oeq",
    "qroc": "oeq", "qa": "oeq",
}  # fmt: skip
_NOT_LETTERS = re.compile(r"[^a-z]+")


def task_of(published: Any, file: str) -> Task:
    """Return the task of a record: from its type in any case and spelling, or else from the folder of its file.

    Raises:
        Rejected: if the type is none of the known ones.
    """
    if isinstance(published, str) and published in ("mcqu", "mcq", "oeq"):
        return published  # type: ignore[return-value]  # mypy does not narrow a str to literals by `in`
    if published is None or (isinstance(published, str) and not published.strip()):
        for part in reversed(file.lower().split("/")[:-1]):
            if part in _TASKS:
                return _TASKS[part]
    if isinstance(published, str) and (task := _TASKS.get(_NOT_LETTERS.sub("", published.lower()))):
        return task
    raise Rejected("unknown type", f"{ascii(published)[:80]}; expected mcqu, mcq or oeq")


def draft(record: Any, place: Place, options: Options) -> Draft:
    """Make a draft of one hub record."""
    if options.origins is not None and record.get("origin") not in options.origins:
        raise Elsewhere
    task = task_of(record.get("type"), place.file)
    return Draft(
        question=record["instruction"],
        context=record.get("context"),
        answer=record["answer"],
        task=task,
        options=() if task == "oeq" else None,
        meta={"origin": record.get("origin")},
    )


def reader(spec: ShardSpec, files: Mapping[str, Path]) -> Drafting:
    """Return the reader with its options."""
    return partial(draft, options=shards.options_of(spec, Options))


def main(argv: list[str]) -> None:
    """Write a shard from hub records."""
    shards.main(argv, "posologie.sources.hub_records", reader)


if __name__ == "__main__":
    run(main)
