"""Reader of MORFITT as published: tab-separated identifier, abstract in French, specialities joined by `|`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from posologie.running.commands import run
from posologie.sources import collecting
from posologie.sources.drafts import native_key
from posologie.sources.records import Rows, read_rows
from posologie.sources.spec import CollectionSpec


def collect(record: Any, spec: CollectionSpec, repairs: set[str]) -> collecting.Row:
    """Return the document of one abstract."""
    meta = {"specialities": record["specialities"].split("|")}
    return collecting.document(spec, native_key(record["identifier"]), None, record["abstract"], repairs, meta)


def rows(files: Mapping[str, Path], spec: CollectionSpec) -> Iterator[Rows]:
    """Yield the records of the files."""
    return read_rows(files)


def main(argv: list[str]) -> None:
    """Write a collection from MORFITT files."""
    collecting.main(argv, "posologie.sources.morfitt", collect, rows)


if __name__ == "__main__":
    run(main)
