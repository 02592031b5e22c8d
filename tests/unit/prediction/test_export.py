"""Predictions leave in forms that others read: lm-evaluation-harness's samples, and `datasets` in one line."""

import json
import math
import re
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from prediction_made import make_item

from posologie.prediction.__main__ import main as predict
from posologie.prediction.export import main as export
from posologie.prediction.outside import main as outside
from posologie.records.files import write_parquet
from posologie.records.items import LABELS, items_to_table
from posologie.running.errors import InputError

ITEMS = [
    *(make_item(number) for number in range(4)),
    *(make_item(number, task="mcq", context="Un cas.") for number in range(4, 7)),
    *(make_item(number, task="oeq") for number in range(7, 9)),
]
BENCHMARKS = {"all": {"source": "demo", "tasks": ["mcqu", "mcq", "oeq"]}}
SPEC = {
    "model": "tiny/base",
    "suites": {"s": {"benchmarks": BENCHMARKS, "permutations": 1, "max_new_tokens": 5}},
    "prompting": {},
    "precision": "float32",
    "seed": 3,
}


@pytest.fixture(scope="module")
def folder(tiny_manifest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    write_parquet(folder / "shard.parquet", items_to_table(ITEMS))
    shared = ["--items", f"demo={folder / 'shard.parquet'}"]
    files = ["--predictions", f"s={folder / 's.parquet'}", "--run", f"s={folder / 's.run.json'}"]
    backbone = ["--backbone", str(tiny_manifest)]
    predict(["--spec", json.dumps(SPEC), *shared, *backbone, *files, "--work", str(folder / "work")])
    files = ["--predictions", str(folder / "s.parquet"), "--run", str(folder / "s.run.json")]
    export([*files, *shared, *backbone, "--out", str(folder / "samples")])
    export([*files, *shared, "--out", str(folder / "logs"), "--form", "inspect"])
    return folder


def samples(folder, task):
    (path,) = (folder / "samples").glob(f"samples_{task}_2*.jsonl")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_there_is_a_file_for_each_variant_and_way_of_answering(folder):
    names = sorted(path.name.rpartition("_")[0] for path in (folder / "samples").iterdir())
    ways = [
        f"samples_all_{variant}_{way}"
        for variant in ("original", "permuted-1")
        for way in ("constrained", "greedy", "labels")
    ]
    assert names == ways
    assert len(samples(folder, "all_original_greedy")) == 9
    assert len(samples(folder, "all_permuted-1_greedy")) == 7
    assert len(samples(folder, "all_original_constrained")) == 7
    assert len(samples(folder, "all_permuted-1_labels")) == 4


def test_likelihoods_are_those_under_the_full_vocabulary(folder):
    rows = {(row["item"], row["variant"]): row for row in pq.read_table(folder / "s.parquet").to_pylist()}
    for variant in ("original", "permuted-1"):
        for sample in samples(folder, f"all_{variant}_labels"):
            row = rows[sample["doc"]["id"], variant]
            likelihoods = [float(likelihood) for likelihood, _ in sample["filtered_resps"]]
            assert sum(map(math.exp, likelihoods)) == pytest.approx(row["label_mass"])
            assert sample["resps"] == [[response] for response in sample["filtered_resps"]]
            assert sample["target"] == str(row["gold"][0])
            assert sample["acc"] == float(likelihoods.index(max(likelihoods)) == row["gold"][0])
            arguments = [sample["arguments"][f"gen_args_{number}"] for number in range(len(likelihoods))]
            assert [argument["arg_1"] for argument in arguments] == list(LABELS[: len(likelihoods)])
            assert arguments[0]["arg_0"].endswith("<|im_start|>assistant\n")
            for label, option in enumerate(sample["doc"]["choices"]):
                assert f"({LABELS[label]}) {option}" in arguments[0]["arg_0"]


def test_generated_text_and_its_reading_are_kept(folder):
    rows = {row["item"]: row for row in pq.read_table(folder / "s.parquet").to_pylist() if row["variant"] == "original"}
    for sample in samples(folder, "all_original_greedy"):
        row = rows[sample["doc"]["id"]]
        assert sample["resps"] == [[row["greedy_text"]]]
        if row["task"] == "oeq":
            assert sample["filtered_resps"] == [row["greedy_text"]]
            assert sample["metrics"] == []
        else:
            assert (sample["filtered_resps"] == ["[invalid]"]) == (row["greedy_labels"] is None)
            assert sample["exact_match"] == float(row["greedy_labels"] == row["gold"])
    for sample in samples(folder, "all_original_constrained"):
        row = rows[sample["doc"]["id"]]
        assert sample["filtered_resps"] == [",".join(LABELS[label] for label in row["constrained_labels"])]
        assert sample["target"] == ",".join(sample["doc"]["gold"])


def test_a_sample_has_the_keys_of_the_harness(folder):
    keys = {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"}
    keys |= {"doc_hash", "prompt_hash", "target_hash"}
    for task in ("all_original_labels", "all_original_greedy"):
        for number, sample in enumerate(samples(folder, task)):
            assert keys | set(sample["metrics"]) == set(sample)
            if task.endswith("greedy"):
                assert sample["doc_id"] == number


def documented(start):
    """Return the block of the specification of the results that holds a line beginning so."""
    text = (Path(__file__).parents[3] / "results" / "README.md").read_text(encoding="utf-8")
    (block,) = (block for block in re.findall(r"^```\w+\n(.*?)^```$", text, re.M | re.S) if block.startswith(start))
    return block


def test_datasets_loads_predictions_and_samples_in_one_line(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    import datasets

    line = re.sub(r"results/\S+\.parquet", str(folder / "s.parquet"), documented("predictions = "))
    scope = {"datasets": datasets}
    exec(line, scope)
    assert len(scope["predictions"]) == 16
    assert scope["predictions"][0]["label_probabilities"]
    greedy = str(next((folder / "samples").glob("*original_greedy*")))
    assert len(datasets.load_dataset("json", data_files=greedy, split="train", cache_dir=str(tmp_path))) == 9


def test_the_documented_command_exports(folder, tmp_path):
    words = shlex.split(documented("python -m posologie.prediction.export").replace("\\\n", " "))[3:]
    changed = {"--predictions": folder / "s.parquet", "--run": folder / "s.run.json", "--out": tmp_path / "samples"}
    for option, path in changed.items():
        words[words.index(option) + 1] = str(path)
    first, last = words.index("--items") + 1, words.index("--out")
    words[first:last] = [f"demo={folder / 'shard.parquet'}"]
    export(words)
    assert len(list((tmp_path / "samples").iterdir())) == 6


def test_an_item_that_is_not_in_the_shards_is_named(folder, tmp_path):
    write_parquet(tmp_path / "few.parquet", items_to_table(ITEMS[1:]))
    files = ["--predictions", str(folder / "s.parquet"), "--run", str(folder / "s.run.json")]
    with pytest.raises(InputError, match=rf"item '{ITEMS[0].id}' is in none of the shards"):
        export([*files, "--items", f"demo={tmp_path / 'few.parquet'}", "--out", str(tmp_path / "out")])


def test_exported_samples_come_back_as_the_same_answers(folder, tmp_path):
    files = [str(path) for path in sorted((folder / "samples").iterdir()) if "_constrained_" not in path.name]
    spec = {name: value for name, value in SPEC.items() if name not in ("precision", "threads")}
    spec |= {"model": "published/again", "form": "lm_eval"}
    outputs = ["--predictions", f"s={tmp_path / 's.parquet'}", "--run", f"s={tmp_path / 's.run.json'}"]
    shared = ["--items", f"demo={folder / 'shard.parquet'}", "--work", str(tmp_path / "work")]
    outside(["--spec", json.dumps(spec), *shared, *outputs, "--answers", *files])
    first, again = (pq.read_table(path / "s.parquet").to_pylist() for path in (folder, tmp_path))
    same = ("item", "variant", "option_order", "gold", "greedy_text", "greedy_outcome", "greedy_labels")
    assert [[row[name] for name in same] for row in again] == [[row[name] for name in same] for row in first]
    for earlier, other in zip(first, again, strict=True):
        if earlier["task"] == "mcqu":
            assert other["label_probabilities"] == pytest.approx(earlier["label_probabilities"], abs=1e-6)
            assert other["constrained_labels"] == earlier["constrained_labels"]


def logs(folder):
    """Return Inspect's logs by the name of the task."""
    logs_read = [json.loads(path.read_text(encoding="utf-8")) for path in (folder / "logs").iterdir()]
    return {log["eval"]["task"]: log for log in logs_read}


def test_a_log_of_inspect_holds_each_question_with_answer_and_score(folder):
    rows = {(row["item"], row["variant"]): row for row in pq.read_table(folder / "s.parquet").to_pylist()}
    logs_made = logs(folder)
    assert sorted(logs_made) == [
        f"all_{variant}_{way}" for variant in ("original", "permuted-1") for way in ("constrained", "greedy")
    ]
    assert [len(logs_made[f"all_original_{way}"]["samples"]) for way in ("greedy", "constrained")] == [9, 7]
    for task, log in logs_made.items():
        way = task.rpartition("_")[2]
        right = 0
        for sample in log["samples"]:
            row = rows[sample["id"], sample["metadata"]["variant"]]
            if row["task"] == "oeq":
                assert "scores" not in sample
                continue
            correct = row[f"{way}_labels"] == row["gold"]
            right += correct
            assert sample["scores"]["exact_match"]["value"] == ("C" if correct else "I")
            assert [LABELS.index(label) for label in sample["target"]] == row["gold"]
            for label, option in zip(LABELS, sample["choices"], strict=False):
                assert f"({label}) {option}" in sample["input"]
        (score,) = log["results"]["scores"]
        assert score["metrics"]["accuracy"]["value"] == right / score["scored_samples"]
        assert score["scored_samples"] + score["unscored_samples"] == len(log["samples"])


def test_logs_of_inspect_come_back_as_the_same_answers(folder, tmp_path):
    files = [str(path) for path in sorted((folder / "logs").iterdir()) if "-constrained_" not in path.name]
    spec = {name: value for name, value in SPEC.items() if name not in ("precision", "threads")}
    spec |= {"model": "published/again", "form": "inspect"}
    outputs = ["--predictions", f"s={tmp_path / 's.parquet'}", "--run", f"s={tmp_path / 's.run.json'}"]
    shared = ["--items", f"demo={folder / 'shard.parquet'}", "--work", str(tmp_path / "work")]
    outside(["--spec", json.dumps(spec), *shared, *outputs, "--answers", *files])
    first, again = (pq.read_table(path / "s.parquet").to_pylist() for path in (folder, tmp_path))
    same = ("item", "variant", "option_order", "gold", "greedy_text", "greedy_outcome", "greedy_labels", "finish")
    assert [[row[name] for name in same] for row in again] == [[row[name] for name in same] for row in first]
