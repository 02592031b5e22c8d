"""The forms in which artifacts are written and read: the same bytes for the same content."""

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posologie.errors import InputError
from posologie.running.whole_files import sha256_of_file as sha256_of_file
from posologie.running.whole_files import whole_file

if TYPE_CHECKING:
    import pyarrow


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text with the line ends as given."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write JSON with sorted keys and a final newline, so that equal values have equal bytes."""
    write_text(path, json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file.

    Raises:
        InputError: naming the file and line where it stops being JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from error


def write_parquet(path: str | os.PathLike[str], table: "pyarrow.Table") -> None:
    """Write a table as Parquet: zstd, no pandas metadata, row groups of 65,536 rows; equal tables have equal bytes."""
    import pyarrow.parquet

    with whole_file(path) as partial:
        pyarrow.parquet.write_table(
            table.replace_schema_metadata(None), partial, compression="zstd", row_group_size=1 << 16
        )


def write_csv(path: str | os.PathLike[str], columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV: numbers with six decimals at most, nothing for None.

    Raises:
        ValueError: for a row with other keys than the columns.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        if row.keys() != set(columns):
            raise ValueError(f"row with {sorted(row.keys() ^ set(columns))} too few or too many")
        writer.writerow([_cell(row[column]) for column in columns])
    write_text(path, text.getvalue())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    shown = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if shown == "-0" else shown


@contextmanager
def _parquet_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowInvalid, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise InputError(f"{path}: no such file") from error
        raise InputError(f"{path}: not a whole Parquet file ({str(error).splitlines()[0]})") from error


def read_parquet(path: str | os.PathLike[str], columns: list[str] | None = None) -> "pyarrow.Table":
    """Read a Parquet file.

    Raises:
        InputError: if the file is truncated or is not Parquet.
    """
    import pyarrow.parquet

    with _parquet_errors(path):
        return pyarrow.parquet.read_table(path, columns=columns, partitioning=None)


def parquet_schema(path: str | os.PathLike[str]) -> "pyarrow.Schema":
    """Read the schema of a Parquet file.

    Raises:
        InputError: if the file is truncated or is not Parquet.
    """
    import pyarrow.parquet

    with _parquet_errors(path):
        return pyarrow.parquet.read_schema(path)
