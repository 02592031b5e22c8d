"""The jobs that Snakemake would run, as a dry run of it prints them."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from posologie.running.errors import InputError


@dataclass(frozen=True)
class Job:
    """One job of a dry run.

    Attributes:
        local: run by Snakemake itself, on the machine where it was started.
        minutes, mem_mb, gpus, threads: what it asks for at the first attempt.
        reason: why Snakemake would run it, in Snakemake's words.
    """

    rule: str
    wildcards: Mapping[str, str]
    local: bool
    threads: int
    mem_mb: int
    minutes: int
    gpus: int
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    reason: str = ""


# A dry run does not say which rules are local, so they are printed before it; a rule's message would stand in place of
# its name and resources, so there are none. Apart from this it is Snakemake as it is.
_LOCAL = "local rules:"
_NO_RULE = re.compile(r"No rule to produce (.+?) \(if you use input functions")
_DRY_RUN = f"""
import sys
from snakemake import cli, rules, workflow
rules.Rule.message = property(lambda rule: None, lambda rule, text: None)
execute = workflow.Workflow.execute
def announced(self, *arguments, **options):
    print("{_LOCAL}", *sorted(self._localrules), flush=True)
    return execute(self, *arguments, **options)
workflow.Workflow.execute = announced
sys.argv[0] = "snakemake"
cli.main()
"""


def jobs(arguments: Sequence[str]) -> list[Job]:
    """Return the jobs that Snakemake would run, from a dry run with these arguments.

    Raises:
        InputError: with Snakemake's own words where it cannot plan.
    """
    command = [sys.executable, "-c", _DRY_RUN, "-n", "--nolock", "--cores", "1024", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        said = done.stdout.strip().splitlines()[-1]
        if unknown := _NO_RULE.match(said):
            raise InputError(f"{unknown[1]}: no job of the study makes such a file")
        raise InputError(f"snakemake {shlex.join(arguments)}: {said}")
    return list(jobs_in(done.stdout))


def jobs_in(printed: str) -> Iterable[Job]:
    """Yield the jobs in what a dry run printed, without targets that only gather."""
    local = {name for line in re.findall(rf"^{_LOCAL} (.*)$", printed, flags=re.MULTILINE) for name in line.split()}
    for block in re.split(r"\n(?=(?:local)?rule \S+:\n|checkpoint \S+:\n|localcheckpoint \S+:\n)", printed)[1:]:
        head = re.match(r"(local)?(?:rule|checkpoint) (\S+):", block)
        fields = dict(re.findall(r"^    (\w+): (.*)$", block.split("\n\n")[0], flags=re.MULTILINE))
        if head is None or "output" not in fields:
            continue
        asked = dict(pair.split("=", 1) for pair in fields.get("resources", "").split(", ") if "=" in pair)
        yield Job(
            rule=head[2],
            wildcards=dict(pair.split("=", 1) for pair in fields.get("wildcards", "").split(", ") if "=" in pair),
            local=head[2] in local,
            threads=int(fields.get("threads", "1")),
            mem_mb=_number(asked.get("mem_mb")),
            minutes=_number(asked.get("runtime")),
            gpus=_number(asked.get("gpu")),
            inputs=tuple(fields.get("input", "").split(", ")),
            outputs=tuple(fields["output"].split(", ")),
            reason=fields.get("reason", ""),
        )


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0
