"""Reader of FrenchMedMCQA as published: three JSON lists (train, dev, test) of pharmacy exam questions.

`answers` maps a–e to texts, `correct_answers` lists letters, `nbr_correct_answers` counts them; the test file lacks
`type` (simple, multiple). One right answer makes a question mcqu, several make it mcq.
"""

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


def draft(record: Any, place: Place) -> Draft:
    """Make a draft of one FrenchMedMCQA record."""
    answers = record["answers"]
    letters = sorted(answers)
    if letters != list("abcdefghijklmnopqrstuvwxyz"[: len(letters)]):
        raise Rejected("unreadable options", f"options {', '.join(map(ascii, letters))[:80]}; expected a, b, c, …")
    correct = record["correct_answers"]
    declared = {"simple": "mcqu", "multiple": "mcq", None: None}.get(record.get("type"), "unknown")
    counted = None if not isinstance(correct, list) or not correct else "mcqu" if len(set(correct)) == 1 else "mcq"
    if declared == "unknown":
        raise Rejected("unknown type", f"{ascii(record['type'])[:80]}; expected simple or multiple")
    if declared and counted and declared != counted:
        raise Rejected("type contradicts the key", f"'{record['type']}' with {len(correct)} right answers")
    return Draft(
        question=record["question"],
        answer=correct,
        options=[answers[letter] for letter in letters],
        labels=letters,
        native_key=native_key(record.get("id")),
        meta={"origin": "FrenchMedMCQA", "subject": record.get("subject_name")},
    )


def reader(spec: ShardSpec, files: Mapping[str, Path]) -> Drafting:
    """Return the reader; the form has no options."""
    shards.options_of(spec, Spec)
    return draft


def main(argv: list[str]) -> None:
    """Write a shard from FrenchMedMCQA files."""
    shards.main(argv, "posologie.sources.frenchmedmcqa", reader)


if __name__ == "__main__":
    run(main)
