"""Jobs under way: how far and how fast by their progress files, and what SLURM says of those in its queue."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_LOGS, _TAIL = 50, 4000  # newest logs, and bytes of each, in which the last problem is looked for
_SILENT = 15 * 60
"""Seconds after which a job that cannot be asked about counts as stopped: longer than any step between two reports."""


_SQUEUE_FORMAT = "%A|%T|%r|%k|%Z"
"""Job, state, reason, comment (in which Snakemake says rule and wildcards), and the folder, which may hold anything."""

_NEVER = frozenset(
    reason.lower()
    for reason in (
        "BadConstraints",
        "DependencyNeverSatisfied",
        "InvalidAccount",
        "InvalidQOS",
        "PartitionNodeLimit",
        "PartitionTimeLimit",
        "QOSMaxWallDurationPerJobLimit",
    )
)
"""Reasons of jobs that ask for what they will never get: cancelled, they fail, and Snakemake says so."""


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
    """Return the jobs with unfinished progress files below `work`, the newest first."""
    now = time.time() if now is None else now
    files = []
    for file in sorted(work.rglob("progress.json")):
        try:
            facts = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # removed, or of another version, while we looked
            continue
        if facts["done"] < facts["total"]:
            files.append((file.parent.relative_to(work).as_posix(), facts))
    queued = _slurm_states(str(facts["slurm_job"]) for _, facts in files if facts.get("slurm_job"))
    jobs = [_job(name, facts, queued, now) for name, facts in files]
    return sorted(jobs, key=lambda job: -job.updated)


def _job(name: str, facts: dict[str, Any], queued: dict[str, str] | None, now: float) -> Job:
    counted = facts["done"] - facts["first"]
    seconds = facts["updated"] - facts["started"]
    seconds_left = (facts["total"] - facts["done"]) * seconds / counted if counted > 0 and seconds > 0 else None
    slurm = facts.get("slurm_job")
    return Job(
        name=name,
        done=facts["done"],
        total=facts["total"],
        unit=facts["unit"],
        state="running" if _lives(facts, queued, now) else "stopped",
        where=f"SLURM job {slurm} on {facts['host']}" if slurm else f"process {facts['pid']} on {facts['host']}",
        left=seconds_left,
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


def reason_in(logs: Iterable[str | Path]) -> str:
    """Return the line of a job's logs that says why it failed: the last with an error, or else the last of all."""
    lines: list[str] = []
    for file in logs:
        with contextlib.suppress(OSError):
            lines += [line.strip() for line in Path(file).read_text(encoding="utf-8", errors="replace").splitlines()]
    lines = [line for line in lines if line]
    errors = [line for line in lines if re.search(r"error\b", line, flags=re.IGNORECASE)]
    return (errors or lines or ["failed without a message"])[-1]


def last_problem(work: Path) -> str:
    """Return the error with which the newest log below `work` ends, if one does, and the log.

    A job that is run again starts a new log, so an error stays only as long as nothing has fixed it.
    """
    logs: list[tuple[float, Path]] = []
    for file in (work / "logs").rglob("*.log"):
        with contextlib.suppress(OSError):  # removed while we looked
            logs.append((file.stat().st_mtime, file))
    for _, file in sorted(logs, reverse=True)[:_LOGS]:
        try:
            with file.open("rb") as stream:
                stream.seek(max(0, file.stat().st_size - _TAIL))
                lines = stream.read().decode("utf-8", errors="replace").strip().splitlines()
        except OSError:
            continue
        if lines and (lines[-1].startswith("error: ") or any(line.startswith("Traceback ") for line in lines)):
            return f"{lines[-1]} ({file.as_posix()})"
    return ""


@dataclass(frozen=True)
class Queued:
    """One job of a folder in SLURM's queue.

    Attributes:
        what: its rule and wildcards.
        state: SLURM's word, such as PENDING.
        reason: why SLURM does not run it, in SLURM's words; empty for a job that runs.
        helps: the command that lets it go on, where it will not go on by itself; else empty.
    """

    job: str
    what: str
    state: str
    reason: str
    helps: str


def queue(folder: Path) -> tuple[list[Queued], str]:
    """Return the jobs of this user that were submitted from a folder, and why SLURM could not be asked, if so.

    Where there is no SLURM, there are none.
    """
    if shutil.which("squeue") is None:
        return [], ""
    try:
        squeue = subprocess.run(
            ["squeue", "--noheader", "--me", f"--format={_SQUEUE_FORMAT}"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return [], f"squeue: {error}"
    if squeue.returncode:
        return [], f"squeue: {' '.join(squeue.stderr.split()) or 'failed'}"
    lines = [line.split("|", 4) for line in squeue.stdout.splitlines()]
    here = [fields for fields in lines if len(fields) == 5 and Path(fields[4]).resolve() == folder.resolve()]
    return sorted((_queued(*fields[:4]) for fields in here), key=lambda job: _number(job.job)), ""


def _queued(job: str, state: str, reason: str, comment: str) -> Queued:
    rule, _, wildcards = comment.removeprefix("rule_").partition("_wildcards_")
    what = f"{rule} {wildcards.replace('_', ' ')}".strip()
    reason = "" if reason == "None" or state == "RUNNING" else reason
    return Queued(job, what, state, reason, _help(job, state, reason))


def _number(job: str) -> int:
    return int(job) if job.isdigit() else 0


def _help(job: str, state: str, reason: str) -> str:
    """Return the command for a job that will not start by itself; empty for one that only has to wait its turn."""
    normalised = reason.replace("_", "").replace(" ", "").lower()
    if "heldadmin" in normalised:
        return f"scontrol release {job} (as an administrator of the cluster)"
    if "held" in normalised or "jobhold" in normalised or state in ("REQUEUE_HOLD", "SPECIAL_EXIT"):
        return f"scontrol release {job}"
    if normalised in _NEVER:
        return f"scancel {job}"
    return ""


def _slurm_states(jobs: Iterable[str]) -> dict[str, str] | None:
    """Return the states of those jobs that SLURM still knows as pending or running; None where it cannot be asked."""
    names = sorted(set(jobs))
    if not names:
        return {}
    if shutil.which("squeue") is None:
        return None
    command = ["squeue", "--noheader", "--format=%i %T", "--jobs", ",".join(names)]
    try:
        squeue = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if squeue.returncode and "Invalid job id" not in squeue.stderr:
        return None
    return dict(line.split(maxsplit=1) for line in squeue.stdout.splitlines() if " " in line)
