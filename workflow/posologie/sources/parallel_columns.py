"""Reader of parallel text in rows: the configuration says which columns hold a text and its translation."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from posologie.records.items import meta_json, stable_id
from posologie.running.commands import run
from posologie.sources import collecting
from posologie.sources.cleaning import Rejected, as_text, value_at
from posologie.sources.drafts import native_key, storable
from posologie.sources.records import Rows, float_key, present, read_columns
from posologie.sources.spec import CollectionSpec, FileForm


class Options(FileForm):
    """Options of the reader: columns by name, and their languages."""

    source_text: str = Field(description="column of the text that is translated")
    target_text: str = Field(description="column of its translation")
    source_language: str = Field(default="en", description="language translated from")
    target_language: str = Field(default="fr", description="language translated into")
    id: str | None = Field(default=None, description="column of the segment's own identifier")
    group: str | None = Field(default=None, description="column of the document that segments come from")
    meta: tuple[str, ...] = Field(default=(), description="further columns to keep")

    def named_columns(self) -> tuple[str, ...]:
        """Return the columns that every table of this collection has to have."""
        named = (self.source_text, self.target_text, self.id, self.group, *self.meta)
        return tuple(dict.fromkeys(name for name in named if name is not None))


def collect(record: Any, spec: CollectionSpec, repairs: set[str]) -> collecting.Row:
    """Return the row of one segment and its translation."""
    options = collecting.options_of(spec, Options)
    source = as_text(value_at(record, options.source_text), "source_text", repairs)
    target = as_text(value_at(record, options.target_text), "target_text", repairs)
    if not source or not target:
        raise Rejected("empty segment", "the segment is blank on one side")
    key = native_key(float_key(present(record, options.id)))
    content = (spec.collection, "content", source, target)
    row_id = stable_id(*content) if key is None else stable_id(spec.collection, "key", key)
    group = present(record, options.group)
    meta = {name: storable(value) for name in options.meta if (value := present(record, name)) is not None}
    return {
        "id": row_id,
        "collection": spec.collection,
        "source_language": options.source_language,
        "target_language": options.target_language,
        "source_text": source,
        "target_text": target,
        "group": row_id if group is None else stable_id(spec.collection, "document", str(group)),
        "meta": meta_json(meta | ({} if key is None else {"native_id": storable(key)})),
    }


def rows(files: Mapping[str, Path], spec: CollectionSpec) -> Iterator[Rows]:
    """Yield the records of the files."""
    options = collecting.options_of(spec, Options)
    return read_columns(files, options.form(), options.named_columns())


def main(argv: list[str]) -> None:
    """Write parallel text from rows with configured columns."""
    collecting.main(argv, "posologie.sources.parallel_columns", collect, rows, pairs=True)


if __name__ == "__main__":
    run(main)
