"""Every shipped study under every profile, as a dry run without GPU, network or token."""

import subprocess
import sys
from collections import Counter

import pytest
import yaml

from studies import REPOSITORY, Project

CONFIGS = sorted(path.name for path in (REPOSITORY / "config").glob("*.yaml"))
PROFILES = ["profiles/demo", "profiles/local-gpu", "slurm"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project.copy_to(tmp_path_factory.mktemp("project"))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("config", CONFIGS)
def test_every_study_plans_under_every_profile(project, config, profile):
    jobs = project.planned("--profile", profile, "--configfile", f"config/{config}")
    assert {"write_report", "draw_mix", "train_adapter"} <= {job.rule for job in jobs}


@pytest.mark.parametrize(
    "target", ["", "shards", "mixes", "adapters", "predictions", "scores", "kits", "tables", "report"]
)
def test_every_named_target_plans(project, target):
    assert project.planned(*filter(None, [target]))


def test_the_published_study_has_the_jobs_that_a_hand_counts(project):
    counts = Counter(job.rule for job in project.planned())
    assert counts["fetch_dataset"] == 3
    assert counts["fetch_model_hub"] == 1
    assert counts["read_hub_records"] == 7, "the composition table counts every split that the sources have"
    assert counts["screen_shard"] == 4, "train of three sources, and the native validation items"
    assert counts["draw_mix"] == counts["train_adapter"] == 7
    assert counts["predict_mcqa"] == counts["predict_oeq"] == 8, "base and seven adapters"
    assert counts["score_predictions"] == 16


def test_each_value_of_a_sweep_is_a_mix_with_an_adapter_of_its_own(project):
    jobs = project.planned("--configfile", "config/paper-doses.yaml")
    counts = Counter(job.rule for job in jobs)
    assert counts["draw_mix"] == counts["train_adapter"] == 11, "five shares, three added doses, three sizes"
    assert counts["tabulate_dose_response"] == 1


def test_a_mistake_in_the_configuration_is_one_line_before_any_job(project):
    output = project.snakemake("-n", "--config", 'mixs={"A": 1}', fails=True)
    lines = [line for line in output.splitlines() if not line.startswith("Using workflow specific profile")]
    assert len(lines) == 1
    assert "unknown key; expected 'mixes'" in lines[0]


# Snakemake itself imports pandas and pyarrow; what the workflow adds must load none of these.
HEAVY = ("torch", "transformers", "datasets", "scipy", "matplotlib")

READING = f"""
import sys
from snakemake.cli import main
try:
    main(["-n", "--quiet", "all"])
except SystemExit as end:
    assert not end.code, end.code
print([name for name in {HEAVY} if name in sys.modules])
"""


def test_reading_the_workflow_loads_no_heavy_library(project):
    done = subprocess.run(
        [sys.executable, "-c", READING], cwd=project.root, env=project.environment(), capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stdout + done.stderr


def rules_of(project):
    listed = project.snakemake("--list-rules", "--configfile", "config/config.yaml")
    return {line.strip() for line in listed.splitlines()}


@pytest.mark.parametrize("profile", ["default", "demo", "local-gpu", "slurm"])
def test_every_rule_that_a_profile_names_exists(project, profile):
    settings = yaml.safe_load((REPOSITORY / f"profiles/{profile}/profile.yaml").read_text(encoding="utf-8"))
    named = {rule for key in ("set-resources", "set-threads") for rule in settings.get(key, {})}
    assert named <= rules_of(project)


def test_no_path_of_a_machine_enters_a_shell_command(project):
    output = project.snakemake("-n", "-p", "--configfile", "config/demo.yaml")
    commands = [line for line in output.splitlines() if line.startswith("Shell command: python -m ")]
    assert commands
    assert not [line for line in commands if str(project.root) in line]
