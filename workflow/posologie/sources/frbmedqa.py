"""Reader of FrBMedQA: cloze questions over French Wikipedia, with candidate entities (Kaddari and Bouchentouf, 2022).

A record holds a passage, a question with a gap, candidate entities and the right one. Copies differ in the names of the
fields; the known ones are tried in turn. Without candidates a record is an open question.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from posologie.records.specs import Spec
from posologie.running.commands import run
from posologie.sources import shards
from posologie.sources.drafts import Draft, first_field, native_key
from posologie.sources.shards import Drafting, Place
from posologie.sources.spec import ShardSpec

_CANDIDATES = ("candidates", "candidate_entities", "entities", "choices", "options")


def draft(record: Any, place: Place) -> Draft:
    """Make a draft of one FrBMedQA record."""
    candidates = first_field(record, *_CANDIDATES, required=False)
    options = list(candidates.values()) if isinstance(candidates, dict) else list(candidates or ())
    return Draft(
        question=first_field(record, "question", "query"),
        context=first_field(record, "context", "passage"),
        answer=first_field(record, "answer", "correct_answer"),
        task="mcqu" if options else "oeq",
        options=options,
        answer_form="text",
        native_key=native_key(record.get("id")),
        meta={"origin": "FrBMedQA", "title": record.get("title")},
    )


def reader(spec: ShardSpec, files: Mapping[str, Path]) -> Drafting:
    """Return the reader; the form has no options."""
    shards.options_of(spec, Spec)
    return draft


def main(argv: list[str]) -> None:
    """Write a shard from FrBMedQA files."""
    shards.main(argv, "posologie.sources.frbmedqa", reader)


if __name__ == "__main__":
    run(main)
