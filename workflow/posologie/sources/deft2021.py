"""Reader of DEFT-2021: clinical cases, one `.txt` file each beside its annotations (`.ann`), or rows of id and text."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from posologie.running.commands import run
from posologie.sources import collecting
from posologie.sources.drafts import first_field, native_key
from posologie.sources.records import Rows, read_rows, text_of
from posologie.sources.spec import CollectionSpec


def collect(record: Any, spec: CollectionSpec, repairs: set[str]) -> collecting.Row:
    """Return the document of one clinical case."""
    key = native_key(first_field(record, "document_id", "id", required=False))
    return collecting.document(spec, key, None, record["text"], repairs, {"specialities": record.get("specialities")})


def rows(files: Mapping[str, Path], spec: CollectionSpec) -> Iterator[Rows]:
    """Yield one record for each text file, and the records of the other files."""
    for name, path in files.items():
        if path.suffix.lower() == ".txt":
            yield Rows(name, 1, [{"document_id": path.stem, "text": text_of(name, path)}])
        else:
            yield from read_rows({name: path})


def main(argv: list[str]) -> None:
    """Write a collection from DEFT-2021 files."""
    collecting.main(argv, "posologie.sources.deft2021", collect, rows)


if __name__ == "__main__":
    run(main)
