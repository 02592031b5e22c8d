"""The table over run records."""

import csv
import json
from pathlib import Path

import pytest

from posologie.records import layout
from posologie.records.files import write_json
from posologie.running.errors import InputError
from posologie.statistics import compute

RECORD = {
    "started": "2026-01-01T00:00:00+00:00",
    "seconds": 1800.0,
    "spec": {"model": "q/NAT/seed-42"},
    "hardware": {"machine": "x86_64", "cpus": 2, "gpus": [{"name": "H100", "memory_bytes": 80e9}] * 2},
    "peak_memory_bytes": {"process": 4e9, "gpu": 60e9},
    "gpu_energy_joules": 7.2e6,
    "prompt_tokens": 1000,
    "generated_tokens": 100,
}
MODELS = [{"name": "q/NAT/seed-42", "kind": "mix", "backbone": "q", "mix": "NAT", "seed": 42}]


def table(root: Path, module, spec: dict) -> list[dict[str, str]]:
    out = root / "tables" / "table.csv"
    module.main(["--spec", json.dumps(spec), "--results", str(root), "--table", str(out)])
    with open(out, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def records(tmp_path: Path) -> Path:
    write_json(tmp_path / layout.adapter("q/NAT/seed-42", "run.json"), RECORD | {"tokens": 5000, "seconds": 3600})
    for suite, seconds in (("mcqa", 1800.0), ("oeq", 1801.0)):
        write_json(tmp_path / layout.predictions_run("q/NAT/seed-42", suite), RECORD | {"seconds": seconds})
    return tmp_path


def test_costs_come_from_the_run_records(records):
    training, prediction = table(records, compute, {"models": MODELS, "suites": ["mcqa", "oeq"]})
    assert (training["stage"], training["hours"], training["gpus"], training["gpu_hours"]) == (
        "training",
        "1",
        "2",
        "2",
    )
    assert (training["trained_tokens"], training["energy_kwh"], training["gpu"]) == ("5000", "2", "H100")
    assert (training["peak_memory_gb"], training["peak_gpu_memory_gb"]) == ("4", "60")
    assert prediction["stage"] == "prediction"


def test_a_job_that_answered_two_suites_is_counted_once(records):
    _, prediction = table(records, compute, {"models": MODELS, "suites": ["mcqa", "oeq"]})
    assert (prediction["suites"], prediction["hours"]) == ("mcqa+oeq", "0.500278")
    assert (prediction["prompt_tokens"], prediction["generated_tokens"]) == ("2000", "200")


def test_judging_has_rows_of_its_own_with_money_and_what_was_wasted(records):
    spent = {"requests": 9, "tokens": 90, "money": 0.25, "wasted_tokens": 10, "wasted_money": 0.05}
    record = records / layout.judgements("asked", "q/NAT/seed-42", "oeq")
    write_json(record.with_suffix(".run.json"), RECORD | {"spending": spent})
    spec = {"models": MODELS, "suites": ["mcqa", "oeq"], "judges": ["asked"], "judged": ["oeq"]}
    _, prediction, judging = table(records, compute, spec)
    assert (judging["stage"], judging["judge"], judging["suites"]) == ("judging", "asked", "oeq")
    assert (judging["money"], judging["wasted_tokens"], judging["wasted_money"]) == ("0.25", "10", "0.05")
    assert (judging["prompt_tokens"], judging["generated_tokens"]) == ("1000", "100")
    assert prediction["money"] == "", "a local model has no price"


def test_an_engine_that_judged_two_suites_in_one_job_is_counted_once(records):
    for suite, seconds in (("oeq", 1800.0), ("cases", 1801.0)):
        record = records / layout.judgements("asked", "q/NAT/seed-42", suite)
        write_json(record.with_suffix(".run.json"), RECORD | {"engine": {"identity": {}}, "seconds": seconds})
    spec = {"models": MODELS, "suites": ["mcqa", "oeq"], "judges": ["asked"], "judged": ["oeq", "cases"]}
    _, _, judging = table(records, compute, spec)
    assert (judging["suites"], judging["hours"], judging["prompt_tokens"]) == ("oeq+cases", "0.500278", "2000")


def test_a_missing_record_is_named(records):
    (records / layout.predictions_run("q/NAT/seed-42", "oeq")).unlink()
    with pytest.raises(InputError, match=r"oeq\.run\.json: no such file; expected the record of a run"):
        table(records, compute, {"models": MODELS, "suites": ["mcqa", "oeq"]})


def test_a_published_model_in_the_place_of_training_cost_no_training_here(records):
    (records / layout.adapter("q/NAT/seed-42", "run.json")).unlink()
    taken = [MODELS[0] | {"published": True}]
    [prediction] = table(records, compute, {"models": taken, "suites": ["mcqa", "oeq"]})
    assert prediction["stage"] == "prediction"


def test_energy_that_could_not_be_read_stays_empty(records):
    path = records / layout.adapter("q/NAT/seed-42", "run.json")
    cpu = {"hardware": RECORD["hardware"] | {"gpus": []}, "gpu_energy_joules": None}
    cpu["peak_memory_bytes"] = {"process": 4e9, "gpu": None}
    write_json(path, RECORD | cpu | {"tokens": 1})
    training, _ = table(records, compute, {"models": MODELS, "suites": ["mcqa", "oeq"]})
    assert (training["energy_kwh"], training["peak_gpu_memory_gb"], training["gpu"], training["gpus"]) == (
        "",
        "",
        "",
        "0",
    )
