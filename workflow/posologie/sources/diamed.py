"""Reader of DIAMED as published: JSON lists of clinical cases with title, keywords, domain and ICD-10 chapter."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from posologie.running.commands import run
from posologie.sources import collecting
from posologie.sources.drafts import first_field, native_key
from posologie.sources.records import Rows, read_rows
from posologie.sources.spec import CollectionSpec


def collect(record: Any, spec: CollectionSpec, repairs: set[str]) -> collecting.Row:
    """Return the document of one clinical case."""
    meta = {
        "topic": record.get("topic"),
        "keywords": record.get("keywords"),
        "domains": first_field(record, "domain", "domains", required=False),
        "icd10_chapter": record.get("icd-10"),
        "source_url": record.get("source_url"),
        "license": record.get("license"),
    }
    key, title = native_key(record.get("identifier")), record.get("title")
    return collecting.document(spec, key, title, record["clinical_case"], repairs, meta)


def rows(files: Mapping[str, Path], spec: CollectionSpec) -> Iterator[Rows]:
    """Yield the records of the files."""
    return read_rows(files)


def main(argv: list[str]) -> None:
    """Write a collection from DIAMED files."""
    collecting.main(argv, "posologie.sources.diamed", collect, rows)


if __name__ == "__main__":
    run(main)
