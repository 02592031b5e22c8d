"""`posologie plan`: the shape of a run, and its GPU-hours by the records of earlier runs."""

import json

import pytest

from posologie.cli import plan
from posologie.cli.dry_run import jobs_in
from posologie.config.load import load_study
from studies import REPOSITORY

# As a dry run prints them.
TOLD = """\
local rules: write_report fetch_model_hub
Building DAG of jobs...

[Fri Jan  2 10:00:00 2026]
rule train_adapter:
    input: results/s/mixes/A/seed-42/train.parquet
    output: results/s/adapters/qwen/A/seed-42/adapter_model.safetensors
    log: work/s/logs/a.log
    jobid: 3
    reason: Missing output files: x; Input files updated by another job: y
    wildcards: backbone=qwen, mix=A, seed=42
    threads: 8
    resources: tmpdir=/tmp, mem_mb=64000, mem=64 GB, runtime=1200, nodes=1, gpu=2, devices=2

[Fri Jan  2 10:00:00 2026]
rule predict_mcqa:
    input: x
    output: results/s/predictions/qwen/base/mcqa.parquet
    wildcards: model=qwen/base
    threads: 8
    resources: tmpdir=/tmp, mem_mb=32000, runtime=480, nodes=1, gpu=1, devices=1

[Fri Jan  2 10:00:00 2026]
rule draw_mix:
    output: results/s/mixes/A/seed-42/train.parquet
    wildcards: mix=A, seed=42
    resources: tmpdir=/tmp, mem_mb=3000, runtime=15, nodes=1

[Fri Jan  2 10:00:00 2026]
rule write_report:
    output: results/s/report/index.html
    resources: tmpdir=/tmp, mem_mb=4000, runtime=30, nodes=1

[Fri Jan  2 10:00:00 2026]
rule all:
    input: results/s/report/index.html
    resources: tmpdir=/tmp
"""

TRAINED = {
    "spec": {"backbone": "qwen", "recipe": {"epochs": 2}},
    "items": {"train": {"used": 1000}},
    "training_seconds": 4000.0,
    "seconds": 4100.0,
    "hardware": {"gpus": [{"name": "H100"}]},
}
PREDICTED = {
    "spec": {"model": "qwen/B/seed-1", "suites": {"mcqa": {}}},
    "started": "2026-01-01T00:00:00+00:00",
    "seconds": 30.0,
}
ANOTHER_SUITE = {**PREDICTED, "spec": {**PREDICTED["spec"], "suites": {"oeq": {}}}, "seconds": 9000.0}


@pytest.fixture
def study(tmp_path, repository):
    file = tmp_path / "study.yaml"
    file.write_text(
        json.dumps(
            {
                "study": "s",
                "sources": {"native": {"provenance": "native", "path": str(repository / "resources/demo/native")}},
                "mixes": {"A": {"shares": {"native": 1}, "size": 500}},
                "backbones": {"qwen": {"folder": "model"}},
                "training": {"recipe": {"epochs": 3}},
                "suites": {"mcqa": {"benchmarks": {"n": {"source": "native", "tasks": ["mcqu"]}}}},
            }
        )
    )
    return load_study(str(file), {})


@pytest.fixture
def records(tmp_path):
    root = tmp_path / "earlier"
    for name, record in (
        ("adapters/qwen/B/seed-1/run.json", TRAINED),
        ("adapters/other/B/seed-1/run.json", {**TRAINED, "spec": {**TRAINED["spec"], "backbone": "other"}}),
        ("predictions/qwen/B/seed-1/mcqa.run.json", PREDICTED),
        ("predictions/qwen/B/seed-1/oeq.run.json", ANOTHER_SUITE),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps(record))
    return plan.Records([root])


def by_rule(estimate):
    return {rule["rule"]: rule for rule in estimate["rules"]}


def test_jobs_are_counted_by_rule_and_place(study, tmp_path):
    estimate = plan.plan_of(study, list(jobs_in(TOLD)), plan.Records([tmp_path / "nothing"]))
    assert {name: (rule["jobs"], rule["where"]) for name, rule in by_rule(estimate).items()} == {
        "train_adapter": (1, "GPU"),
        "predict_mcqa": (1, "GPU"),
        "draw_mix": (1, "CPU"),
        "write_report": (1, "local"),
    }
    assert (estimate["cluster_jobs"], estimate["gpu_jobs"]) == (3, 2)
    assert estimate["gpu_hours_asked"] == 2 * 20 + 8
    assert estimate["gpu_hours_estimated"] is None
    assert estimate["without_record"] == ["train_adapter", "predict_mcqa"]


def test_training_takes_its_passes_at_the_pace_of_earlier_runs(study, records):
    estimate = plan.plan_of(study, list(jobs_in(TOLD)), records)
    # 4,000 s for 2,000 passes on one GPU: 1,500 passes on two take 1,500 s, and 100 s besides
    assert by_rule(estimate)["train_adapter"]["seconds"] == pytest.approx(1500 + 100)
    assert estimate["gpu_hours_estimated"] == pytest.approx((2 * 1600 + 30) / 3600)


