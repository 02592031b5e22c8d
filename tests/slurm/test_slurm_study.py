"""The test study on the cluster, under the profile that ships."""

import csv

import pytest
import yaml

STUDY = {
    "extends": "test.yaml",
    "study": "small",
    "mixes": {"NAT": {"shares": {"native": 1}, "size": 24}},
    "sources": {"native": {"provenance": "native", "path": "resources/demo/native"}},
    "suites": {"mcqa": {"benchmarks": {"native-mcqu": {"source": "native", "tasks": ["mcqu"]}}}},
    # the cluster has stand-ins for GPUs: the scheduler counts them, torch does not find them
    "devices": {
        "training_micro_batch": 8,
        "prediction_chunk_tokens": 8192,
        "gpus_per_training_job": 1,
        "gpus_per_prediction_job": 1,
    },
}


@pytest.mark.timeout(600)
def test_the_small_study_runs_to_its_table_and_gpu_jobs_get_a_gpu(slurm):
    (slurm.root / "config/small.yaml").write_text(yaml.safe_dump(STUDY))
    said = slurm.start("results/small/tables/mcqa.csv", "--configfile", "config/small.yaml").end(580)
    assert "100%" in said
    with (slurm.root / "results/small/tables/mcqa.csv").open(encoding="utf-8", newline="") as file:
        assert {row["model"] for row in csv.DictReader(file)} == {"tiny/base", "tiny/NAT/seed-42"}
    ended = {job["rule"].split("_wildcards")[0]: job for job in slurm.jobs(ended=True)}
    assert {job["state"] for job in ended.values()} == {"COMPLETED"}
    assert ended["train_adapter"]["node"].startswith("gpu")
    assert ended["predict_mcqa"]["node"].startswith("gpu")
    assert ended["draw_mix"]["node"].startswith("cpu")
    assert not [rule for rule in ended if rule.startswith(("fetch_", "write_"))], "what needs the network is local"
