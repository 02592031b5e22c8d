"""Reader of WMT biomedical test sets: text files aligned line by line, `{name}.{source}` and `{name}.{target}`.

A line that is blank on both sides ends a document. Where there is none, as in the sets of 2019 and 2020, documents are
not known and every segment is its own group.
"""

from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from pydantic import Field

from posologie.records.items import meta_json, stable_id
from posologie.records.specs import Spec
from posologie.running.commands import run
from posologie.running.errors import InputError
from posologie.sources import collecting
from posologie.sources.cleaning import Rejected, as_text
from posologie.sources.records import Rows, text_of
from posologie.sources.spec import CollectionSpec


class Options(Spec):
    """Options of the reader."""

    source_language: str = Field(default="en", description="language translated from, which is its files' suffix")
    target_language: str = Field(default="fr", description="language translated into, which is its files' suffix")


def collect(record: Any, spec: CollectionSpec, repairs: set[str]) -> collecting.Row:
    """Return the row of one aligned segment."""
    options = collecting.options_of(spec, Options)
    source = as_text(record["source"], "source", repairs)
    target = as_text(record["target"], "target", repairs)
    if not source or not target:
        raise Rejected("empty segment", "the line is blank on one side")
    row_id = stable_id(spec.collection, "key", record["set"], str(record["line"]))
    document = record["document"]
    return {
        "id": row_id,
        "collection": spec.collection,
        "source_language": options.source_language,
        "target_language": options.target_language,
        "source_text": source,
        "target_text": target,
        "group": row_id if document is None else stable_id(spec.collection, "document", record["set"], str(document)),
        "meta": meta_json({"set": record["set"], "line": record["line"]}),
    }


def rows(files: Mapping[str, Path], spec: CollectionSpec) -> Iterator[Rows]:
    """Yield the segments of each pair of files, numbered by line.

    Raises:
        InputError: if a file has no partner, or another number of lines than it.
    """
    options = collecting.options_of(spec, Options)
    sources = {path.stem: name for name, path in files.items() if path.suffix == f".{options.source_language}"}
    targets = {path.stem: name for name, path in files.items() if path.suffix == f".{options.target_language}"}
    if not sources or sources.keys() != targets.keys():
        languages = f"NAME.{options.source_language} and NAME.{options.target_language}"
        raise InputError(f"{', '.join(files)}: expected pairs of files {languages}")
    for stem in sorted(sources):
        source = text_of(sources[stem], files[sources[stem]]).rstrip("\n").split("\n")
        target = text_of(targets[stem], files[targets[stem]]).rstrip("\n").split("\n")
        if len(source) != len(target):
            raise InputError(f"{sources[stem]}: {len(source)} lines, but {len(target)} in {targets[stem]}")
        yield from _segments(sources[stem], stem, list(zip(source, target, strict=True)))


def _segments(name: str, stem: str, lines: list[tuple[str, str]]) -> Iterator[Rows]:
    documents = any(not source.strip() and not target.strip() for source, target in lines)
    number = count()
    document = next(number)
    for line, (source, target) in enumerate(lines, 1):
        if not source.strip() and not target.strip():
            document = next(number)
            continue
        record = {"set": stem, "line": line, "source": source, "target": target}
        yield Rows(name, line, [{**record, "document": document if documents else None}])


def main(argv: list[str]) -> None:
    """Write parallel text from WMT files."""
    collecting.main(argv, "posologie.sources.wmt_biomedical", collect, rows, pairs=True)


if __name__ == "__main__":
    run(main)
