"""`posologie plan` learns how long jobs take from the run records of a study that was really run."""

import json
import statistics
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.xdist_group("finished_study"), pytest.mark.slow]

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
