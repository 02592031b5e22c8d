"""Compute nodes have no internet: jobs on the cluster run in offline mode, local rules, which download, do not."""

import pytest

# The settings that every rule of the project has, and two rules that say what their commands see.
SNAKEFILE = """
include: "workflow/rules/common.smk"

rule all:
    default_target: True
    input: "local.txt", "cluster.txt"

rule local:
    localrule: True
    output: "local.txt"
    shell: "echo ${{HF_HUB_OFFLINE:-online}} ${{HF_DATASETS_OFFLINE:-online}} > {output}"

rule cluster:
    output: "cluster.txt"
    resources: mem_mb=500, runtime=5
    shell: "echo ${{HF_HUB_OFFLINE:-online}} ${{HF_DATASETS_OFFLINE:-online}} $SLURM_JOB_ID > {output}"
"""

pytestmark = pytest.mark.timeout(300)


def test_jobs_on_the_cluster_run_with_the_hub_offline_and_local_rules_do_not(slurm):
    (slurm.root / "Snakefile").write_text(SNAKEFILE)
    run = slurm.start("--configfile", "config/test.yaml", without=("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"))
    run.end(200)
    (job,) = slurm.jobs(ended=True)
    assert (slurm.root / "local.txt").read_text().split() == ["online", "online"]
    assert (slurm.root / "cluster.txt").read_text().split() == ["1", "1", job["id"]]
