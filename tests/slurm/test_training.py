"""A training on the cluster that is cut at its time limit, orphaned and doubled: the adapter is the same bytes."""

import contextlib
import json
import os
import re
import shutil
import signal

import pytest
import yaml

from slurm.chaos import SMALL, calm_run
from slurm.running import Slurm, until
from studies import Project

STUDY = {
    **SMALL,
    "study": "long",
    # updates enough that a fault finds the training at work
    "training": {
        "threads": 1,
        "recipe": {
            "epochs": 20,
            "effective_batch": 8,
            "max_length": 512,
            "precision": "float32",
            "gradient_checkpointing": False,
        },
    },
}
FILE = ["--configfile", "config/long.yaml"]
FOLDER = "results/long/adapters/tiny/NAT/seed-42"
ADAPTER = f"{FOLDER}/adapter_model.safetensors"

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif("POSOLOGIE_BY_HAND" not in os.environ, reason="by hand: make test-slurm-training"),
]


@pytest.fixture(scope="module")
def trained(cluster, tmp_path_factory):
    """A copy of the project with an adapter that was trained on this machine without interruption."""
    root = tmp_path_factory.mktemp("trained") / "project"
    project = Project.copy_to(root)
    (root / "config/long.yaml").write_text(yaml.safe_dump(STUDY))
    calm_run(root, [ADAPTER, *FILE])
    return project


@pytest.fixture
def untrained(cluster, trained, tmp_path):
    """The same on the cluster, with everything but the adapter."""
    project = trained.clone(tmp_path / "project")
    shutil.rmtree(project.root / FOLDER)
    shutil.rmtree(project.root / "work/long/training")  # its progress is that of the finished training
    slurm = Slurm(cluster, project.root)
    yield slurm
    slurm.clean_up()


def progress(slurm):
    """Return what the training says of itself; nothing before the first update."""
    files = list((slurm.root / "work/long/training").rglob("progress.json"))
    return json.loads(files[0].read_text()) if files else {}


def stopped_at_work(slurm):
    """Stop the training (SIGSTOP) once it has begun to update weights, and return its SLURM job and its pid.

    So the fault finds it at work on a fast machine too; SLURM's request to end lets it go on.
    """
    job = slurm.running("train_adapter", 300)
    until(lambda: progress(slurm).get("done"), 300, "the training is at work")
    pid = progress(slurm)["pid"]
    os.kill(pid, signal.SIGSTOP)
    return job, pid


def check_same(slurm, trained):
    assert (slurm.root / ADAPTER).read_bytes() == (trained.root / ADAPTER).read_bytes()
    assert not list((slurm.root / "work/long/training").rglob("claims"))
    assert not list((slurm.root / "results/long").rglob("*.partial"))


def test_a_training_cut_at_its_time_limit_goes_on_from_its_checkpoint(untrained, trained):
    run = untrained.start(ADAPTER, *FILE)
    job, pid = stopped_at_work(untrained)
    untrained.cluster.ask("scontrol", "update", f"jobid={job['id']}", "EndTime=now+1")
    until(
        lambda: job["id"] not in {row["id"] for row in untrained.jobs() if row["state"] == "RUNNING"}, 120, "the limit"
    )
    with contextlib.suppress(ProcessLookupError):  # SLURM wakes what it ends: it may have saved and gone by now
        os.kill(pid, signal.SIGCONT)  # it receives the request to end now, with KillWait seconds to save
    said = run.end(600)
    assert "TIMEOUT" in said
    check_same(untrained, trained)
    record = json.loads((untrained.root / f"{FOLDER}/run.json").read_text())
    assert record["updates_of_earlier_attempts"] > 0
    log = (untrained.root / "work/long/logs/adapters/tiny/NAT/seed-42.log").read_text()
    assert re.search(r"continuing after update \d+ of 60", log)


def test_a_plain_rerun_beside_the_orphans_of_a_killed_snakemake_does_no_harm(untrained, trained):
    first = untrained.start(ADAPTER, *FILE)
    orphan, pid = stopped_at_work(untrained)
    first.kill()
    for lock in (untrained.root / ".snakemake/locks").glob("*.lock"):
        lock.unlink()
    second = untrained.start(ADAPTER, *FILE)
    log = untrained.root / "work/long/logs/adapters/tiny/NAT/seed-42.log"
    until(lambda: "waiting for it" in log.read_text(errors="replace"), 400, "the second job waits for the first")
    os.kill(pid, signal.SIGCONT)
    second.end(600)
    until(lambda: not untrained.jobs(), 120, "both jobs have ended")
    check_same(untrained, trained)
    ended = {job["id"]: job["state"] for job in untrained.jobs(ended=True)}
    assert ended[orphan["id"]] == "COMPLETED"
    assert set(ended.values()) == {"COMPLETED"}
    assert "was made by another job while this one waited" in log.read_text(errors="replace")
