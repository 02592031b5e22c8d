"""Jobs that fail, run out of memory, are cancelled, lose their node or are preempted: the run ends well by itself.

One Snakemake runs them all side by side, on a workflow without a model: each job lives through its own fault.
"""

import threading
import time

import pytest

from slurm.running import Slurm, until
from studies import Project

SNAKEFILE = """
FAULTS = ["exit", "memory", "cancel", "node", "preempt", "requeue", "late", "disk"]

def growing(amount):
    return lambda wildcards, attempt: amount * attempt

rule all:
    input: expand("made/{fault}.txt", fault=FAULTS)

rule exit:
    output: "made/exit.txt"
    resources: mem_mb=500, runtime=5
    shell: "test -e tried || (touch tried; echo part > {output}; exit 1); echo whole > {output}"

rule memory:
    output: "made/memory.txt"
    resources: mem_mb=growing(700), runtime=5
    shell:
        "echo $SLURM_JOB_ID >> memory.jobs;"
        "python -c 'import time; held = b\\"x\\" * 700_000_000; time.sleep(6)';"
        "echo whole > {output}"

rule cancel:
    output: "made/cancel.txt"
    resources: mem_mb=500, runtime=5
    shell: "echo part > {output}; test -e cancelled || sleep 300; echo whole > {output}"

rule node:
    output: "made/node.txt"
    resources: mem_mb=500, runtime=5, gpu=1  # on a node that no other fault needs
    shell:
        "echo $SLURMD_NODENAME >> node.nodes; echo part > {output};"
        " test -e killed || sleep 300; echo whole > {output}"

rule preempt:
    output: "made/preempt.txt"
    resources: mem_mb=199000, runtime=5
    shell:
        "echo $SLURM_JOB_ID >> preempt.jobs; echo part > {output};"
        " test -e preempted || sleep 300; echo whole > {output}"

rule requeue:
    output: "made/requeue.txt"
    resources: mem_mb=500, runtime=5
    shell:
        "echo $SLURM_JOB_ID >> requeue.jobs; echo part > {output};"
        " test -e requeued || sleep 300; echo whole > {output}"

rule late:
    output: "made/late.txt"
    resources: mem_mb=500, runtime=5
    shell: "echo whole > made/.late"

rule disk:
    output: "small/made.txt"
    resources: mem_mb=500, runtime=5
    shell: "if mkdir begun; then unshare --mount sh full.sh; else python write.py; fi"

rule disk_made:
    input: "small/made.txt"
    output: "made/disk.txt"
    localrule: True
    shell: "echo whole > {output}"
"""

# The first attempt writes onto a full disk: a small one that this job alone sees. It is unmounted with the job's last
# process, however that ends, so that nothing has to clean up after it.
FULL = """
mount -t tmpfs -o size=256k tmpfs small || exit 1
python write.py
status=$?
ls -A small > left
exit $status
"""

WRITE = """
from posologie.records.files import write_text

write_text("small/made.txt", "x" * 2_000_000)
"""


@pytest.fixture(scope="module")
def faults(cluster, tmp_path_factory):
    """The run of all faults, once for all tests: what Snakemake said, and the folder."""
    root = tmp_path_factory.mktemp("faults") / "project"
    Project.copy_to(root)
    (root / "Snakefile").write_text(SNAKEFILE)
    (root / "small").mkdir()
    (root / "made").mkdir()
    (root / "full.sh").write_text(FULL)
    (root / "write.py").write_text(WRITE)
    slurm = Slurm(cluster, root)
    run = slurm.start("--keep-going")
    happened: dict[str, str] = {}
    helpers = [
        threading.Thread(target=disturbance, args=(slurm, happened))
        for disturbance in (_cancel, _lose_node, _preempt, _requeue, _show_late)
    ]
    try:
        for helper in helpers:
            helper.start()
        said = run.end(560)
        for helper in helpers:
            helper.join()
        yield slurm, said, happened
    finally:
        slurm.clean_up()
        cluster.start()


def _begun(slurm, rule):
    """Wait until a job works, and return it."""
    job = slurm.running(rule, 300)
    until(lambda: (slurm.root / f"made/{rule}.txt").exists(), 300, f"{rule} has begun to write")
    return job


