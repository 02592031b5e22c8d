"""Reader of documents in rows: the configuration says which column holds the text, the title and so on.

CSV, TSV, XLSX, JSON, JSON lines or Parquet, compressed or not.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from posologie.records.items import stable_id
from posologie.running.commands import run
from posologie.sources import collecting
from posologie.sources.cleaning import value_at
from posologie.sources.drafts import native_key
from posologie.sources.records import Rows, float_key, present, read_columns
from posologie.sources.spec import CollectionSpec, FileForm


class Options(FileForm):
    """Options of the reader: columns by name."""

    text: str = Field(description="column of the text")
    title: str | None = Field(default=None, description="column of the title")
    id: str | None = Field(default=None, description="column of the document's own identifier")
    group: str | None = Field(default=None, description="column of what documents of one case have in common")
    meta: tuple[str, ...] = Field(default=(), description="further columns to keep")

    def named_columns(self) -> tuple[str, ...]:
        """Return the columns that every table of this collection has to have."""
        named = (self.text, self.title, self.id, self.group, *self.meta)
        return tuple(dict.fromkeys(name for name in named if name is not None))


def collect(record: Any, spec: CollectionSpec, repairs: set[str]) -> collecting.Row:
    """Return the document of one row."""
    options = collecting.options_of(spec, Options)
    key = native_key(float_key(present(record, options.id)))
    meta = {name: present(record, name) for name in options.meta}
    row = collecting.document(spec, key, present(record, options.title), value_at(record, options.text), repairs, meta)
    if (group := present(record, options.group)) is not None:
        row["group"] = stable_id(spec.collection, "group", str(group))
    return row


def rows(files: Mapping[str, Path], spec: CollectionSpec) -> Iterator[Rows]:
    """Yield the records of the files."""
    options = collecting.options_of(spec, Options)
    return read_columns(files, options.form(), options.named_columns())


def main(argv: list[str]) -> None:
    """Write a collection from rows with configured columns."""
    collecting.main(argv, "posologie.sources.document_columns", collect, rows)


if __name__ == "__main__":
    run(main)
