"""Reader of MedQA as published: JSON lines of `question`, `options` (letter → text), `answer` (text), `answer_idx`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from posologie.records.specs import Spec
from posologie.running.commands import run
from posologie.sources import shards
from posologie.sources.cleaning import Rejected
from posologie.sources.drafts import Draft
from posologie.sources.shards import Drafting, Place
from posologie.sources.spec import ShardSpec


def draft(record: Any, place: Place) -> Draft:
    """Make a draft of one MedQA record."""
    options = record["options"]
    letters = sorted(options)
    if letters != list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(letters)]):
        raise Rejected("unreadable options", f"options {', '.join(map(ascii, letters))[:80]}; expected A, B, C, …")
    label, text = record.get("answer_idx"), record.get("answer")
    if label and text and options.get(label) != text:
        raise Rejected("answer contradicts its label", f"{label!a}: {options.get(label)!a:.60}, but {text!a:.60}")
    return Draft(
        question=record["question"],
        answer=label or text,
        task="mcqu",
        options=[options[letter] for letter in letters],
        labels=letters,
        answer_form="labels" if label else "text",
        meta={"origin": "MedQA", "exam": record.get("meta_info")},
    )


def reader(spec: ShardSpec, files: Mapping[str, Path]) -> Drafting:
    """Return the reader; the form has no options."""
    shards.options_of(spec, Spec)
    return draft


def main(argv: list[str]) -> None:
    """Write a shard from MedQA files."""
    shards.main(argv, "posologie.sources.medqa", reader)


if __name__ == "__main__":
    run(main)
