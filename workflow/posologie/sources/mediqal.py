"""Reader of MediQAl as published: `mcqu/`, `mcqm/` and `oeq/{train,validation,test}.json`, questions of French exams.

Choice records have `clinical_case`, `question`, `answer_a` … `answer_e`, `correct_answers` (`A` or `A,C`),
`medical_subject`, `question_type`; open ones `answer` instead. Items on one clinical case form a group.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from posologie.records.items import Task
from posologie.records.specs import Spec
from posologie.running.commands import run
from posologie.sources import shards
from posologie.sources.cleaning import Rejected
from posologie.sources.drafts import Draft, first_field, native_key
from posologie.sources.shards import Drafting, Place
from posologie.sources.spec import ShardSpec

_TASKS: dict[str, Task] = {"mcqu": "mcqu", "mcqm": "mcq", "oeq": "oeq"}


def draft(record: Any, place: Place) -> Draft:
    """Make a draft of one MediQAl record."""
    task = _task(record, place)
    return Draft(
        question=record["question"],
        context=first_field(record, "clinical_case", "context"),
        answer=record["answer"] if task == "oeq" else record["correct_answers"],
        task=task,
        options=() if task == "oeq" else [record.get(f"answer_{letter}") for letter in "abcde"],
        labels=None if task == "oeq" else list("abcde"),
        native_key=native_key(record.get("id")),
        meta={
            "origin": "MediQAl",
            "subject": record.get("medical_subject"),
            "question_type": record.get("question_type"),
        },
    )


def _task(record: Mapping[str, Any], place: Place) -> Task:
    declared = record.get("task")
    if isinstance(declared, str) and declared.strip():
        if declared.strip().lower() not in _TASKS:
            raise Rejected("unknown type", f"{declared[:80]!a}; expected mcqu, mcqm or oeq")
        return _TASKS[declared.strip().lower()]
    for part in reversed(place.file.lower().split("/")[:-1]):
        if part in _TASKS:
            return _TASKS[part]
    return "mcq" if "correct_answers" in record else "oeq"


def reader(spec: ShardSpec, files: Mapping[str, Path]) -> Drafting:
    """Return the reader; the form has no options."""
    shards.options_of(spec, Spec)
    return draft


def main(argv: list[str]) -> None:
    """Write a shard from MediQAl files."""
    shards.main(argv, "posologie.sources.mediqal", reader)


if __name__ == "__main__":
    run(main)
