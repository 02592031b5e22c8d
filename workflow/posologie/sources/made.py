"""Reader of items that the study made itself: generated from documents, or translated.

They get the source's name and component and the split that is asked for, and pass the cleaning of every other form.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from posologie.records.specs import Spec
from posologie.running.commands import run
from posologie.sources import shards
from posologie.sources.drafts import Draft, native_key
from posologie.sources.shards import Drafting, Place
from posologie.sources.spec import ShardSpec


def draft(record: Any, _: Place) -> Draft:
    """Make a draft of one item that was generated or translated."""
    return Draft(
        question=record["question"],
        context=record["context"],
        answer=record["answer"] if record["task"] == "oeq" else list(record["gold"]),
        task=record["task"],
        options=list(record["options"]),
        answer_form="index0",
        native_key=native_key(record["id"]),
        group=native_key(record["group"]),
        meta={**json.loads(record["meta"]), "made_from": record["id"]},
    )


def reader(spec: ShardSpec, files: Mapping[str, Path]) -> Drafting:
    """Return the reader; the form has no options."""
    shards.options_of(spec, Spec)
    return draft


def main(argv: list[str]) -> None:
    """Write a shard from items that were generated or translated."""
    shards.main(argv, "posologie.sources.made", reader)


if __name__ == "__main__":
    run(main)
