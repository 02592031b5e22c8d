"""A head dies while its jobs wait in the queue: the next one waits for them or cancels them, by what they make."""

import contextlib

import pytest

from posologie.running.seals import read_seal
from slurm.cluster import CPU_NODES, GPU_NODES
from slurm.running import until

pytestmark = pytest.mark.timeout(400)

SHARD = "results/test/shards/native/test.parquet"
STUDY = ("--configfile", "config/test.yaml")
NODES = ",".join((*CPU_NODES, *GPU_NODES))


@pytest.fixture
def orphan(slurm, cluster):
    """A job that waits for a node, whose Snakemake was killed."""
    cluster.ask("scontrol", "update", f"nodename={NODES}", "state=drain", "reason=test")
    try:
        head = slurm.start(SHARD, *STUDY)
        until(lambda: [job["state"] for job in slurm.jobs()] == ["PENDING"], 180, "the job waits")
        head.kill()
        yield slurm.jobs()[0]["id"]
    finally:
        resume_nodes(cluster)


def resume_nodes(cluster):
    with contextlib.suppress(RuntimeError):  # nodes that are in service already cannot be resumed
        cluster.ask("scontrol", "update", f"nodename={NODES}", "state=resume")


def test_an_orphan_that_makes_what_is_planned_is_waited_for_and_nothing_is_made_twice(slurm, cluster, orphan):
    head = slurm.start(SHARD, *STUDY)
    until(lambda: f"SLURM job {orphan} of run" in head.said, 180, "the orphan is seen")
    assert "makes what is planned: waiting for it." in head.said
    assert "The lock of process" in head.said, "nobody has to unlock"
    resume_nodes(cluster)
    said = head.end()
    assert "planning again" in said
    assert "Nothing to be done" in said
    assert [job["id"] for job in slurm.jobs(ended=True)] == [orphan]
    run = read_seal(slurm.root / f"{SHARD}.seal.json").made["run"]
    assert (slurm.root / f"work/test/runs/{run}/run.json").exists(), "the seal names the run that planned it"


def test_an_orphan_of_another_configuration_is_cancelled(slurm, cluster, orphan):
    study = slurm.root / "config/test.yaml"
    text = study.read_text()
    study.write_text(text.replace("provenance: native, path", "provenance: translated, path", 1))
    assert study.read_text() != text
    resume_nodes(cluster)
    said = slurm.start(SHARD, *STUDY).end()
    assert f"SLURM job {orphan} of run" in said
    assert "is not of this plan: cancelled." in said
    assert read_seal(slurm.root / f"{SHARD}.seal.json").identity.spec["provenance"] == "translated"


def test_an_orphan_that_is_held_is_cancelled_and_its_work_done(slurm, cluster, orphan):
    cluster.ask("scontrol", "hold", orphan)
    resume_nodes(cluster)
    said = slurm.start(SHARD, *STUDY).end()
    assert "is held: cancelled." in said
    assert (slurm.root / SHARD).exists()


def test_a_job_makes_what_was_submitted_whatever_becomes_of_the_study_file(slurm, cluster):
    study = slurm.root / "config/test.yaml"
    text = study.read_text()
    cluster.ask("scontrol", "update", f"nodename={NODES}", "state=drain", "reason=test")
    try:
        head = slurm.start(SHARD, *STUDY)
        until(lambda: [job["state"] for job in slurm.jobs()] == ["PENDING"], 180, "the job waits")
        study.write_text(text.replace("provenance: native, path", "provenance: translated, path", 1))
    finally:
        resume_nodes(cluster)
    head.end()
    assert read_seal(slurm.root / f"{SHARD}.seal.json").identity.spec["provenance"] == "native"
    again = slurm.start(SHARD, "-n", *STUDY).end()
    assert 'spec: provenance "translated", sealed "native"' in again
    study.write_text(text)
    assert "Nothing to be done" in slurm.start(SHARD, "-n", *STUDY).end()


def test_a_job_refuses_code_that_was_edited_while_it_waited(slurm, cluster):
    module = slurm.root / "workflow/posologie/sources/drafts.py"
    cluster.ask("scontrol", "update", f"nodename={NODES}", "state=drain", "reason=test")
    try:
        head = slurm.start(SHARD, *STUDY, "--retries", "0")
        until(lambda: [job["state"] for job in slurm.jobs()] == ["PENDING"], 180, "the job waits")
        module.write_text(module.read_text() + "\nREVISED = True\n")
    finally:
        resume_nodes(cluster)
    head.end(fails=True)
    log = (slurm.root / "work/test/logs/shards/native/test.log").read_text()
    assert "its code changed after run" in log
    assert not (slurm.root / SHARD).exists()
