"""All choice scores and tables of a study of the published size, from predictions: seconds, processor seconds, memory.

    python tests/benchmarks/statistics_full_study.py FOLDER [--items 28000] [--replicates 10000] [--seeds 3]

Base and seven mixes of three seeds × 28,000 questions × 4 variants, over ten benchmarks of two provenances; a tenth of
the questions shares clinical cases. Two jobs run at a time, first the scoring and then the tables, each in a process of
its own with one thread, as the rules run them on two cores. Target: at most 90 s and 2 GB (both jobs together) on two
free cores; on a busy machine the processor seconds say more.
FOLDER keeps the predictions for the next run.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa

from posologie.prediction.spec import prediction_schema
from posologie.records import layout
from posologie.records.files import write_parquet
from posologie.records.items import Item, items_to_table, stable_id
from posologie.records.prompting import displayed_gold, option_order, variants

MIXES = ("NAT", "TRAD", "SYN", "NAT-TRAD", "NAT-SYN", "TRAD-SYN", "ALL")
PARTS = {"NAT": "native", "TRAD": "translated", "SYN": "synthetic"}
SOURCES = {f"{kind}-{number}": kind for kind in ("native", "translated") for number in range(5)}
TABLES = ("mcqa", "contrasts", "best", "position", "attribution", "dose_response", "transfer", "published")
BESIDE_PUBLISHED = ("mcqa", "contrasts", "published")


def models(seeds: int) -> list[dict[str, object]]:
    """Return base and the seven mixes, each with so many seeds."""
    base = {"name": "qwen/base", "kind": "base", "backbone": "qwen"}
    trained = [
        {"name": f"qwen/{mix}/seed-{seed}", "kind": "mix", "backbone": "qwen", "mix": mix, "seed": seed}
        for mix in MIXES
        for seed in range(42, 42 + seeds)
    ]
    return [base, *trained]


def make(folder: Path, count: int, seeds: int) -> None:
    """Write shards, and predictions of models that differ a little."""
    numbers = np.random.default_rng(0)
    items: list[tuple[str, Item]] = []
    for source, provenance in SOURCES.items():
        mine = []
        for number in range(count // len(SOURCES)):
            task = "mcqu" if numbers.random() < 0.7 else "mcq"
            size = int(numbers.integers(4, 6))
            right = numbers.choice(size, 1 if task == "mcqu" else int(numbers.integers(2, 4)), replace=False)
            name = stable_id(source, str(number))
            group = stable_id(source, "case", str(number // 4)) if number % 40 < 4 else name
            options = tuple(f"option {place}" for place in range(size))
            gold = tuple(sorted(map(int, right)))
            mine.append(
                Item(
                    name,
                    source,
                    provenance,
                    split="test",
                    task=task,
                    question="Question ?",
                    context="",
                    options=options,
                    gold=gold,
                    answer="",
                    group=group,
                )
            )
        write_parquet(folder / layout.shard(source, "test"), items_to_table(mine))
        items += [(source, item) for item in mine]
    names = variants(3)
    rows = [(source, item, variant, option_order(item.id, len(item.options), variant, 42))
            for source, item in items for variant in names]  # fmt: skip
    gold = [list(displayed_gold(item.gold, order)) for _, item, _, order in rows]
    ease = np.repeat(numbers.random(len(items)), len(names))
    same = {
        "item": [item.id for _, item, _, _ in rows],
        "benchmark": [source for source, _, _, _ in rows],
        "variant": [variant for _, _, variant, _ in rows],
        "source": [source for source, _, _, _ in rows],
        "provenance": [item.provenance for _, item, _, _ in rows],
        "task": [item.task for _, item, _, _ in rows],
        "group": [item.group for _, item, _, _ in rows],
        "option_order": [list(order) for _, _, _, order in rows],
        "gold": gold,
        "position_dependent": [False] * len(rows),
        "greedy_text": ["A"] * len(rows),
        "label_mass": [0.9] * len(rows),
        "prompt_tokens": [100] * len(rows),
        "generated_tokens": [1] * len(rows),
        "finish": ["stop"] * len(rows),
    }
    shared = {name: pa.array(values, prediction_schema().field(name).type) for name, values in same.items()}
    for place, model in enumerate(models(seeds)):
        knows = ease + 0.3 * numbers.normal(size=len(rows)) < 0.36 + 0.01 * (place // seeds)
        guess = numbers.integers(0, 4, len(rows))
        answers = [right if known else [int(other)] for right, known, other in zip(gold, knows, guess, strict=True)]
        outcome = numbers.choice(["labels", "none", "ambiguous"], len(rows), p=[0.95, 0.03, 0.02])
        chances = [numbers.dirichlet(np.ones(len(order))).astype(np.float32) for _, _, _, order in rows]
        own = {
            "greedy_outcome": pa.array(outcome.tolist()),
            "greedy_labels": [
                labels if read == "labels" else None for labels, read in zip(answers, outcome, strict=True)
            ],
            "constrained_labels": answers,
            "label_probabilities": chances,
        }
        columns = {field.name: shared[field.name] if field.name in shared else pa.array(own[field.name], field.type)
                   for field in prediction_schema()}  # fmt: skip
        write_parquet(
            folder / layout.predictions(str(model["name"]), "mcqa"), pa.table(columns, schema=prediction_schema())
        )


def measured(arguments: list[str]) -> tuple[float, float, float]:
    """Run a module; return seconds, processor seconds and peak memory in GB."""
    script = (
        "import resource, runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
        "finally:\n"
        "    used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    print('MEASURED', used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6, flush=True)\n"
    )
    start = time.perf_counter()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    _, processor, memory = next(line for line in done.stdout.splitlines() if line.startswith("MEASURED")).split()
    return time.perf_counter() - start, float(processor), float(memory)


def main() -> None:
    """Make the study if it is not there, run everything, print a table of times."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--items", type=int, default=28_000)
    arguments.add_argument("--replicates", type=int, default=10_000)
    arguments.add_argument("--seeds", type=int, default=3)
    options = arguments.parse_args()
    folder: Path = options.folder / f"{options.items}-{options.seeds}"
    everyone = models(options.seeds)
    if not (folder / layout.predictions(str(everyone[-1]["name"]), "mcqa")).is_file():
        make(folder, options.items, options.seeds)
    suite = {"benchmarks": {source: {"source": source} for source in SOURCES}, "permutations": 3}
    shards = [f"{source}={folder / layout.shard(source, 'test')}" for source in SOURCES]
    parts = {mix: list(PARTS) if mix == "ALL" else mix.split("-") for mix in MIXES}
    blends = {mix: {PARTS[part]: 1 / len(parts_held) for part in parts_held} for mix, parts_held in parts.items()}
    spec = {
        "models": everyone,
        "suites": {"mcqa": suite},
        "blends": blends,
        "statistics": {"replicates": options.replicates, "sweeps": {"native": {"SYN": 0, "NAT-SYN": 0.5, "NAT": 1}}},
    }
    published = ["--published", str(Path(__file__).parents[2] / "resources/published/medinjection-fr.yaml")]

    def score(model: dict[str, object]) -> tuple[float, float, float]:
        name = str(model["name"])
        predictions, scores = (str(folder / path(name, "mcqa")) for path in (layout.predictions, layout.scores))
        words = ["--spec", json.dumps({"suite": suite}), "--predictions", predictions, "--items", *shards]
        return measured(["posologie.scoring", *words, "--scores", scores])

    def tabulate(table: str) -> tuple[float, float, float]:
        words = ["--spec", json.dumps(spec), "--results", str(folder), "--table", str(folder / layout.table(table))]
        return measured([f"posologie.statistics.{table}", *words, *(published if table in BESIDE_PUBLISHED else [])])

    start = time.perf_counter()
    with ThreadPoolExecutor(2) as jobs:
        scored = list(jobs.map(score, everyone))
        middle = time.perf_counter()
        tables = list(jobs.map(tabulate, TABLES))
    end = time.perf_counter()
    lines = [
        (
            f"{len(everyone)} × scoring",
            middle - start,
            sum(score[1] for score in scored),
            max(score[2] for score in scored),
        )
    ]
    lines += [(name, *table) for name, table in zip(TABLES, tables, strict=True)]
    both = sum(sorted(line[3] for line in lines)[-2:])
    lines.append(("everything, two at a time", end - start, sum(line[2] for line in lines), both))
    print(f"{'':30}{'seconds':>10}{'cpu seconds':>13}{'peak GB':>9}")
    for name, seconds, processor, memory in lines:
        print(f"{name:30}{seconds:10.1f}{processor:13.1f}{memory:9.2f}")


if __name__ == "__main__":
    main()
