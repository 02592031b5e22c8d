"""Whether Snakemake may take over what a job without a Snakemake has made, and how it is told.

A job that ends after its Snakemake was killed leaves whole files and no record of them: Snakemake would take them for
finished whatever they were made with, and a changed configuration would go unseen. So the command that the job says in
its log to have run is compared with the one that Snakemake would run now, the hash of the code included.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from posologie.commands import STARTED
from posologie.errors import InputError


@dataclass(frozen=True)
class Planned:
    """One job as Snakemake would run it now."""

    outputs: tuple[str, ...]
    log: str
    command: str


def adoptable(outputs: Iterable[str], arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split finished outputs into those that Snakemake would make in the same way now, and the others.

    Args:
        outputs: files that exist.
        arguments: what the user gives to Snakemake besides (`--configfile` and the like).

    Raises:
        InputError: with Snakemake's own words where it cannot plan.
    """
    wanted = set(outputs)
    if not wanted:
        return [], []
    jobs = planned(sorted(wanted), arguments)
    same = {output for job in jobs for output in job.outputs if output in wanted and _ran(job)}
    again = {output for job in jobs for output in job.outputs if not set(job.outputs) <= wanted}
    kept = same - again
    return sorted(kept), sorted(wanted - kept)


def record(outputs: Sequence[str], arguments: Sequence[str]) -> None:
    """Let Snakemake record outputs as made now, so that its triggers know what they were made with.

    Raises:
        InputError: with Snakemake's own words where it refuses.
    """
    if outputs:
        _snakemake(["--touch", "--force", *outputs, "--cores", "1", "--quiet", "all", *arguments])


def planned(outputs: Sequence[str], arguments: Sequence[str]) -> list[Planned]:
    """Return the jobs that Snakemake would run to make these outputs again, and what else it thinks they need."""
    told = _snakemake(["-n", "-p", "--force", *outputs, "--cores", "1", *arguments])
    jobs = []
    for block in re.split(r"\n(?=(?:local)?rule \S+:\n)", told)[1:]:
        fields = dict(re.findall(r"^    (output|log): (.*)$", block, flags=re.MULTILINE))
        shell = re.search(r"^Shell command: (.*)$", block, flags=re.MULTILINE)
        if "output" in fields and shell is not None:
            jobs.append(Planned(tuple(fields["output"].split(", ")), fields.get("log", ""), shell[1]))
    return jobs


def words_of(command: str) -> tuple[list[str], str]:
    """Return the words that a shell command gives to its module, and the hash over the code behind it."""
    text, _, code = command.rpartition(" # code ")
    words = shlex.split(re.sub(r" 2>>? \S+$", "", text))
    return words[words.index("-m") + 1 :], code.strip()


def _ran(job: Planned) -> bool:
    """Whether the last start in a job's log is of the command that Snakemake would run now."""
    try:
        lines = Path(job.log).read_text(encoding="utf-8", errors="replace").splitlines()
        words, code = words_of(job.command)
    except (OSError, ValueError):
        return False
    starts = [line.partition(STARTED)[2] for line in lines if STARTED in line]
    return bool(starts) and starts[-1] == f"{code} {shlex.join(words)}"


def _snakemake(arguments: Sequence[str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments, "--nolock", "--ignore-incomplete"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InputError(f"snakemake {shlex.join(arguments)}: {' '.join(done.stdout.split())[-400:]}")
    return done.stdout
