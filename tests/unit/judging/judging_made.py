"""Predictions, shards and ratings that the tests of judging work on."""

from pathlib import Path
from typing import Any

import pyarrow as pa
from prediction_made import make_item

from posologie.prediction.spec import prediction_schema
from posologie.records.files import write_parquet
from posologie.records.items import Item, items_to_table

ROOT = Path(__file__).parents[3]
PROMPT = ROOT / "resources" / "prompts" / "fr" / "judging" / "equivalence.md"


def items(count: int) -> list[Item]:
    """Return open questions, and one choice question that no judge must see."""
    made = [
        Item(
            id=f"q{number}", source="open", provenance="native", split="test", task="oeq",
            question=f"Question {number} ?", context="Un cas." if number % 2 else "", options=(), gold=(),
            answer=f"Référence {number}", group=f"g{number // 2}",
        )
        for number in range(count)
    ]  # fmt: skip
    choice = make_item(0, options=2, id="c0", source="open", question="Choix ?", group="c0")
    return [*made, choice]


def shard(folder: Path, made: list[Item]) -> Path:
    path = folder / "open.parquet"
    write_parquet(path, items_to_table(made))
    return path


def predictions(folder: Path, name: str, made: list[Item], answers: dict[str, str]) -> Path:
    rows: list[dict[str, Any]] = [
        {
            "item": item.id, "benchmark": "bench", "variant": "original", "source": item.source,
            "provenance": item.provenance, "task": item.task, "group": item.group, "option_order": [], "gold": [],
            "greedy_text": answers.get(item.id, "A"), "prompt_tokens": 3, "generated_tokens": 2, "finish": "stop",
        }
        for item in made
    ]  # fmt: skip
    path = folder / f"{name}.predictions.parquet"
    write_parquet(path, pa.Table.from_pylist(rows, schema=prediction_schema()))
    return path
