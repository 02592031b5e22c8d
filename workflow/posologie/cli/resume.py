"""Find the SLURM jobs that a killed Snakemake has left running here, and adopt or cancel them.

Without an option the orphans are shown. `--adopt` waits until they have ended and tells Snakemake of what they made,
where it would make it in the same way now; the rest is removed and made again. `--cancel` ends them at once; training
and prediction go on from their last checkpoint. Both take away the lock that the killed Snakemake has left. Give the
same `--configfile` and `--config` as to Snakemake. A Snakemake on another machine is not seen from here.
"""

import argparse
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from posologie.cli.adoption import adoptable, record
from posologie.cli.orphans import Orphan, living, locked, marks, orphans, unrecorded
from posologie.cli.places import console, print_json
from posologie.errors import InputError

_PATIENCE = 120.0
"""Seconds that a shared file system may take to show what an ended job has written."""


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `resume`."""
    arguments.add_argument("--configfile", metavar="FILE", help="the study file given to Snakemake, if any")
    arguments.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="as given to Snakemake")
    which = arguments.add_mutually_exclusive_group()
    which.add_argument("--adopt", action="store_true", help="wait for the orphans and take over what they make")
    which.add_argument("--cancel", action="store_true", help="end the orphans")
    arguments.add_argument(
        "--every", type=float, default=10.0, metavar="SECONDS", help="how often to look (default: 10)"
    )


def answer(given: argparse.Namespace) -> int:
    """Show, adopt or cancel; the exit code is 1 if orphans are left, or something of theirs has to be made again."""
    here = Path.cwd()
    if not (here / ".snakemake").is_dir():
        raise InputError(f"{here}: no Snakemake ran here; expected the folder of the Snakefile")
    found = orphans(here)
    if not (given.adopt or given.cancel):
        return _show(found, here, given.json)
    if pids := living(here):
        raise InputError(
            f"a Snakemake runs here (process {pids[0]}); it waits for its own jobs, and orphans wait for it"
        )
    if given.cancel:
        return _cancel(found, here, given.every)
    return _adopt(found, here, given)


def _show(found: Sequence[Orphan], here: Path, as_json: bool) -> int:
    if as_json:
        print_json({"orphans": [asdict(orphan) for orphan in found], "locked": locked(here), "running": living(here)})
        return 1 if found else 0
    if not found:
        left = " Its lock is left; --cancel takes it away." if locked(here) and not living(here) else ""
        console().print(f"No SLURM job of a killed Snakemake is in the queue.{left}")
        return 0
    table = Table(box=None, pad_edge=False)
    for title in ("SLURM job", "state", "for", "on", "job", "makes"):
        table.add_column(title, overflow="fold")
    for orphan in found:
        makes = orphan.outputs[0] if orphan.outputs else "?"
        more = f" and {len(orphan.outputs) - 1} more" if len(orphan.outputs) > 1 else ""
        table.add_row(orphan.job, orphan.state, orphan.elapsed, orphan.node or "–", orphan.what, makes + more)
    console().print(table)
    console().print(
        f"\n{len(found)} job{'s' * (len(found) > 1)} without a Snakemake. posologie resume --adopt waits for them and"
        " takes over what they make; --cancel ends them."
    )
    return 1


def _cancel(found: Sequence[Orphan], here: Path, every: float) -> int:
    if found:
        _scancel([orphan.job for orphan in found])
        while left := {orphan.job for orphan in orphans(here)} & {orphan.job for orphan in found}:
            console().print(f"{len(left)} still ending")
            time.sleep(every)
    _unlock(here)
    console().print(f"{len(found)} cancelled. Start Snakemake again.")
    return 0


def _scancel(jobs: Sequence[str]) -> None:
    done = subprocess.run(["scancel", *jobs], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode and "Invalid job id" not in done.stderr:
        raise InputError(f"scancel: {done.stderr.strip()}")


def _adopt(found: Sequence[Orphan], here: Path, given: argparse.Namespace) -> int:
    # what was made by jobs that ended between the kill and now is no longer marked, and has no record either
    outputs = {output for orphan in found for output in orphan.outputs}
    shown = ""
    while waiting := orphans(here):
        told = ", ".join(f"{orphan.what} ({orphan.state.lower()}, {orphan.elapsed})" for orphan in waiting[:4])
        if told != shown:
            console().print(f"waiting for {len(waiting)}: {told}{' …' if len(waiting) > 4 else ''}")
        shown = told
        time.sleep(given.every)
    _wait_for_files(outputs, here)
    _unlock(here)
    finished = sorted({*outputs, *unrecorded(here)} - set(marks(here)))
    whole = [output for output in finished if (here / output).is_file()]
    arguments = [*(["--configfile", given.configfile] if given.configfile else [])]
    arguments += ["--config", *given.config] if given.config else []
    kept, again = adoptable(whole, arguments)
    record(kept, arguments)
    for output in again:
        (here / output).unlink(missing_ok=True)
    lost = len(outputs) - len(set(kept) & outputs)
    for name, files in (("adopted", kept), ("removed, because Snakemake would make it otherwise now", again)):
        for file in files:
            console().print(f"{name}: {file}")
    console().print(f"{len(kept)} adopted, {len(again)} removed. Start Snakemake again.")
    return 1 if again or lost else 0


def _wait_for_files(outputs: set[str], here: Path) -> None:
    """Wait until each output has lost its mark and is there, or neither: the file system may show it late."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if all((here / output).exists() for output in outputs - set(marks(here))):
            return
        time.sleep(1)


def _unlock(here: Path) -> None:
    for lock in (here / ".snakemake/locks").glob("*.lock"):
        lock.unlink(missing_ok=True)
