"""The scheduler and Snakemake itself: an outage of the status command, and two Snakemakes at once."""

import os
import re
import shutil

import pytest

from slurm.running import until

SNAKEFILE = """
rule all:
    input: expand("made/{name}.txt", name=range(config.get("jobs", 2)))

rule make:
    output: "made/{name}.txt"
    resources: mem_mb=500, runtime=5
    shell: "while [ ! -e go ]; do sleep 0.2; done; echo whole > {output}"
"""

pytestmark = pytest.mark.timeout(600)


# Before the real command, and out of order while a file says so.
SQUEUE = """#!/bin/sh
echo x >> {root}/looks
if [ -e {root}/outage ]; then echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1; fi
exec {squeue} "$@"
"""


@pytest.fixture
def two(slurm, monkeypatch):
    """A folder in which Snakemake waits for two jobs, which end when a file `go` appears."""
    (slurm.root / "Snakefile").write_text(SNAKEFILE)
    (slurm.root / "bin").mkdir()
    command = slurm.root / "bin/squeue"
    command.write_text(SQUEUE.format(root=slurm.root, squeue=shutil.which("squeue")))
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    run = slurm.start()
    monkeypatch.undo()
    until(lambda: [job["state"] for job in slurm.jobs()] == ["RUNNING"] * 2, 200, "two jobs run")
    return slurm, run


def looks(slurm):
    file = slurm.root / "looks"
    return len(file.read_text().splitlines()) if file.exists() else 0


def test_an_outage_of_the_status_command_loses_no_job(two):
    slurm, run = two
    (slurm.root / "outage").touch()
    before = looks(slurm)
    until(lambda: looks(slurm) > before + 12, 60, "the queue is asked in vain, oftener than five times")
    (slurm.root / "outage").unlink()
    (slurm.root / "go").touch()
    run.end(300)
    assert [job["state"] for job in slurm.jobs(ended=True)] == ["COMPLETED"] * 2, "nothing was submitted twice"


def test_a_second_snakemake_ends_at_once_and_leaves_the_first_alone(two):
    slurm, run = two
    second = slurm.start().end(120, fails=True)
    assert re.search("cannot be locked|locked", second)
    (slurm.root / "go").touch()
    run.end(300)
    assert [job["state"] for job in slurm.jobs(ended=True)] == ["COMPLETED"] * 2
