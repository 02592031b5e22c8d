"""Scattering: a table is worked on in parts of a configured size, one job each.

python -m posologie.generation.parts --table FILE.parquet --size ROWS --parts OUT.json

writes {"rows": …, "parts": …}; job NUMBER of them takes `--part NUMBER/PARTS`. The parts differ by one row at most.
"""

import argparse
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from posologie.records.files import parquet_schema, write_json
from posologie.running.commands import run
from posologie.running.errors import InputError


def main(argv: list[str]) -> None:
    """Write how many parts a table has."""
    arguments = argparse.ArgumentParser(prog="python -m posologie.generation.parts", description=__doc__)
    arguments.add_argument("--table", required=True, type=Path)
    arguments.add_argument("--size", required=True, type=int)
    arguments.add_argument("--parts", required=True, type=Path)
    options = arguments.parse_args(argv)
    if options.size < 1:
        raise InputError(f"--size {options.size}: expected at least one row")
    parquet_schema(options.table)  # says so where the file is no Parquet
    rows = pyarrow.parquet.read_metadata(options.table).num_rows
    write_json(options.parts, {"rows": rows, "parts": parts_for(rows, options.size)})


def parts_for(rows: int, size: int) -> int:
    """Return the number of parts of at most `size` rows; at least one."""
    return max(1, math.ceil(rows / size))


def named_part(text: str) -> tuple[int, int]:
    """Split an argument NUMBER/PARTS; the first part is 1."""
    number, _, parts = text.partition("/")
    if not (number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
        raise argparse.ArgumentTypeError(f"'{text}': expected NUMBER/PARTS, from 1/PARTS to PARTS/PARTS")
    return int(number), int(parts)


def add_part_argument(arguments: argparse.ArgumentParser) -> None:
    """Add the option that names a job's part; the whole table if it is left out."""
    arguments.add_argument("--part", type=named_part, default=(1, 1), metavar="NUMBER/PARTS")


def part_of(table: pa.Table, part: tuple[int, int]) -> pa.Table:
    """Return a part of a table, rows ordered by id: independent of the order of the rows."""
    number, parts = part
    ordered = table.sort_by("id")
    start, end = (table.num_rows * edge // parts for edge in (number - 1, number))
    return ordered.slice(start, end - start)


if __name__ == "__main__":
    run(main)
