"""A training on the cluster that is cut at its time limit, orphaned and doubled: the adapter is the same bytes."""

import json
import re
import shutil

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
            "epochs": 300,
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

pytestmark = pytest.mark.timeout(900)


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
    slurm = Slurm(cluster, project.root)
    yield slurm
    slurm.clean_up()


def progress(slurm):
    """Return how many updates are done; 0 before the first."""
    files = list((slurm.root / "work/long/training").rglob("progress.json"))
    return json.loads(files[0].read_text())["done"] if files else 0


def at_work(slurm, after=0):
    """Wait until the training has begun to update weights, and return its SLURM job."""
    job = slurm.running("train_adapter", 300)
    until(lambda: progress(slurm) > after, 300, "the training is at work")
    return job


def check_same(slurm, trained):
    assert (slurm.root / ADAPTER).read_bytes() == (trained.root / ADAPTER).read_bytes()
    assert not list((slurm.root / "work/long/training").rglob("claims"))
    assert not list((slurm.root / "results/long").rglob("*.partial"))


def test_a_training_cut_at_its_time_limit_goes_on_from_its_checkpoint(untrained, trained):
    run = untrained.start(ADAPTER, *FILE)
    job = at_work(untrained)
    untrained.cluster.ask("scontrol", "update", f"jobid={job['id']}", "EndTime=now+1")
    said = run.end(600)
    assert "TIMEOUT" in said
    check_same(untrained, trained)
    record = json.loads((untrained.root / f"{FOLDER}/run.json").read_text())
    assert record["updates_of_earlier_attempts"] > 0
    log = (untrained.root / "work/long/logs/adapters/tiny/NAT/seed-42.log").read_text()
    assert re.search(r"going on after update \d+ of 900", log)


def test_a_plain_rerun_beside_the_orphans_of_a_killed_snakemake_does_no_harm(untrained, trained):
    first = untrained.start(ADAPTER, *FILE)
    orphan = at_work(untrained)
    first.kill()
    for lock in (untrained.root / ".snakemake/locks").glob("*.lock"):
        lock.unlink()
    second = untrained.start(ADAPTER, *FILE)
    until(
        lambda: len([job for job in untrained.jobs() if job["state"] == "RUNNING"]) == 2, 120, "the training is doubled"
    )
    second.end(600)
    until(lambda: not untrained.jobs(), 120, "both jobs have ended")
    check_same(untrained, trained)
    ended = {job["id"]: job["state"] for job in untrained.jobs(ended=True)}
    assert ended[orphan["id"]] == "COMPLETED"
    assert set(ended.values()) == {"COMPLETED"}
    log = (untrained.root / "work/long/logs/adapters/tiny/NAT/seed-42.log").read_text()
    assert "waiting for it" in log
    assert "was made by another job while this one waited" in log
