"""What happens when a run starts: freeze it, name held jobs, and wait for or cancel the orphaned jobs of dead runs."""

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from snakemake.logging import logger

from posologie.running.claims import Process
from posologie.running.errors import InputError
from posologie.running.planning import VARIABLE, acceptances, accepted_pairs, freeze, keep_modules, planned, read_run
from posologie.running.seals import Identity
from posologie.running.seam import is_sealed, planned_job

_MADE = re.compile(r"^    output: (.*)$", re.MULTILINE)
_ASKED = "%A|%T|%N|%M|%r|%j|%Z|%k"


@dataclass(frozen=True)
class Orphan:
    """One SLURM job of another run; `posologie.running.head` says whether another job waits for it.

    Attributes:
        job: its SLURM number.
        what: rule and wildcards, as Snakemake commented them.
        outputs: the files that Snakemake marked as being made by it.
        reason: why it waits, in SLURM's words.
    """

    job: str
    state: str
    node: str
    elapsed: str
    what: str
    run: str
    outputs: tuple[str, ...]
    reason: str = ""

    @property
    def held(self) -> bool:
        """Whether it waits for a person to release it."""
        return self.state == "PENDING" and is_held(self.reason)


def is_held(reason: str) -> bool:
    """Whether SLURM's reason for a pending job says that it waits for a person to release it."""
    return any(word in reason.lower() for word in ("held", "hold"))


def orphans(folder: Path, own: str) -> list[Orphan]:
    """Return the jobs in the queue that were submitted from a folder by another Snakemake.

    Args:
        own: the name of the run that asks.

    Raises:
        InputError: where SLURM cannot be asked.
    """
    marked = marks(folder)
    orphaned = []
    for line in _squeue():
        job, state, node, elapsed, reason, run, rest = line.split("|", 6)
        place, _, comment = rest.rpartition("|")
        if Path(place).resolve() != folder.resolve() or not comment.startswith("rule_") or run == own:
            continue
        rule, _, wildcards = comment.removeprefix("rule_").partition("_wildcards_")
        what = f"{rule} {wildcards.replace('_', ' ')}".strip()
        orphaned.append(
            Orphan(
                job=job,
                state=state,
                node=node,
                elapsed=elapsed,
                what=what,
                run=run,
                outputs=_outputs_of(folder, job, marked),
                reason=reason,
            )
        )
    return sorted(orphaned, key=lambda orphan: int(orphan.job))


def _squeue() -> list[str]:
    if shutil.which("squeue") is None:
        raise InputError("squeue: not found; expected SLURM's commands on this machine (is it a login node?)")
    try:
        done = subprocess.run(
            ["squeue", "-h", "--me", "-o", _ASKED], capture_output=True, text=True, check=False, timeout=120
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"squeue: {error}") from error
    if done.returncode:
        raise InputError(f"squeue: {done.stderr.strip() or 'failed'}")
    return done.stdout.splitlines()


def marks(folder: Path) -> dict[str, str | None]:
    """Return the files that Snakemake has marked as incomplete, each with the SLURM job that was submitted to make it.

    A mark is a file below `.snakemake/incomplete` whose name is the output's path in base64 (in pieces, where it is
    long). A job that has begun marks its outputs again without its number; when it succeeds it takes the marks away.
    """
    place = folder / ".snakemake/incomplete"
    jobs: dict[str, str | None] = {}
    for mark in sorted(path for path in place.rglob("*") if path.is_file()):
        encoded = "".join(part.removeprefix("@") for part in mark.relative_to(place).parts)
        try:
            output = base64.urlsafe_b64decode(encoded).decode()
            jobs[output] = json.loads(mark.read_text(encoding="utf-8")).get("external_jobid")
        except (ValueError, OSError, AttributeError):  # being written or removed while we look
            continue
    return jobs


def _outputs_of(folder: Path, job: str, marked: dict[str, str | None]) -> tuple[str, ...]:
    """Return what a job makes: what was marked when it was submitted, or what it says in its log once it has begun."""
    submitted = {output for output, number in marked.items() if str(number) == job}
    begun = {output for log in _logs(folder) if log.stem == job for output in _outputs_in(log)}
    return tuple(sorted(submitted | begun))


def _logs(folder: Path) -> list[Path]:
    return list((folder / ".snakemake/slurm_logs").rglob("*.log"))


def _outputs_in(log: Path) -> set[str]:
    named = _MADE.findall(log.read_text(encoding="utf-8", errors="replace"))
    return {output for outputs in named for output in outputs.split(", ")}


LOOK = 60.0
"""Seconds between two looks at the queue for jobs that are held."""

WAIT = 10.0
"""Seconds between two looks at orphans that make what is planned."""


