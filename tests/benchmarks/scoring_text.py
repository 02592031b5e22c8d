"""Text metrics without BERTScore for 8 models × 5,000 open answers: seconds and processor seconds, memory.

    python tests/benchmarks/scoring_text.py FOLDER [--answers 5000] [--models 8]

References are 5 to 60 words, answers 5 to 300 (512 new tokens are about 300 French words), of the words of the demo
corpus. Two scoring jobs run at a time, as on two cores. Target: at most 5 minutes; on a busy machine the processor
seconds say more.
"""

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
from statistics_full_study import measured

from posologie.prediction.spec import prediction_schema
from posologie.records import layout
from posologie.records.files import write_parquet
from posologie.records.items import Item, items_to_table, stable_id

ROOT = Path(__file__).parents[2]


def vocabulary() -> list[str]:
    """Return the words of the demo corpus, as often as they occur."""
    texts = []
    for path in sorted((ROOT / "resources/demo").rglob("*.json")):
        records = json.loads(path.read_text(encoding="utf-8"))
        texts += [f"{record['instruction']} {record['answer']}" for record in records]
    return " ".join(texts).split()


def make(folder: Path, answers: int, models: int) -> None:
    """Write a shard of open questions, and the models' answers: half of the reference's words, and others."""
    numbers = np.random.default_rng(0)
    words = np.array(vocabulary())
    references = [numbers.choice(words, int(numbers.integers(5, 61))).tolist() for _ in range(answers)]
    items = [
        Item(
            name := stable_id("s", str(number)),
            "s",
            "native",
            split="test",
            task="oeq",
            question="Quoi ?",
            context="",
            options=(),
            gold=(),
            answer=" ".join(text),
            group=name,
        )
        for number, text in enumerate(references)
    ]
    write_parquet(folder / layout.shard("s", "test"), items_to_table(items))
    for model in range(models):
        rows = []
        for item, reference in zip(items, references, strict=True):
            kept = [word for word in reference if numbers.random() < 0.5]
            more = numbers.choice(words, int(numbers.integers(5, 301)) - min(len(kept), 4)).tolist()
            rows.append(
                {
                    "item": item.id, "benchmark": "b", "variant": "original", "source": "s", "provenance": "native",
                    "task": "oeq", "group": item.id, "option_order": [], "gold": [],
                    "greedy_text": " ".join(kept + more), "prompt_tokens": 50, "generated_tokens": 100,
                    "finish": "stop",
                }
            )  # fmt: skip
        table = pa.Table.from_pylist(rows, schema=prediction_schema())
        write_parquet(folder / layout.predictions(f"m/{model}", "oeq"), table)


def main() -> None:
    """Make the answers, score them, print the times."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--answers", type=int, default=5000)
    arguments.add_argument("--models", type=int, default=8)
    options = arguments.parse_args()
    make(options.folder, options.answers, options.models)
    spec = json.dumps({"suite": {"benchmarks": {"b": {"source": "s", "tasks": ["oeq"]}}}})

    def score(model: int) -> tuple[float, float, float]:
        predictions, scores = (
            str(options.folder / path(f"m/{model}", "oeq")) for path in (layout.predictions, layout.scores)
        )
        words = [
            "--spec",
            spec,
            "--predictions",
            predictions,
            "--items",
            f"s={options.folder / layout.shard('s', 'test')}",
        ]
        return measured(["posologie.scoring", *words, "--scores", scores])

    start = time.perf_counter()
    with ThreadPoolExecutor(2) as jobs:
        results = list(jobs.map(score, range(options.models)))
    processor, memory = sum(result[1] for result in results), max(result[2] for result in results)
    count = options.answers * options.models
    print(f"{count} answers: {time.perf_counter() - start:.1f} s, {processor:.1f} processor seconds", end="")
    print(f" ({1000 * processor / count:.2f} ms an answer), {memory:.2f} GB at most in one job")


if __name__ == "__main__":
    main()
