"""What the Snakemake that plans a run does before its first job: freeze it, settle orphans, watch the queue."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from snakemake.logging import logger

from posologie.claims import Process
from posologie.errors import InputError
from posologie.running.frozen import VARIABLE, freeze, planned, read_run
from posologie.running.orphans import Orphan, is_held, orphans
from posologie.running.planning import acceptances, accepted_pairs
from posologie.running.seals import Identity
from posologie.running.seam import is_sealed, planned_job

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
        found = [job for job in orphans(Path.cwd(), own=folder.name) if _has_lost_its_head(job, folder, plan)]
    except InputError as error:
        logger.warning(f"Jobs of earlier runs cannot be looked for: {error}")
        return False
    kept = {orphan.job: orphan for orphan in found if not orphan.held and _as_planned(orphan, folder, plan)}
    for orphan in found:
        if orphan.job in kept:
            logger.warning(f"{_named(orphan)} makes what is planned: waiting for it.")
        else:
            _cancel(orphan, "is held" if orphan.held else "is not of this plan")
    left = dict(kept)
    while left:
        time.sleep(WAIT)
        try:
            there = {orphan.job: orphan for orphan in orphans(Path.cwd(), own=folder.name)}
        except InputError:  # the scheduler does not answer just now
            continue
        for orphan in (there[job] for job in left if job in there and there[job].held):
            _cancel(orphan, "is held")
        left = {job: orphan for job, orphan in left.items() if job in there and not there[job].held}
    return bool(kept)


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
    """Warn once of each job of the run that SLURM holds: nothing happens to it until somebody releases it."""
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