def begin(workflow: Any, name: str, study: Mapping[str, Any], work: str, code: Mapping[str, str]) -> None:
    """Freeze the run that is about to start, and settle what jobs of dead heads are making.

    Args:
        name: the study's name.
        study: what describes the study, for the run's jobs.
        work: the study's work folder.
        code: digest of the code behind each module that a command runs.

    Where orphans make what is planned, Snakemake starts again once they have ended, so that its plan knows what they
    made.
    """
    slurm = getattr(workflow.scheduler._executor, "run_uuid", None)
    run = slurm or f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
    plan = _plan(workflow)
    accepted = accepted_pairs(acceptances(f"results/{name}"))
    folder = freeze(work, run, study, code, plan, accepted)
    keep_modules(work, code)
    os.environ[VARIABLE] = str(folder.absolute())
    if slurm is None:
        return
    if _settle(folder, plan):
        _start_again()
    threading.Thread(target=_watch, args=(slurm,), daemon=True).start()


def _plan(workflow: Any) -> dict[str, Identity]:
    """Return the identity of each file that the plan knows; parts that a checkpoint has yet to count are not known."""
    plan: dict[str, Identity] = {}
    for job in workflow.dag.jobs:
        if is_sealed(job):
            with contextlib.suppress(ValueError, TypeError):
                planned = planned_job(job)
                plan.update(dict.fromkeys(planned.outputs, planned.identity))
    return plan


def _settle(folder: Path, plan: Mapping[str, Identity]) -> bool:
    """Wait for the orphans that make what is planned, and cancel the others; return whether one was waited for."""
    try:
        orphaned = [job for job in orphans(Path.cwd(), own=folder.name) if _has_lost_its_head(job, folder, plan)]
    except InputError as error:
        logger.warning(f"Jobs of earlier runs could not be listed: {error}")
        return False
    awaited = {orphan.job: orphan for orphan in orphaned if not orphan.held and _as_planned(orphan, folder, plan)}
    for orphan in orphaned:
        if orphan.job in awaited:
            logger.warning(f"{_named(orphan)} makes what is planned: waiting for it.")
        else:
            _cancel(orphan, "is held" if orphan.held else "is not of this plan")
    remaining = dict(awaited)
    while remaining:
        time.sleep(WAIT)
        try:
            present = {orphan.job: orphan for orphan in orphans(Path.cwd(), own=folder.name)}
        except InputError:  # the scheduler does not answer just now
            continue
        for orphan in (present[job] for job in remaining if job in present and present[job].held):
            _cancel(orphan, "is held")
        remaining = {job: orphan for job, orphan in remaining.items() if job in present and not present[job].held}
    return bool(awaited)


def _has_lost_its_head(job: Orphan, folder: Path, plan: Mapping[str, Identity]) -> bool:
    """Whether the head of a job's run is dead, so that nobody else waits for the job.

    Jobs of other studies in this folder are none of ours. A head on another machine cannot be asked; where it planned a
    file that is planned here, it has ended, because the lock lets one head alone make a file.
    """
    run = read_run(folder.parent / job.run)
    if run is None:
        return False
    if run.head.machine == Process.this().machine:
        return run.head.dead()
    return not plan.keys().isdisjoint(planned(folder.parent / job.run))


def _named(orphan: Orphan) -> str:
    return f"SLURM job {orphan.job} of run {orphan.run} ({orphan.what}, {orphan.state.lower()})"


def _cancel(orphan: Orphan, why: str) -> None:
    logger.warning(f"{_named(orphan)} {why}: cancelled.")
    subprocess.run(["scancel", orphan.job], check=False, capture_output=True, timeout=120)


def _as_planned(orphan: Orphan, folder: Path, plan: Mapping[str, Identity]) -> bool:
    """Whether an orphan makes artifacts of this plan, all of the identity that they have in it."""
    its_plan = planned(folder.parent / orphan.run)
    known = [output for output in orphan.outputs if output in plan and output in its_plan]
    if not known or len(known) < len(orphan.outputs):
        return False
    return all(its_plan[output] == [plan[output].text(), plan[output].code] for output in known)


def _start_again() -> None:
    """Start Snakemake once more in place of this process, so that it plans with what the orphans have made."""
    if Path(sys.argv[0]).name not in ("snakemake", "__main__.py"):
        return  # called from another program: jobs find what was made, one by one
    logger.warning("The orphans have ended; planning again.")
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", "snakemake", *sys.argv[1:]])  # noqa: S606 - the same command


def _watch(run: str) -> None:
    """Warn once of each job of the run that SLURM holds: nothing happens to it until a person releases it."""
    warned: set[str] = set()
    while True:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(
                ["squeue", "-h", "--me", "-n", run, "-t", "PENDING", "-o", "%A|%r|%k"],
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            for line in done.stdout.splitlines():
                job, reason, what = line.split("|", 2)
                if is_held(reason) and job not in warned:
                    warned.add(job)
                    logger.warning(f"SLURM holds job {job} ({what}): {reason}. Release it with: scontrol release {job}")
        time.sleep(LOOK)
