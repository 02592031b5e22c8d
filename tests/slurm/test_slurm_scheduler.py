"""The scheduler and Snakemake itself: an outage of the status command, and two Snakemakes at once."""

import re
import time

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

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("jobs")]


@pytest.fixture
def two(slurm):
    """A folder in which Snakemake waits for two jobs, which end when a file `go` appears."""
    (slurm.root / "Snakefile").write_text(SNAKEFILE)
    run = slurm.start()
    until(lambda: [job["state"] for job in slurm.jobs()] == ["RUNNING"] * 2, 200, "two jobs run")
    return slurm, run


def test_an_outage_of_the_status_command_loses_no_job(two):
    slurm, run = two
    slurm.cluster.pause("slurmctld")
    try:
        time.sleep(25)  # longer than a query waits for its answer
    finally:
        slurm.cluster.resume("slurmctld")
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
