"""The forms in which artifacts are written and read: the same bytes for the same content."""

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posologie.running.errors import InputError, machine_error
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


def read_text(path: str | os.PathLike[str]) -> str:
    """Read a text file that a person wrote, with or without a byte order mark.

    Raises:
        InputError: if it is missing or is not UTF-8, saying which encoding it seems to be in.
    """
    try:
        content = Path(path).read_bytes()
        if b"\0" not in content:  # without a byte order mark, English in UTF-16 is valid UTF-8 too
            return content.decode("utf-8-sig")
        line = content[: content.index(b"\0")].count(b"\n") + 1
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
    except OSError as error:
        raise InputError(machine_error(error, path) or f"{path}: {error.strerror or error}") from error
    raise InputError(f"{path}, line {line}: not UTF-8; it seems to be {_encoding_of(content)}: save it as UTF-8")


def _encoding_of(content: bytes) -> str:
    """Return the name of the encoding that a text which is not UTF-8 seems to be in."""
    from charset_normalizer import from_bytes

    best = from_bytes(content).best()
    name = "of no known encoding" if best is None else best.encoding.replace("_", "-").upper()
    foreign = sum(byte > 127 for byte in content)
    if b"\0" not in content and foreign < max(10, 0.1 * len(content)):  # few accents: too little for the library
        return "Windows-1252 or Latin-1"
    return name


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file.

    Raises:
        InputError: naming the file and line where it stops being JSON.
    """
    try:
        return json.loads(read_text(path))
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
    """Write rows as CSV: numbers with six decimals at most, nothing for None, text that no spreadsheet computes.

    Raises:
        ValueError: for a row with other keys than the columns.
    """
    lines = [_line(columns)]
    for row in rows:
        if row.keys() != set(columns):
            raise ValueError(f"row with {sorted(row.keys() ^ set(columns))} too few or too many")
        lines.append(_line([_cell(row[column]) for column in columns]))
    write_text(path, "".join(lines))


def _line(cells: Sequence[str]) -> str:
    """Return one line of CSV. The writer quotes a carriage return only where its own line ends have one."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return without_formula(value)
    if not isinstance(value, float):
        return str(value)
    shown = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if shown == "-0" else shown


_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def without_formula(text: str) -> str:
    """Return a text as a cell that a spreadsheet shows and never computes: `=1+1` becomes `'=1+1`; numbers stay.

    `read_csv` takes the mark away again.
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def read_csv(path: str | os.PathLike[str]) -> tuple[list[str], list[list[str]]]:
    """Read a table that `write_csv` wrote: its columns, and the cells of each row as text.

    Raises:
        InputError: if the file is missing or empty, or a row has too few or too many cells.
    """
    text = read_text(path)
    lines = list(csv.reader(io.StringIO(text, newline="")))
    if not lines:
        raise InputError(f"{path}: empty; expected a line of column names")
    columns, *rows = lines
    for number, cells in enumerate(rows, start=2):
        if len(cells) != len(columns):
            raise InputError(f"{path}, line {number}: {len(cells)} cells; expected {len(columns)}")
    return columns, [[_as_written(cell) for cell in cells] for cells in rows] if "'" in text else rows


def _as_written(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def read_rows(path: str | os.PathLike[str]) -> list[dict[str, str]]:
    """Read a table that `write_csv` wrote as rows of text by column.

    Raises:
        InputError: as `read_csv`.
    """
    columns, rows = read_csv(path)
    return [dict(zip(columns, cells, strict=True)) for cells in rows]


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
