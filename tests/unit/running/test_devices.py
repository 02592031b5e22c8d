"""GPU jobs on one machine without a scheduler: each has its own devices."""

import os
import subprocess
import sys
import time

import pytest

from posologie.running import commands

pytestmark = pytest.mark.slow

JOB = """
import os, sys, time
from pathlib import Path
from posologie.running import commands
commands._LOOK = 0.05
commands.claim_devices(int(sys.argv[2]), Path(sys.argv[1]))
print(os.environ.get("CUDA_VISIBLE_DEVICES"), time.time(), flush=True)
time.sleep(float(sys.argv[3]))
print(time.time(), flush=True)
"""


def job(folder, count, seconds=0.5, visible="0,1,2,3", **variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
    return subprocess.Popen(
        [sys.executable, "-c", JOB, str(folder), str(count), str(seconds)],
        env={**kept, "CUDA_VISIBLE_DEVICES": visible, **variables},
        stdout=subprocess.PIPE,
        text=True,
    )


def devices_of(process):
    """Return the devices, and when they were had."""
    first, last = process.communicate(timeout=60)[0].splitlines()
    shown, began = first.split()
    return set(shown.split(",")), float(began), float(last)


def test_jobs_at_the_same_time_share_no_device(tmp_path):
    several = [devices_of(process) for process in [job(tmp_path, count, 1.0) for count in (1, 1, 2, 1, 2, 1)]]
    assert [len(taken) for taken, _, _ in several] == [1, 1, 2, 1, 2, 1]
    for number, (taken, began, ended) in enumerate(several):
        for other, since, until in several[number + 1 :]:
            assert not (taken & other and since < ended and began < until)


def test_four_jobs_on_four_devices_do_not_wait(tmp_path):
    several = [devices_of(process) for process in [job(tmp_path, 1, 3.0) for _ in range(4)]]
    assert set.union(*(taken for taken, _, _ in several)) == {"0", "1", "2", "3"}
    assert max(began for _, began, _ in several) < min(ended for _, _, ended in several)


def test_a_killed_job_frees_its_device(tmp_path):
    first = job(tmp_path, 2, 60, visible="0,1")
    first.stdout.readline()
    first.kill()
    first.wait()
    began = time.monotonic()
    assert devices_of(job(tmp_path, 2, 0.1, visible="0,1"))[0] == {"0", "1"}
    assert time.monotonic() - began < 20


def test_devices_are_named_as_the_user_named_them(tmp_path):
    assert devices_of(job(tmp_path, 1, 0.1, visible="GPU-7a,GPU-8b"))[0] <= {"GPU-7a", "GPU-8b"}


def test_inside_slurm_and_on_one_device_nothing_is_changed(tmp_path):
    assert devices_of(job(tmp_path, 1, 0.1, SLURM_JOB_ID="7"))[0] == {"0", "1", "2", "3"}
    assert devices_of(job(tmp_path, 1, 0.1, visible="2"))[0] == {"2"}
    assert not list(tmp_path.iterdir())


def test_the_driver_is_asked_where_nothing_is_named(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(commands, "_installed", lambda: 3)
    assert commands.usable_devices() == ["0", "1", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert commands.usable_devices() == []


def test_every_gpu_rule_says_how_many_devices_it_claims(repository):
    text = "".join(path.read_text(encoding="utf-8") for path in (repository / "workflow/rules").glob("*.smk"))
    claims = ("**gpus(", "**backend_resources(", "**ENCODER_RESOURCES")
    assert text.count("--devices {resources.devices}") == sum(text.count(claim) for claim in claims)
