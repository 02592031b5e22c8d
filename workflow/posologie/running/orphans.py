"""SLURM jobs of other runs in the same folder: found by the queue and by Snakemake's own marks."""

import base64
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from posologie.errors import InputError

_MADE = re.compile(r"^    output: (.*)$", re.MULTILINE)
_ASKED = "%A|%T|%N|%M|%r|%j|%Z|%k"


@dataclass(frozen=True)
class Orphan:
    """One SLURM job of another run; `posologie.running.head` says whether somebody waits for it.

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
        """Whether it waits for somebody to release it."""
        return self.state == "PENDING" and is_held(self.reason)


def is_held(reason: str) -> bool:
    """Whether SLURM's reason for a pending job says that it waits for somebody to release it."""
    return any(word in reason.lower() for word in ("held", "hold"))


def orphans(folder: Path, own: str) -> list[Orphan]:
    """Return the jobs in the queue that were submitted from a folder by another Snakemake.

    Args:
        own: the name of the run that asks.

    Raises:
        InputError: where SLURM cannot be asked.
    """
    marked = marks(folder)
    found = []
    for line in _squeue():
        job, state, node, elapsed, reason, run, rest = line.split("|", 6)
        place, _, comment = rest.rpartition("|")
        if Path(place).resolve() != folder.resolve() or not comment.startswith("rule_") or run == own:
            continue
        rule, _, wildcards = comment.removeprefix("rule_").partition("_wildcards_")
        what = f"{rule} {wildcards.replace('_', ' ')}".strip()
        found.append(Orphan(job, state, node, elapsed, what, run, _outputs_of(folder, job, marked), reason))
    return sorted(found, key=lambda orphan: int(orphan.job))


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
    long). A job that has begun marks its outputs anew without its number; when it succeeds it takes the marks away.
    """
    place = folder / ".snakemake/incomplete"
    found: dict[str, str | None] = {}
    for mark in sorted(path for path in place.rglob("*") if path.is_file()):
        encoded = "".join(part.removeprefix("@") for part in mark.relative_to(place).parts)
        try:
            output = base64.urlsafe_b64decode(encoded).decode()
            found[output] = json.loads(mark.read_text(encoding="utf-8")).get("external_jobid")
        except (ValueError, OSError, AttributeError):  # being written or removed while we look
            continue
    return found


def _outputs_of(folder: Path, job: str, marked: dict[str, str | None]) -> tuple[str, ...]:
    """Return what a job makes: what was marked when it was submitted, or what it says in its log once it has begun."""
    submitted = {output for output, number in marked.items() if str(number) == job}
    begun = {output for log in _logs(folder) if log.stem == job for output in _told_in(log)}
    return tuple(sorted(submitted | begun))


def _logs(folder: Path) -> list[Path]:
    return list((folder / ".snakemake/slurm_logs").rglob("*.log"))


def _told_in(log: Path) -> set[str]:
    told = _MADE.findall(log.read_text(encoding="utf-8", errors="replace"))
    return {output for outputs in told for output in outputs.split(", ")}
