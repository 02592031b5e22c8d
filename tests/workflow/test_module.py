"""The workflow as a module of another one: another folder, a study of its own, its own rules around it."""

import shutil

import pytest
import yaml

from documented import blocks
from studies import REPOSITORY, Project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another project, as the documentation shows it, around a copy of this one, with data of its own."""
    root = tmp_path_factory.mktemp("other")
    Project.copy_to(root / "posologie")
    for block in blocks():
        if block.file == "other/workflow/Snakefile":
            (root / "workflow").mkdir()
            (root / "workflow/Snakefile").write_text(block.text, encoding="utf-8")
    shutil.copytree(REPOSITORY / "resources/demo", root / "data")
    study = yaml.safe_load((REPOSITORY / "config/test.yaml").read_text(encoding="utf-8"))
    study["study"] = "spanish"
    for name, source in study["sources"].items():
        source["path"] = f"data/{name}"
    study["backbones"]["tiny"]["untrained"]["corpus"] = ["data/native/Train/mcqu/mcqu_train.json"]
    study["judges"] = {"self": {"backend": {"kind": "causal", "backbone": "tiny"}}}
    study["judging"] = {"chosen": "self"}
    (root / "config").mkdir()
    (root / "config/spanish.yaml").write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    project = Project(root)
    environment = project.environment()
    project.environment = lambda: environment | {"PYTHONPATH": str(root / "posologie/workflow")}
    return project


def test_the_whole_study_plans_with_its_rules_under_the_names_of_the_other_workflow(other):
    jobs = other.planned()
    rules = {job.rule for job in jobs}
    assert {"doses_read_hub_records", "doses_train_adapter", "doses_write_report", "answer_of_the_study"} <= rules
    assert sum(job.rule == "doses_train_adapter" for job in jobs) == 3
    assert any(job.rule.startswith("doses_judge_") for job in jobs), "a judge whose prompt ships with the module"


def test_a_rule_of_the_module_runs_in_the_other_folder(other):
    shard = "results/spanish/shards/native/train.parquet"
    other.snakemake("--cores", "2", shard)
    assert (other.root / shard).is_file()
    assert "Nothing to be done" in other.snakemake("-n", shard)
    assert not (other.root / "posologie/results/spanish").exists()


def test_a_mistake_in_its_study_is_one_line(other):
    file = other.root / "config/spanish.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("mixes:", "mixs:", 1), encoding="utf-8")
    try:
        output = other.snakemake("-n", fails=True)
    finally:
        file.write_text(text, encoding="utf-8")
    assert "config of the module: mixs" in output
    assert "expected 'mixes'" in output
    assert "Traceback" not in output
