"""Gathering: the outputs of parts become one artifact, independent of the order in which the parts are named.

python -m posologie.generation.gather --items PART.parquet… --rejects PART.parquet… --reports PART.json…
    --out-items OUT.parquet --out-rejects OUT.parquet --out-report OUT.json

Items are ordered by id. Numbers in the reports are added up; what is no number must be equal in all of them.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from posologie.records.files import read_json, read_parquet, write_json, write_parquet
from posologie.records.items import read_item_table
from posologie.running.commands import run
from posologie.running.errors import InputError


def main(argv: list[str]) -> None:
    """Gather the outputs of parts."""
    arguments = argparse.ArgumentParser(prog="python -m posologie.generation.gather", description=__doc__)
    for name in ("items", "rejects", "reports"):
        arguments.add_argument(f"--{name}", required=True, nargs="+", type=Path)
    for name in ("items", "rejects", "report"):
        arguments.add_argument(f"--out-{name}", required=True, type=Path)
    options = arguments.parse_args(argv)
    items = pa.concat_tables([read_item_table(path) for path in options.items]).sort_by("id")
    rejects = pa.concat_tables([read_parquet(path) for path in options.rejects])
    rejects = rejects.sort_by([(name, "ascending") for name in rejects.column_names])
    write_parquet(options.out_items, items)
    write_parquet(options.out_rejects, rejects)
    write_json(options.out_report, summed([read_json(path) for path in options.reports], "report"))


def summed(values: Sequence[Any], place: str) -> Any:
    """Return reports added up: numbers summed, maps key by key, everything else equal.

    Raises:
        InputError: naming the first place where parts say different things.
    """
    if all(isinstance(value, dict) for value in values):
        names = sorted({name for value in values for name in value})
        return {name: summed([value[name] for value in values if name in value], f"{place}.{name}") for name in names}
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return sum(values)
    if any(value != values[0] for value in values):
        raise InputError(f"{place}: {values[0]!r} in one part and another value in the next; expected parts of one run")
    return values[0]


if __name__ == "__main__":
    run(main)
