"""Claims: one writer at a time, a dead owner loses, and an owner that was taken for dead ends."""

import itertools
import os
import subprocess
import sys
import time

import pytest

from posologie.running import claims
from posologie.running.whole_files import whole_file

HOLDER = """
import sys, time
from pathlib import Path
from posologie.running import claims
claims.BEAT, claims._LOOK, claims.SILENCE = 0.2, 0.05, float(sys.argv[4])
if sys.argv[5:]:
    claims._machine = lambda: sys.argv[5]
work, job, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
with claims.claimed(work, work / "artifact", [job]):
    began = time.time()
    time.sleep(seconds)
    with open(work / "artifact", "a") as file:
        print(job, began, time.time(), file=file)
"""


def holder(work, job, seconds=0.5, silence=60.0, machine=""):
    """Start a process that holds the claim for a while, and then writes the artifact."""
    words = [str(work), job, str(seconds), str(silence), *([machine] if machine else [])]
    return subprocess.Popen([sys.executable, "-c", HOLDER, *words], stderr=subprocess.PIPE, text=True)


def spans(work):
    """Return job, begin and end of each writing."""
    lines = [line.split() for line in (work / "artifact").read_text().splitlines()]
    return [(job, float(began), float(ended)) for job, began, ended in lines]


def wait_for_claim(work, seconds=20):
    deadline = time.monotonic() + seconds
    while not [file for file in work.glob("claims/*/*") if file.stat().st_size]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_of_many_equal_jobs_one_writes_at_a_time_and_nothing_is_left(tmp_path):
    several = [holder(tmp_path, "a", 0.2) for _ in range(5)]
    assert [process.wait(60) for process in several] == [0] * 5
    written = sorted(spans(tmp_path), key=lambda span: span[1])
    assert len(written) == 5
    for (_, _, ended), (_, began, _) in itertools.pairwise(written):
        assert began >= ended
    assert not (tmp_path / "claims").exists()


@pytest.mark.parametrize(
    ("above", "passes", "lost"), [("a", False, False), ("a", True, True), ("of another spec", False, True)]
)
def test_only_a_claim_that_passed_it_over_or_of_another_spec_ends_an_owner(tmp_path, above, passes, lost):
    """Two jobs that waited for one may hold numbers at once: one found no claim any more, the other passed the last."""
    lower = claims._Claim(tmp_path, "a", tmp_path / "artifact")
    assert lower._take(1, None)
    lower.number = 1
    higher = claims._Claim(tmp_path, above, tmp_path / "artifact")
    assert higher._take(2, lower.me if passes else None)
    assert lower._passed_over() == lost


def test_a_killed_owner_on_the_same_machine_loses_at_once(tmp_path):
    first = holder(tmp_path, "a", 60)
    wait_for_claim(tmp_path)
    first.kill()
    first.wait()
    assert holder(tmp_path, "a", 0.1, silence=600).wait(20) == 0
    assert len(spans(tmp_path)) == 1


def test_an_owner_on_another_machine_is_waited_for_while_it_gives_signs_of_life(tmp_path):
    first = holder(tmp_path, "a", 3, machine="elsewhere")
    wait_for_claim(tmp_path)
    second = holder(tmp_path, "a", 0.1, silence=1.5)
    assert (first.wait(30), second.wait(30)) == (0, 0)
    (_, _, ended), (_, began, _) = spans(tmp_path)
    assert began >= ended


def test_a_silent_owner_on_another_machine_loses_and_ends_when_it_wakes(tmp_path):
    import signal

    first = holder(tmp_path, "a", 4, machine="elsewhere")
    wait_for_claim(tmp_path)
    first.send_signal(signal.SIGSTOP)
    second = holder(tmp_path, "a", 0.1, silence=1.0)
    assert second.wait(30) == 0
    first.send_signal(signal.SIGCONT)
    assert first.wait(30) == claims.LOST
    assert "claimed by another process" in first.stderr.read()
    assert len(spans(tmp_path)) == 1


def test_a_job_of_another_spec_supersedes_the_one_under_way(tmp_path):
    first = holder(tmp_path, "old", 60)
    wait_for_claim(tmp_path)
    assert holder(tmp_path, "new", 0.1).wait(30) == 0
    assert first.wait(30) == claims.LOST
    assert [job for job, _, _ in spans(tmp_path)] == ["new"]


def test_a_claim_without_content_is_waited_for_and_then_passed_over(tmp_path):
    """Its owner was killed between making the file and writing into it."""
    first = holder(tmp_path, "a", 60)
    wait_for_claim(tmp_path)
    first.kill()
    first.wait()
    [file] = tmp_path.glob("claims/*/*")
    file.write_bytes(b"")
    began = time.monotonic()
    assert holder(tmp_path, "a", 0.1, silence=1.0).wait(30) == 0
    assert time.monotonic() - began > 1.0


def test_what_a_killed_process_left_of_a_file_is_removed_by_the_next_writer(tmp_path):
    target = tmp_path / "table.csv"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = os.uname().nodename
    left = tmp_path / f".table.csv.{host}.{dead.pid}.partial"
    alive = tmp_path / f".table.csv.{host}.{os.getppid()}.partial"
    elsewhere = tmp_path / ".table.csv.another-host.1.partial"
    for file in (left, alive, elsewhere):
        file.write_text("part")
    with whole_file(target) as partial:
        partial.write_text("whole")
    assert not left.exists()
    assert alive.exists()
    assert elsewhere.exists(), "its writer may live"
    os.utime(elsewhere, (time.time() - 7200,) * 2)
    with whole_file(target) as partial:
        partial.write_text("whole")
    assert not elsewhere.exists()
