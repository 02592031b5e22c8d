"""The open answers in a predictions file, with the texts of their questions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from posologie.records.files import read_parquet
from posologie.records.items import read_item_table
from posologie.running.errors import InputError
from posologie.running.seals import check_seal


def open_answers(predictions: Path, shards: Mapping[str, Path | str]) -> list[dict[str, Any]]:
    """Return the open questions of a predictions file with their texts, in file order.

    Raises:
        InputError: naming the first item whose question is in none of the shards.
    """
    columns = ["item", "benchmark", "variant", "source", "provenance", "group", "task", "greedy_text"]
    check_seal(predictions)
    table = read_parquet(predictions)
    for name in columns:
        if name not in table.column_names:
            raise InputError(f"{predictions}: column '{name}' is missing; expected a table of predictions")
    answers = [row for row in table.select(columns).to_pylist() if row["task"] == "oeq"]
    wanted = {(row["source"], row["item"]) for row in answers}
    texts: dict[tuple[str, str], dict[str, str]] = {}
    for source, shard in shards.items():
        items = read_item_table(shard, ["id", "question", "context", "answer"])
        texts |= {(source, row["id"]): row for row in items.to_pylist() if (source, row["id"]) in wanted}
    for row in answers:
        item = texts.get((row["source"], row["item"]))
        if item is None:
            raise InputError(f"{predictions}: item {row['item']} of source '{row['source']}' is in none of the shards")
        row |= {"question": item["question"], "context": item["context"], "reference": item["answer"]}
        row["candidate"] = row["greedy_text"]
    return answers
