"""Gather everything about one item and one model as one small file, for a bug report.

  posologie testcase 338b080a7ade361311d5 NAT/seed-1 --results results/demo --output case.json

ITEM is an item's id or the beginning of one; MODEL a model of the study, or its mix if that is unambiguous. The file
holds the item's text and the model's answers: look at it before you send it to anyone.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from posologie.cli.crate import is_crate
from posologie.cli.places import add_results, console, results_folder
from posologie.records import layout
from posologie.records.files import read_json, read_parquet, write_text
from posologie.records.items import Item, read_item_table, table_to_items
from posologie.records.prompting import Prompting, assistant_turn, chat
from posologie.running.errors import InputError
from posologie.running.installed import __version__


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `testcase`."""
    arguments.add_argument("item", metavar="ITEM", help="an item's id, or the beginning of one")
    arguments.add_argument("model", metavar="MODEL", help="backbone/base, backbone/mix/seed-…, or a mix's name")
    add_results(arguments)
    arguments.add_argument("--output", type=Path, metavar="FILE", help="default: standard output")


def answer(options: argparse.Namespace) -> int:
    """Write the test case."""
    root = results_folder(options.results)
    item, shard = item_of(root, options.item)
    text = json.dumps(case_of(root, item, shard, model_of(root, options.model)), ensure_ascii=False, indent=1) + "\n"
    if options.output is None:
        print(text, end="")
    else:
        write_text(options.output, text)
        if not options.json:
            console().print(f"{options.output.as_posix()}: {len(text.encode()):,} bytes", markup=False)
    return 0


def item_of(root: Path, prefix: str) -> tuple[Item, str]:
    """Return the item whose id begins so, and the shard that holds it.

    Raises:
        InputError: if there is none, or several.
    """
    matches: list[tuple[Item, str]] = []
    if is_crate(root) and not (root / "shards").is_dir():
        raise InputError(f"{root}: this archive holds no items; its report may show them (--with shards packs them)")
    for path in sorted((root / "shards").glob("*/*.parquet")):
        if path.name.endswith(".rejects.parquet"):
            continue
        table = read_item_table(path)
        here = table.filter(pc.starts_with(table["id"], prefix))
        matches += [(item, path.as_posix()) for item in table_to_items(here)]
    if len({item.id for item, _ in matches}) != 1:
        several = ", ".join(sorted({item.id for item, _ in matches})[:5])
        raise InputError(
            f"ITEM = '{prefix}': {f'is the beginning of {several}' if matches else f'no shard of {root} has it'}"
        )
    return matches[0]


def model_of(root: Path, name: str) -> str:
    """Return the model that is meant: by its full name, or by a part of it that is enough.

    Raises:
        InputError: if none or several have that part.
    """
    below = root / "predictions"
    models = sorted({path.parent.relative_to(below).as_posix() for path in below.rglob("*.parquet")})
    if name in models:
        return name
    matches = [model for model in models if f"/{name}/" in f"/{model}/"]
    if len(matches) != 1:
        raise InputError(
            f"MODEL = '{name}': expected one of {', '.join(matches or models) or 'no model: none has answered'}"
        )
    return matches[0]


def case_of(root: Path, item: Item, shard: str, model: str) -> dict[str, Any]:
    """Return everything about an item and a model as JSON values."""
    answers = list(_answers(root, item, model))
    if not answers:
        raise InputError(f"{model} has not answered item {item.id}; it is in {shard}")
    adapter = root / layout.adapter(model, "run.json")
    return {
        "posologie": __version__,
        "study": root.name,
        "model": model,
        "item": {**{name: getattr(item, name) for name in Item.__slots__}, "shard": shard},
        "answers": answers,
        "matches": list(_matches(root, item)),
        "trained_on": _training_mixes(root, item),
        "training_run": read_json(adapter) if adapter.is_file() else None,
    }


def _answers(root: Path, item: Item, model: str) -> Iterator[dict[str, Any]]:
    """Yield, for each suite that asked the item, the prompts, predictions, scores, judgements and the run record."""
    for path in sorted((root / "predictions" / model).glob("*.parquet")):
        rows = _rows(path, "item", item.id)
        if not rows:
            continue
        suite = path.stem
        record = read_json(root / layout.predictions_run(model, suite))
        prompting = Prompting.model_validate(record["spec"].get("prompting", {}))
        prompts = [
            {
                "variant": row["variant"],
                "chat": chat(item, row["option_order"], prompting),
                "right": assistant_turn(item, row["option_order"], prompting),
            }
            for row in rows
        ]
        judged = {
            judge.name: _rows(root / layout.judgements(judge.name, model, suite), "item", item.id)
            for judge in sorted((root / "judgements").glob("*"))
        }
        yield {
            "suite": suite,
            "prompts": prompts,
            "predictions": rows,
            "scores": _rows(root / layout.scores(model, suite), "item", item.id),
            "judgements": {judge: rows_found for judge, rows_found in judged.items() if rows_found},
            "run": record,
        }


def _matches(root: Path, item: Item) -> Iterator[dict[str, Any]]:
    """Yield what screening found of the item: training items that are like it."""
    for path in sorted((root / "screened").glob("*/*.matches.parquet")):
        table = read_parquet(path)
        columns = [name for name in table.column_names if pa.types.is_string(table.schema.field(name).type)]
        for name in columns:
            yield from (
                {"file": path.as_posix(), **row} for row in table.filter(pc.equal(table[name], item.id)).to_pylist()
            )


def _training_mixes(root: Path, item: Item) -> list[str]:
    """Return the mixes that hold the item: none may, if it is tested."""
    return [
        path.parent.relative_to(root).as_posix()
        for path in sorted((root / "mixes").glob("*/*/train.parquet"))
        if _rows(path, "id", item.id)
    ]


def _rows(path: Path, column: str, value: str) -> Sequence[dict[str, Any]]:
    if not path.is_file():
        return []
    table = read_parquet(path)
    rows: list[dict[str, Any]] = table.filter(pc.equal(table[column].cast(pa.string()), value)).to_pylist()
    return rows
