"""Reader of PubMedQA as published: a JSON object by PubMed id, with the ids of the test half in a file of its own.

`QUESTION`, `CONTEXTS` (the abstract without its conclusion, in parts), `final_decision` (yes, no, maybe), `LONG_ANSWER`
(the conclusion). Where `test_ground_truth.json` is among the files, its ids are the test split and the others the
training split; without it a file is taken as it is.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from posologie.records.specs import Spec
from posologie.running.commands import run
from posologie.running.errors import InputError
from posologie.sources import shards
from posologie.sources.cleaning import Elsewhere, Rejected
from posologie.sources.drafts import Draft
from posologie.sources.records import Rows, parsed_json, read_keyed_rows
from posologie.sources.shards import Drafting, Place
from posologie.sources.spec import ShardSpec


class Options(Spec):
    """Options of the reader."""

    task: Literal["mcqu", "oeq"] = Field(
        default="mcqu", description="mcqu: choose yes, no or maybe; oeq: the conclusion of the abstract is the answer"
    )


TEST_IDS = "test_ground_truth.json"
DECISIONS = ("yes", "no", "maybe")


def draft(record: Any, place: Place, options: Options, test_ids: frozenset[str] | None, test: bool) -> Draft:
    """Make a draft of one PubMedQA record."""
    key, value = record["key"], record["value"]
    if test_ids is not None and (key in test_ids) != test:
        raise Elsewhere
    contexts = value["CONTEXTS"]
    if not isinstance(contexts, list) or not all(isinstance(part, str) for part in contexts):
        raise Rejected("field is not text", "CONTEXTS: expected a list of texts")
    closed = options.task == "mcqu"
    return Draft(
        question=value["QUESTION"],
        context="\n".join(contexts),
        answer=value.get("final_decision") if closed else value["LONG_ANSWER"],
        task=options.task,
        options=DECISIONS if closed else (),
        answer_form="text",
        native_key=key,
        meta={
            "origin": "PubMedQA",
            "year": value.get("YEAR"),
            "mesh": value.get("MESHES"),
            "long_answer": value["LONG_ANSWER"] if closed else None,
            "decision": None if closed else value.get("final_decision"),
        },
    )


def reader(spec: ShardSpec, files: Mapping[str, Path]) -> Drafting:
    """Return the reader with its options and the ids of the test split."""
    ids = None
    for name, path in files.items():
        if path.name == TEST_IDS:
            ids = parsed_json(name, path)
            if not isinstance(ids, dict):
                raise InputError(f"{name}: a JSON {type(ids).__name__}; expected an object of decisions by PubMed id")
    if ids is not None and spec.split == "validation":
        raise InputError(
            f"sources.{spec.source}.splits: {TEST_IDS} divides into train and test; there is no validation"
        )
    options = shards.options_of(spec, Options)
    return partial(draft, options=options, test_ids=None if ids is None else frozenset(ids), test=spec.split == "test")


def rows(files: Mapping[str, Path], _: ShardSpec) -> Iterator[Rows]:
    """Yield the records of all files but the one that lists the test ids."""
    return read_keyed_rows({name: path for name, path in files.items() if path.name != TEST_IDS})


def main(argv: list[str]) -> None:
    """Write a shard from PubMedQA files."""
    shards.main(argv, "posologie.sources.pubmedqa", reader, rows)


if __name__ == "__main__":
    run(main)
