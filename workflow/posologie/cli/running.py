"""Jobs under way, by the progress files that they keep: how far, how fast, and whether they still live."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_SILENT = 15 * 60
"""Seconds after which a job that cannot be asked about counts as stopped: longer than any step between two reports."""


@dataclass(frozen=True)
class Job:
    """One job that has not finished.

    Attributes:
        state: `running` or `stopped`.
        left: seconds that it still takes at its present rate; None where it has none yet.
    """

    name: str
    done: int
    total: int
    unit: str
    state: str
    where: str
    left: float | None
    updated: float


def unfinished(work: Path, now: float | None = None) -> list[Job]:
    """Return the jobs whose progress files below `work` say that there is more to do, the newest first."""
    now = time.time() if now is None else now
    found = []
    for file in sorted(work.rglob("progress.json")):
        try:
            facts = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # removed, or of another version, while we looked
            continue
        if facts["done"] < facts["total"]:
            found.append((file.parent.relative_to(work).as_posix(), facts))
    queued = _slurm_states(str(facts["slurm_job"]) for _, facts in found if facts.get("slurm_job"))
    jobs = [_job(name, facts, queued, now) for name, facts in found]
    return sorted(jobs, key=lambda job: -job.updated)


def _job(name: str, facts: dict[str, Any], queued: dict[str, str] | None, now: float) -> Job:
    counted = facts["done"] - facts["first"]
    seconds = facts["updated"] - facts["started"]
    left = (facts["total"] - facts["done"]) * seconds / counted if counted > 0 and seconds > 0 else None
    slurm = facts.get("slurm_job")
    return Job(
        name=name,
        done=facts["done"],
        total=facts["total"],
        unit=facts["unit"],
        state="running" if _lives(facts, queued, now) else "stopped",
        where=f"SLURM job {slurm} on {facts['host']}" if slurm else f"process {facts['pid']} on {facts['host']}",
        left=left,
        updated=facts["updated"],
    )


def _lives(facts: dict[str, Any], queued: dict[str, str] | None, now: float) -> bool:
    recent = now - float(facts["updated"]) < _SILENT
    if facts.get("slurm_job"):
        return recent if queued is None else str(facts["slurm_job"]) in queued
    if facts["host"] == os.uname().nodename:
        try:
            return bool(psutil.Process(facts["pid"]).create_time() <= facts["started"] + 1)
        except psutil.Error:
            return False
    return recent


def _slurm_states(jobs: Iterable[str]) -> dict[str, str] | None:
    """Return the states of those jobs that SLURM still knows as pending or running; None where it cannot be asked."""
    wanted = sorted(set(jobs))
    if not wanted:
        return {}
    if shutil.which("squeue") is None:
        return None
    command = ["squeue", "--noheader", "--format=%i %T", "--jobs", ",".join(wanted)]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if told.returncode and "Invalid job id" not in told.stderr:
        return None
    return dict(line.split(maxsplit=1) for line in told.stdout.splitlines() if " " in line)
