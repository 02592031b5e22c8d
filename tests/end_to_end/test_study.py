"""The whole of config/test.yaml, from the demo corpus to the report, on a model that the study makes itself."""

import csv
import json
import re
import statistics
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from posologie.records.items import read_items

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(finished_study):
    return finished_study.root / "results/test"


def table(results, name):
    with (results / f"tables/{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_second_run_has_nothing_to_do(finished_study):
    assert "Nothing to be done" in finished_study.snakemake("-n", "--configfile", "config/test.yaml")


def test_nothing_half_written_is_left(finished_study):
    assert not list((finished_study.root / "results").rglob("*.partial"))
    assert not list((finished_study.root / "results").rglob("*.tmp"))


@pytest.mark.parametrize(
    ("shard", "read"),
    [
        ("native/train", 78),
        ("native/validation", 18),
        ("native/test", 48),
        ("translated/test", 40),
        ("synthetic/train", 140),
    ],
)
def test_every_record_is_kept_or_rejected(results, shard, read):
    report = json.loads((results / f"shards/{shard}.json").read_text())
    kept = pq.read_metadata(results / f"shards/{shard}.parquet").num_rows
    rejected = pq.read_metadata(results / f"shards/{shard}.rejects.parquet").num_rows
    assert kept + rejected == read == report["read"]


def test_the_part_of_a_smaller_dose_is_contained_in_that_of_a_larger_one(results):
    whole = {item.id for item in read_items(results / "mixes/NAT/seed-42/train.parquet")}
    half = {item.id for item in read_items(results / "mixes/NAT-SYN/seed-42/train.parquet") if item.source == "native"}
    assert len(whole) == 24
    assert len(half) == 12
    assert half < whole


def test_no_mix_holds_a_tested_question(results):
    tested = {
        item.question
        for source in ("native", "translated")
        for item in read_items(results / f"shards/{source}/test.parquet")
    }
    for mix in ("NAT", "SYN", "NAT-SYN"):
        items = read_items(results / f"mixes/{mix}/seed-42/train.parquet")
        assert {item.task for item in items} <= {"mcqu", "mcq"}
        assert not tested & {item.question for item in items if not item.context}


def test_an_adapter_is_a_standard_one_without_a_path_of_this_machine(results):
    config = json.loads((results / "adapters/tiny/NAT/seed-42/adapter_config.json").read_text())
    assert config["use_dora"] is True
    assert config["r"] == 16
    assert "/" not in config["base_model_name_or_path"]


def test_every_model_answered_every_item_in_every_variant(results):
    for model in ("base", "NAT/seed-42", "SYN/seed-42", "NAT-SYN/seed-42"):
        rows = pq.read_table(results / f"predictions/tiny/{model}/mcqa.parquet").to_pylist()
        assert len(rows) == (26 + 14 + 26) * 2
        for row in rows:
            gold_options = {row["option_order"][position] for position in row["gold"]}
            assert len(gold_options) == len(row["gold"]) > 0
            assert row["constrained_labels"], "a constrained answer is never empty"


def test_the_gold_follows_the_options(results):
    rows = pq.read_table(results / "predictions/tiny/base/mcqa.parquet").to_pylist()
    gold = {}
    for row in rows:
        gold.setdefault(row["item"], set()).add(frozenset(row["option_order"][position] for position in row["gold"]))
    assert all(len(labels) == 1 for labels in gold.values())
    assert any(row["option_order"] != sorted(row["option_order"]) for row in rows if row["variant"] != "original")


def test_every_number_of_the_main_table_has_its_n_and_interval(results):
    rows = [row for row in table(results, "mcqa") if row["metric"] == "em" and row["scope"] == "all"]
    assert {row["model"] for row in rows} == {
        f"tiny/{name}" for name in ("base", "NAT/seed-42", "SYN/seed-42", "NAT-SYN/seed-42")
    }
    for row in rows:
        assert int(row["clusters"]) <= int(row["n"])
        assert float(row["low"]) <= float(row["value"]) <= float(row["high"])


def test_the_scores_of_the_table_are_those_of_the_predictions(results):
    predictions = pq.read_table(results / "predictions/tiny/base/mcqa.parquet").to_pylist()
    original = [row for row in predictions if row["variant"] == "original"]
    right = sum(row["constrained_labels"] == row["gold"] for row in original)
    [row] = [
        row
        for row in table(results, "mcqa")
        if (row["model"], row["scope"], row["task"], row["metric"], row["decoding"], row["variants"], row["aggregate"])
        == ("tiny/base", "all", "all", "em", "constrained", "original", "item_weighted")
    ]
    assert float(row["value"]) == pytest.approx(100 * right / len(original), abs=1e-6)


def test_the_report_is_one_file_that_says_it_is_a_demonstration(results):
    page = (results / "report/index.html").read_text(encoding="utf-8")
    assert "demonstration: n too small" in page
    assert 'src="http' not in page
    assert 'href="http' not in page.replace('href="https://arxiv.org', "")


def test_snakemakes_own_report_is_made_without_network_and_holds_every_table_and_figure(finished_study, tmp_path):
    page = tmp_path / "report.html"
    finished_study.snakemake("--configfile", "config/test.yaml", "--report", str(page))
    text = page.read_text(encoding="utf-8")
    results = finished_study.root / "results/test"
    for kind, files in (("table", results.glob("tables/*.csv")), ("figure", results.glob("figures/*.svg"))):
        named = {file.stem for file in files}
        assert named
        assert named <= set(re.findall(rf'"{kind}": "(\w+)"', text))
    assert "How much of which training data" in text
    assert not re.search(r'<(?:script|link|img)[^>]+(?:src|href)="http', text)


def test_a_run_record_says_what_made_the_artifact(results):
    record = json.loads((results / "adapters/tiny/NAT/seed-42/run.json").read_text())
    assert record["spec"]["recipe"]["method"] == "dora"
    assert {"torch", "transformers", "peft"} <= record["libraries"].keys()
    assert len(record["inputs"]["train"]["sha256"]) == 64


ON_GPUS = "devices={training_micro_batch: 8, gpus_per_training_job: 2, gpus_per_prediction_job: 1}"


@pytest.fixture(scope="module")
def records(finished_study):
    root = finished_study.root / "results/test"
    trained = [json.loads(file.read_text()) for file in root.glob("adapters/**/run.json")]
    predicted = [json.loads(file.read_text()) for file in root.glob("predictions/**/*.run.json")]
    return trained, predicted


def plan_of(project, *config):
    """Return the plan of a study that has no results yet, on GPUs, and by rule what it says of each."""
    words = ["plan", "--json", "--configfile", "config/test.yaml", "--config", "study=again", ON_GPUS, *config]
    done = subprocess.run(
        [sys.executable, "-m", "posologie", *words],
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr  # 1: a job of this tiny study is shorter than a minute
    plan = json.loads(done.stdout)
    return plan, {rule["rule"]: rule for rule in plan["rules"]}


def test_the_estimate_comes_from_the_records_of_the_finished_study(finished_study, records):
    trained, predicted = records
    plan, rules = plan_of(finished_study)
    assert rules["train_adapter"]["jobs"] == len(trained) == 3
    assert plan["without_record"] == []
    # the median training, half of it on each of two GPUs, and what it did besides
    pace = statistics.median(record["training_seconds"] for record in trained)
    besides = statistics.median(record["seconds"] - record["training_seconds"] for record in trained)
    assert rules["train_adapter"]["seconds"] == pytest.approx(pace / 2 + besides, rel=0.01)
    for suite in ("mcqa", "oeq"):
        took = [record["seconds"] for record in predicted if suite in record["spec"]["suites"]]
        assert min(took) <= rules[f"predict_{suite}"]["seconds"] <= max(took)
    gpu_seconds = sum(rule["jobs"] * rule["gpus"] * rule["seconds"] for rule in rules.values() if rule["gpus"])
    assert plan["gpu_hours_estimated"] == pytest.approx(gpu_seconds / 3600)


def test_twice_as_many_epochs_take_twice_the_training(finished_study, records):
    trained, _ = records
    recipe = trained[0]["spec"]["recipe"]
    besides = statistics.median(record["seconds"] - record["training_seconds"] for record in trained)
    once = plan_of(finished_study)[1]["train_adapter"]["seconds"] - besides
    longer = json.dumps({"threads": 1, "recipe": {**recipe, "epochs": 2 * recipe["epochs"]}})
    twice = plan_of(finished_study, f"training={longer}")[1]["train_adapter"]["seconds"] - besides
    assert twice == pytest.approx(2 * once, rel=0.01)
