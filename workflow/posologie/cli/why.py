"""Say why a file would be rebuilt: the spec, code module or input that changed since it was made.

  posologie why results/demo/adapters/tiny/NAT/seed-1/adapter_model.safetensors

A dry run of Snakemake decides; nothing is run. If the file is rebuilt only because others are, the jobs where the chain
begins are shown, each with its own reason.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from posologie.cli.dry_run import Job, jobs
from posologie.cli.places import add_study, console, print_json, relative, study_of
from posologie.running.code_digest import module_digests
from posologie.running.planning import kept_modules
from posologie.running.seals import read_seal, seal_path

_FOLLOWS = "Input files updated by another job: "
_CODE = "Code has changed since last execution"
_PARAMS = "Params have changed since last execution: "
_MISSING = "Missing output files: "
_SEALED_CODE = "code: "  # among differences of a spec: the digests, which `_CODE` is said beside
_SHOWN = 3


@dataclass(frozen=True)
class Cause:
    """Why jobs of one rule run again by themselves.

    Attributes:
        jobs: their wildcards, as Snakemake prints them.
    """

    rule: str
    why: str
    jobs: list[str]


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `why`."""
    arguments.add_argument("file", type=Path, metavar="FILE", help="a file below results/<study>/")
    add_study(arguments)


def answer(options: argparse.Namespace) -> int:
    """Print the reasons."""
    study, file = study_of(options), relative(options.file).as_posix()
    overrides = ["--config", *options.config] if options.config else []
    planned = jobs([file, "--configfile", options.configfile, *overrides])
    causes = causes_of(planned, file, Path(study.roots.work) / study.study)
    if options.json:
        print_json({"file": file, "jobs": len(planned), "causes": [asdict(cause) for cause in causes]})
        return 0
    out = console()
    if not planned:
        out.print(f"{file} is as the study and the code plan it: nothing rebuilds it.", markup=False)
        return 0
    out.print(f"{file}: {len(planned)} {'job' if len(planned) == 1 else 'jobs'} would run, because of", markup=False)
    for cause in causes:
        out.print(f"  {_named(cause)}: {cause.why}", markup=False)
    return 0


def causes_of(planned: Sequence[Job], file: str, work: Path) -> list[Cause]:
    """Return the reasons that do not follow from other jobs, of those behind a file; alike ones together.

    Args:
        planned: the jobs of a dry run.
        work: the study's work folder.
    """
    made_by = {output: job for job in planned for output in job.outputs}
    causes: dict[tuple[str, str], list[str]] = {}
    for job in _behind(made_by, file):
        for why in reasons_of(job, work):
            named = ", ".join(f"{name}={value}" for name, value in job.wildcards.items())
            causes.setdefault((job.rule, why), []).append(named)
    return [Cause(rule, why, sorted(filter(None, named))) for (rule, why), named in causes.items()]


def _behind(made_by: Mapping[str, Job], file: str) -> Iterator[Job]:
    """Yield the planned jobs that a file is made by, from the first in the data flow to the last."""
    visited: set[str] = set()

    def visit(path: str) -> Iterator[Job]:
        job = made_by.get(path)
        if job is None or job.outputs[0] in visited:
            return
        visited.add(job.outputs[0])
        for read in job.inputs:
            yield from visit(read)
        yield job

    yield from visit(file)


def reasons_of(job: Job, work: Path) -> list[str]:
    """Return why a job runs by itself, with the modules that changed; nothing where it only follows other jobs."""
    reasons = []
    for part in job.reason.split("; "):
        if part.startswith(_MISSING):
            reasons.append("not made yet, or deleted")
        elif part == _CODE:
            reasons.append(_changed_code(job, work))
        elif part and not part.startswith((_FOLLOWS, _SEALED_CODE)):
            reasons.append(part.removeprefix(_PARAMS))
    return reasons


def _changed_code(job: Job, work: Path) -> str:
    """Return which modules behind an artifact are others than when it was made."""
    seal = read_seal(seal_path(job.outputs))
    if seal is None:
        return "code"
    module = seal.identity.module
    then = kept_modules(work, seal.identity.code)
    try:
        now = module_digests(module)
    except ModuleNotFoundError:
        return f"code: {module} no longer exists"
    if then is None:
        return f"code of {module}; which of its {len(now)} modules is not recorded in {work}/code"
    changes = {
        "changed": [name for name in now if name in then and now[name] != then[name]],
        "new": [name for name in now if name not in then],
        "gone": [name for name in then if name not in now],
    }
    changed = "; ".join(f"{', '.join(names)} {what}" for what, names in changes.items() if names)
    return f"code of {module}: {changed or 'its composition'}"


def _named(cause: Cause) -> str:
    if not cause.jobs:
        return cause.rule
    more = f", and {len(cause.jobs) - _SHOWN} more" if len(cause.jobs) > _SHOWN else ""
    return f"{cause.rule} ({'; '.join(cause.jobs[:_SHOWN])}{more})"
