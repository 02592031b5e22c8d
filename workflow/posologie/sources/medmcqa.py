"""Reader of MedMCQA as published: JSON lines with `opa` … `opd` and `cop`, the number of the right option from 1.

The test file has no `cop`: its questions are rejected as unlabelled. The copy on the hub counts `cop` from 0 and puts
-1 where there is none; the option `cop_from` says so.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from posologie.records.specs import Spec
from posologie.running.commands import run
from posologie.running.errors import InputError
from posologie.sources import shards
from posologie.sources.drafts import Draft, native_key
from posologie.sources.shards import Drafting, Place
from posologie.sources.spec import ShardSpec


class Options(Spec):
    """Options of the reader."""

    cop_from: Literal[0, 1] = Field(default=1, description="whether `cop` counts the options from 0 or from 1")


def draft(record: Any, place: Place, options: Options) -> Draft:
    """Make a draft of one MedMCQA record."""
    correct = record.get("cop")
    return Draft(
        question=record["question"],
        answer=None if correct == -1 else correct,
        task="mcqu",
        options=[record[f"op{letter}"] for letter in "abcd"],
        labels=list("abcd"),
        answer_form="index0" if options.cop_from == 0 else "index1",
        native_key=native_key(record.get("id")),
        meta={
            "origin": "MedMCQA",
            "subject": record.get("subject_name"),
            "topic": record.get("topic_name"),
            "choice_type": record.get("choice_type"),
            "explanation": record.get("exp"),
        },
    )


def reader(spec: ShardSpec, files: Mapping[str, Path]) -> Drafting:
    """Return the reader with its options.

    Raises:
        InputError: if a Parquet file (the hub's copy comes in these) is read without saying from where `cop` counts.
    """
    options = shards.options_of(spec, Options)
    if "cop_from" not in options.model_fields_set and any(path.suffix == ".parquet" for path in files.values()):
        raise InputError(
            f"sources.{spec.source}.options.cop_from: missing for Parquet files; expected 0 (the hub's copy) or 1"
        )
    return partial(draft, options=options)


def main(argv: list[str]) -> None:
    """Write a shard from MedMCQA files."""
    shards.main(argv, "posologie.sources.medmcqa", reader)


if __name__ == "__main__":
    run(main)
