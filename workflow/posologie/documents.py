"""Documents that items are generated from, and parallel text that translation is measured on: their table schemas."""

import os
from typing import TYPE_CHECKING

from posologie.errors import InputError

if TYPE_CHECKING:
    import pyarrow


def document_schema() -> "pyarrow.Schema":
    """Return the schema of a document collection.

    `title` is empty where there is none; `group` is what documents on one case have in common, else the own id; `meta`
    is JSON.
    """
    import pyarrow as pa

    return pa.schema(
        [pa.field(name, pa.string(), nullable=False) for name in ("id", "collection", "title", "text", "group", "meta")]
    )


def pair_schema() -> "pyarrow.Schema":
    """Return the schema of parallel text: one aligned segment a row, `group` being its document where that is known."""
    import pyarrow as pa

    names = ("id", "collection", "source_language", "target_language", "source_text", "target_text", "group", "meta")
    return pa.schema([pa.field(name, pa.string(), nullable=False) for name in names])


def read_documents(path: str | os.PathLike[str]) -> "pyarrow.Table":
    """Read a document collection.

    Raises:
        InputError: naming the file and the first column that is missing or of another type.
    """
    return _read(path, document_schema(), "documents")


def read_pairs(path: str | os.PathLike[str]) -> "pyarrow.Table":
    """Read parallel text.

    Raises:
        InputError: naming the file and the first column that is missing or of another type.
    """
    return _read(path, pair_schema(), "parallel text")


def _read(path: str | os.PathLike[str], schema: "pyarrow.Schema", kind: str) -> "pyarrow.Table":
    from posologie.files import read_parquet

    table = read_parquet(path)
    for field in schema:
        if field.name not in table.column_names or table.schema.field(field.name).type != field.type:
            raise InputError(f"{path}: no text column '{field.name}'; expected a table of {kind}")
    return table.select(schema.names).cast(schema)
