"""Reader of MedXpertQA as published: JSON lines `Text/{dev,test}.jsonl`, ten options, label as text or list.

The options are given twice, as `options` (letter → text, or a list of letter and content) and at the end of the
question after `Answer Choices:`; the copy in the question is cut off. Questions that need an image are rejected.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from posologie.records.specs import Spec
from posologie.running.commands import run
from posologie.sources import shards
from posologie.sources.cleaning import Rejected
from posologie.sources.drafts import Draft, native_key
from posologie.sources.shards import Drafting, Place
from posologie.sources.spec import ShardSpec

_COPY_OF_OPTIONS = re.compile(r"\s*^\s*Answer Choices:.*\Z", re.DOTALL | re.MULTILINE)


def draft(record: Any, place: Place) -> Draft:
    """Make a draft of one MedXpertQA record."""
    if record.get("images"):
        raise Rejected("needs an image", f"{record['images']!a:.80}")
    question = record["question"]
    letters, options = _options(record["options"])
    if letters != list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(letters)]):
        raise Rejected("unreadable options", f"options {', '.join(map(ascii, letters))[:80]}; expected A, B, C, …")
    return Draft(
        question=_COPY_OF_OPTIONS.sub("", question) if isinstance(question, str) else question,
        answer=record["label"],
        options=options,
        labels=letters,
        native_key=native_key(record.get("id")),
        meta={
            "origin": "MedXpertQA",
            "subject": record.get("body_system"),
            "medical_task": record.get("medical_task"),
            "question_type": record.get("question_type"),
        },
    )


def _options(published: Any) -> tuple[list[str], list[Any]]:
    """Return letters and texts; a letter whose text is null stands for an option that the question does not have."""
    if isinstance(published, dict):
        present = {letter: text for letter, text in published.items() if text is not None}
        return sorted(present), [present[letter] for letter in sorted(present)]
    pairs = sorted((option["letter"], option["content"]) for option in published)
    return [letter for letter, _ in pairs], [content for _, content in pairs]


def reader(spec: ShardSpec, files: Mapping[str, Path]) -> Drafting:
    """Return the reader; the form has no options."""
    shards.options_of(spec, Spec)
    return draft


def main(argv: list[str]) -> None:
    """Write a shard from MedXpertQA files."""
    shards.main(argv, "posologie.sources.medxpertqa", reader)


if __name__ == "__main__":
    run(main)