def _cancel(slurm, happened):
    job = _begun(slurm, "cancel")
    (slurm.root / "cancelled").touch()
    slurm.cluster.ask("scancel", job["id"])
    happened["cancel"] = job["id"]


def _lose_node(slurm, happened):
    job = _begun(slurm, "node")
    (slurm.root / "killed").touch()
    slurm.cluster.kill_node(job["node"])
    happened["node"] = job["node"]
    until(lambda: slurm.cluster.status()[job["node"]].startswith("down, down"), 60, "SLURM sees that the node is down")
    time.sleep(3)
    slurm.cluster.start_node(job["node"])


def _preempt(slurm, happened):
    job = _begun(slurm, "preempt")
    (slurm.root / "preempted").touch()
    happened["preempt"] = job["id"]
    slurm.cluster.ask(
        *("sbatch", "-p", "urgent", "-w", job["node"], "--mem=150000", "-t", "5", "-D", str(slurm.root.parent)),
        *("-o", "/dev/null", "--wrap=sleep 8"),
    )


def _requeue(slurm, happened):
    job = _begun(slurm, "requeue")
    (slurm.root / "requeued").touch()
    happened["requeue"] = job["id"]
    slurm.cluster.ask("scontrol", "requeue", job["id"])


def _show_late(slurm, happened):
    """A file system that shows a file eight seconds after it was written."""
    hidden = slurm.root / "made/.late"
    until(hidden.exists, 500, "the late file is written")
    time.sleep(8)
    hidden.rename(slurm.root / "made/late.txt")


def states(slurm, rule):
    """Return the states of a rule's SLURM jobs, in the order of their submission."""
    jobs = [job for job in slurm.jobs(ended=True) if job["rule"] == rule]
    return [job["state"] for job in sorted(jobs, key=lambda job: int(job["id"]))]


# A node is killed: the training that another file stops on purpose must not run meanwhile.
pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("fault", ["exit", "memory", "cancel", "node", "preempt", "requeue", "late", "disk"])
def test_the_output_is_whole_in_the_end(faults, fault):
    slurm, _, _ = faults
    assert (slurm.root / f"made/{fault}.txt").read_text() == "whole\n"


def test_a_job_that_fails_once_is_submitted_again(faults):
    assert states(faults[0], "exit") == ["FAILED", "COMPLETED"]


def test_a_job_out_of_memory_gets_more(faults):
    slurm, _, _ = faults
    assert states(slurm, "memory")[-1] == "COMPLETED"
    assert states(slurm, "memory")[0] in ("FAILED", "OUT_OF_MEMORY")
    first, *_, last = (slurm.root / "memory.jobs").read_text().split()
    asked = [slurm.cluster.ask("scontrol", "show", "job", job) for job in (first, last)]
    assert ["mem=700M" in asked[0], "mem=1400M" in asked[1]] == [True, True]


def test_a_cancelled_job_is_submitted_again(faults):
    assert states(faults[0], "cancel") == ["CANCELLED", "COMPLETED"]


def test_a_job_that_lost_its_node_runs_again_elsewhere_or_later(faults):
    slurm, _, happened = faults
    assert states(slurm, "node")[-1] == "COMPLETED"
    nodes = (slurm.root / "node.nodes").read_text().split()
    assert nodes[0] == happened["node"]
    assert len(nodes) == 2


@pytest.mark.parametrize("fault", ["preempt", "requeue"])
def test_a_job_that_slurm_takes_back_runs_again_under_its_number(faults, fault):
    slurm, _, happened = faults
    assert states(slurm, fault) == ["COMPLETED"]
    assert (slurm.root / f"{fault}.jobs").read_text().split() == [happened[fault]] * 2


def test_a_full_disk_leaves_no_part_and_the_retry_succeeds(faults):
    slurm, said, _ = faults
    assert "No space left on device" in said
    assert (slurm.root / "left").read_text() == ""
    assert states(slurm, "disk") == ["FAILED", "COMPLETED"]
    assert (slurm.root / "small/made.txt").stat().st_size == 2_000_000


def test_a_late_file_is_waited_for(faults):
    assert states(faults[0], "late") == ["COMPLETED"]