def test_a_job_shorter_than_a_minute_is_named(study, records):
    estimate = plan.plan_of(study, list(jobs_in(TOLD)), records)
    assert estimate["short"] == ["predict_mcqa"]
    assert any("Shorter than a minute: predict_mcqa" in line for line in plan._sentences(estimate, len(records)))


def test_local_rules_are_those_that_snakemake_names():
    assert {job.rule for job in jobs_in(TOLD) if job.local} == {"write_report"}


def test_a_profile_without_an_executor_runs_its_jobs_on_this_machine(tmp_path):
    assert plan.uses_cluster(str(REPOSITORY / "profiles/slurm"))
    assert not plan.uses_cluster(str(REPOSITORY / "profiles/demo"))
    (tmp_path / "config.v9+.yaml").write_text("executor: local")
    assert not plan.uses_cluster(str(tmp_path))
    assert plan.uses_cluster("a-profile-of-the-user"), "where Snakemake finds it is not known here"


def test_jobs_of_this_machine_are_counted_as_such_and_none_is_too_short_for_a_queue(study):
    planned = plan.plan_of(study, list(jobs_in(TOLD)), plan.Records([]), cluster=False)
    assert planned["cluster_jobs"] == 0
    assert planned["short"] == []
    assert plan._sentences(planned, 0)[0] == f"\n{planned['jobs']} jobs on this machine, 2 of them on GPUs."


def test_the_memory_of_a_training_is_said_beside_that_of_the_gpu(study, tmp_path, monkeypatch):
    from posologie.models.spec import Untrained
    from posologie.models.store import write_manifest
    from posologie.models.untrained import make_untrained

    study = study.model_copy(update={"roots": study.roots.model_copy(update={"models": str(tmp_path)})})
    [unknown] = plan.memory_of(study, 80)
    assert unknown["fits"] is None
    assert "not fetched yet" in plan._memory_sentence(unknown)
    [backbone] = study.backbones.values()
    folder = tmp_path / backbone.folder_name()
    folder.mkdir()
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("Which drug? Aspirin. " * 50, encoding="utf-8")
    made = Untrained(corpus=(str(corpus),), vocabulary=300, layers=1, hidden=16)
    make_untrained(made, folder)
    write_manifest(folder, {"name": "tiny"}, folder.iterdir())
    [small] = plan.memory_of(study, 80)
    assert small["fits"] is True
    assert small["peak"] == small["weights"] + small["state"] + small["activations"]
    recipe = study.training.recipe
    # gradient, two moments and the weight, all float32, of an adapter with r (in + out) + out numbers a layer
    assert small["state"] >= 12 * small["trained"]
    assert small["trained"] == sum(recipe.rank * (into + out) + out for into, out in layers_of(folder))
    assert "fits into 80 GB" in plan._memory_sentence(small)
    assert "does not fit into 80 GB" in plan._memory_sentence({**small, "fits": False})
    assert "or set training.recipe.quantization or devices.shard_backbone" in plan._memory_sentence(
        {**small, "fits": False}
    )
    shared_by_4 = {"shard_backbone": True, "gpus_per_training_job": 2, "nodes_per_training_job": 2}
    study = study.model_copy(update={"devices": study.devices.model_copy(update=shared_by_4)})
    [shared] = plan.memory_of(study, 80)
    assert small["weights"] - shared["weights"] == pytest.approx(0.75 * 2 * small["parameters"], rel=0.001)
    assert shared["state"] == small["state"]
    assert shared["activations"] > small["activations"]  # the layers that are gathered
    assert "1/4 of the backbone, which 4 GPUs share" in plan._memory_sentence(shared)
    assert "or take more GPUs" in plan._memory_sentence({**shared, "fits": False})


def layers_of(folder):
    import torch

    from posologie.models.load import unloaded_model

    names = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    with torch.device("meta"):
        modules = unloaded_model(folder).named_modules()
    return [(layer.in_features, layer.out_features) for name, layer in modules if name.rpartition(".")[2] in names]


@pytest.mark.parametrize(
    ("named", "expected"),
    [("h100", 80), ("a100-80gb", 80), ("NVIDIA_A100_SXM4_40GB", 40), ("rtx_4090", 24), ("quantum", None), (None, None)],
)
def test_the_gpu_of_a_profile_has_the_memory_of_its_model(tmp_path, named, expected):
    lines = "executor: slurm\n" + (f"set-resources:\n  train_adapter:\n    gpu_model: '\"{named}\"'\n" if named else "")
    (tmp_path / "profile.yaml").write_text(lines)
    assert plan.gpu_gigabytes(str(tmp_path)) == expected
