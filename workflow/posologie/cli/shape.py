"""The shape of a run: Snakemake's jobs as a dry run lists them, and how long such jobs took in earlier runs."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from posologie.config.plan import bundles
from posologie.config.study import Study
from posologie.errors import InputError
from posologie.files import read_json


@dataclass(frozen=True)
class Job:
    """One job of a dry run.

    Attributes:
        local: run by Snakemake itself, on the machine where it was started.
        minutes, mem_mb, gpus, threads: what it asks for at the first attempt.
    """

    rule: str
    wildcards: Mapping[str, str]
    local: bool
    threads: int
    mem_mb: int
    minutes: int
    gpus: int


def jobs(arguments: Sequence[str]) -> list[Job]:
    """Return the jobs that Snakemake would run, from a dry run with these arguments.

    Raises:
        InputError: with Snakemake's own words where it cannot plan.
    """
    command = [sys.executable, "-c", _DRY_RUN, "-n", "--nolock", "--cores", "1024", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise InputError(f"snakemake {shlex.join(arguments)}: {done.stdout.strip().splitlines()[-1]}")
    return list(_jobs(done.stdout))


# A dry run does not say which rules are local, so they are printed before it; a rule's message would stand in place of
# its name and resources, so there are none. Apart from this it is Snakemake as it is.
_LOCAL = "local rules:"
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


def _jobs(told: str) -> Iterable[Job]:
    local = {name for line in re.findall(rf"^{_LOCAL} (.*)$", told, flags=re.MULTILINE) for name in line.split()}
    for block in re.split(r"\n(?=(?:local)?rule \S+:\n|checkpoint \S+:\n|localcheckpoint \S+:\n)", told)[1:]:
        head = re.match(r"(local)?(?:rule|checkpoint) (\S+):", block)
        fields = dict(re.findall(r"^    (\w+): (.*)$", block.split("\n\n")[0], flags=re.MULTILINE))
        if head is None or "output" not in fields:  # a target that only gathers
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
        )


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0


class Records:
    """The run records below some folders of results: what says how long a job takes."""

    def __init__(self, roots: Iterable[Path]) -> None:
        """Read the records of adapters and predictions."""
        roots = list(roots)
        self.trainings = [_read(file) for root in roots for file in sorted(root.glob("adapters/**/run.json"))]
        self.predictions = [_read(file) for root in roots for file in sorted(root.glob("predictions/**/*.run.json"))]

    def __len__(self) -> int:
        return len(self.trainings) + len(self.predictions)

    def seconds(self, study: Study, job: Job) -> float | None:
        """Return how long a job should take by the earlier runs of the same backbone; None where none is known."""
        if job.rule == "train_adapter":
            return self._training(study, job)
        if job.rule.startswith("predict_"):
            return self._prediction(study, job)
        return None

    def _training(self, study: Study, job: Job) -> float | None:
        """Passes over an example, at the median pace of earlier trainings, and what those took besides."""
        mix = study.mixes[job.wildcards["mix"]]
        rates, besides, sizes = [], [], []
        for record in self.trainings:
            if record.get("spec", {}).get("backbone") != job.wildcards["backbone"]:
                continue
            used, epochs = record["items"]["train"]["used"], record["spec"]["recipe"]["epochs"]
            devices = max(1, len(record["hardware"]["gpus"]))
            rates.append(record["training_seconds"] * devices / (used * epochs))
            besides.append(max(0.0, record["seconds"] - record["training_seconds"]))
            sizes.append(used)
        if not rates:
            return None
        size = mix.size if isinstance(mix.size, int) else median(sizes)
        passes = size * study.training.recipe.epochs
        return float(passes * median(rates) / max(1, job.gpus) + median(besides))

    def _prediction(self, study: Study, job: Job) -> float | None:
        """The median of earlier predictions of the same backbone on the same suites."""
        backbone = job.wildcards["model"].partition("/")[0]
        suites = bundles(study).get(job.rule.removeprefix("predict_"), ())
        found = {}
        for record in self.predictions:
            spec = record.get("spec", {})
            model = str(spec.get("model", ""))
            if model.partition("/")[0] == backbone and set(spec.get("suites", {})) == set(suites):
                found[record["started"], model] = float(record["seconds"])  # one record for each suite of a job
        return median(found.values()) if found else None


def _read(file: Path) -> dict[str, Any]:
    record: dict[str, Any] = read_json(file)
    return record
