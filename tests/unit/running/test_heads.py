"""What a head does with the jobs in the queue that other runs submitted from its folder."""

import json
import os
from dataclasses import asdict, replace

import pytest
import snakemake.api  # noqa: F401 - Snakemake's modules import each other in a circle that only begins here

from posologie.running import head
from posologie.running.claims import Process
from posologie.running.errors import InputError
from posologie.running.planning import freeze
from posologie.running.seals import Identity

WANTED = Identity("posologie.mixes", "c0de", {"mix": "NAT"})
OTHER = Identity("posologie.mixes", "c0de", {"mix": "NAT", "size": 3})
PLAN = {"mix.parquet": WANTED}


class Cluster:
    """A queue of jobs submitted from the working directory, and what is cancelled."""

    def __init__(self, root):
        self.root, self.lines, self.cancelled, self.looks = root, [], [], 0

    def submit(self, job, run, output="mix.parquet", state="PENDING", reason="Priority"):
        marks = self.root / ".snakemake/incomplete"
        marks.mkdir(parents=True, exist_ok=True)
        name = head.base64.urlsafe_b64encode(output.encode()).decode()
        (marks / name).write_text(json.dumps({"external_jobid": job}))
        self.lines.append(f"{job}|{state}|n1|0:01|{reason}|{run}|{os.getcwd()}|rule_draw_mix_wildcards_NAT_42")

    def run(self, name, plan, process, work="work/s"):
        folder = freeze(work, name, {}, {}, plan, {})
        facts = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps({**facts, "head": asdict(process)}))


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    folder = tmp_path / "a | folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    cluster = Cluster(folder)

    def squeue():
        cluster.looks += 1
        return cluster.lines

    def waited(seconds):
        cluster.lines = []

    monkeypatch.setattr(head, "_squeue", squeue)
    monkeypatch.setattr(head, "_cancel", lambda orphan, why: cluster.cancelled.append((orphan.job, why)))
    monkeypatch.setattr(head.time, "sleep", waited)
    return cluster


LIVING = Process.this()
DEAD = replace(LIVING, pid=2**22 + 1)
ELSEWHERE = replace(LIVING, machine="another machine")


def settle(plan=PLAN):
    return head._settle(freeze("work/s", "own", {}, {}, plan, {}), plan)


def test_a_job_of_a_dead_head_is_waited_for_where_it_makes_what_is_planned(cluster):
    cluster.run("earlier", PLAN, DEAD)
    cluster.submit("7", "earlier")
    assert settle()
    assert (cluster.cancelled, cluster.looks) == ([], 2)


@pytest.mark.parametrize(
    ("plan", "options", "why"),
    [
        ({"mix.parquet": OTHER}, {}, "is not of this plan"),
        ({"mix.parquet": replace(WANTED, code="other")}, {}, "is not of this plan"),
        ({"mix.parquet": WANTED, "gone.parquet": WANTED}, {"output": "gone.parquet"}, "is not of this plan"),
        (PLAN, {"reason": "JobHeldUser"}, "is held"),
    ],
)
def test_a_job_of_a_dead_head_is_cancelled_where_it_makes_something_else_or_is_held(cluster, plan, options, why):
    cluster.run("earlier", plan, DEAD)
    cluster.submit("7", "earlier", **options)
    assert not settle()
    assert cluster.cancelled == [("7", why)]


def test_jobs_of_another_study_in_the_same_folder_are_left_alone(cluster):
    cluster.run("of-another-study", {"other.parquet": OTHER}, LIVING, work="work/other")
    cluster.submit("7", "of-another-study", output="other.parquet", state="RUNNING")
    assert not settle()
    assert cluster.cancelled == []


def test_jobs_of_a_living_head_that_makes_another_part_of_the_study_are_left_alone(cluster):
    for job, process in (("7", LIVING), ("8", ELSEWHERE)):
        cluster.run(f"run-{job}", {"another part.parquet": WANTED}, process)
        cluster.submit(job, f"run-{job}", output="another part.parquet")
    assert not settle()
    assert cluster.cancelled == []


def test_a_head_elsewhere_that_made_the_same_files_has_ended_since_the_lock_is_ours(cluster):
    cluster.run("earlier", {"mix.parquet": OTHER}, ELSEWHERE)
    cluster.submit("7", "earlier")
    assert not settle()
    assert cluster.cancelled == [("7", "is not of this plan")]


def test_a_scheduler_that_does_not_answer_while_orphans_are_waited_for_is_asked_again(cluster, monkeypatch):
    cluster.run("earlier", PLAN, DEAD)
    cluster.submit("7", "earlier")
    lines = cluster.lines
    answers = [lines, InputError("squeue: no answer"), lines, []]

    def squeue():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(head, "_squeue", squeue)
    assert settle()
    assert answers == []


def test_a_queue_that_cannot_be_asked_is_an_input_error(monkeypatch, tmp_path):
    command = tmp_path / "squeue"
    command.write_text("#!/bin/sh\necho 'Unable to contact slurm controller' >&2\nexit 1\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="squeue: Unable to contact slurm controller"):
        head.orphans(tmp_path, own="own")

    def late(*arguments, **options):
        raise head.subprocess.TimeoutExpired("squeue", 120)

    monkeypatch.setattr(head.subprocess, "run", late)
    with pytest.raises(InputError, match="timed out after 120 seconds"):
        head.orphans(tmp_path, own="own")
