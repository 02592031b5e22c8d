"""Reader of MMLU as published: headerless CSV, one file per subject (question, options, letter of the right one)."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from posologie.records.specs import Spec
from posologie.running.commands import run
from posologie.sources import shards
from posologie.sources.cleaning import Rejected
from posologie.sources.drafts import Draft
from posologie.sources.records import Rows, read_unlabelled_cells
from posologie.sources.shards import Drafting, Place
from posologie.sources.spec import ShardSpec


def draft(record: Any, place: Place) -> Draft:
    """Make a draft of one row of an MMLU file; the subject is the file's name."""
    if len(record) < 4:
        raise Rejected("not a record of this form", f"{len(record)} cells; expected question, options, letter")
    question, *options, letter = record
    published_file = place.file.rsplit("/", 1)[-1].removesuffix(".csv")
    subject = published_file.rpartition("_")[0]
    return Draft(
        question=question,
        answer=letter,
        task="mcqu",
        options=options,
        meta={
            "origin": "MMLU",
            "subject": subject.replace("_", " "),
            # Translations keep the names and rows of the files.
            "lineage": [{"source": "MMLU", "id": f"MMLU:{published_file}:{place.row}"}],
        },
    )


def reader(spec: ShardSpec, files: Mapping[str, Path]) -> Drafting:
    """Return the reader; the form has no options."""
    shards.options_of(spec, Spec)
    return draft


def rows(files: Mapping[str, Path], _: ShardSpec) -> Iterator[Rows]:
    """Yield the rows of the files, which have no header."""
    return read_unlabelled_cells(files)


def main(argv: list[str]) -> None:
    """Write a shard from MMLU files."""
    shards.main(argv, "posologie.sources.mmlu", reader, rows)


if __name__ == "__main__":
    run(main)
