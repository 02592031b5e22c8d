"""Say what would go wrong with a study, before anything is spent.

Looks at the study file, data files and their languages, prompts, models, hub access and tokens, disk, GPUs, SLURM,
installed packages, and, where shards are already made, whether the mixes can be met.
"""

import argparse
from collections.abc import Callable, Iterator

from rich.table import Table
from rich.text import Text

from posologie.cli import check_language, checks
from posologie.cli.checks import OK, PROBLEM, WARNING, Finding
from posologie.cli.places import add_study, console, print_json, study_of
from posologie.config.study import Study

CHECKS: dict[str, Callable[[Study], Iterator[Finding]]] = {
    "environment": checks.environment,
    "data": checks.data,
    "languages": check_language.languages,
    "prompts and ratings": checks.other_files,
    "models": checks.models,
    "keys": checks.keys,
    "mixes": checks.mixes,
    "GPUs": checks.gpus,
    "engines": checks.engines,
    "disk": checks.disk,
    "SLURM": checks.slurm,
}
_STYLES = {OK: "green", WARNING: "yellow", PROBLEM: "red"}


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `check`."""
    add_study(arguments)
    arguments.add_argument("--offline", action="store_true", help="do not ask the hub")
    arguments.add_argument(
        "--gpu", action="store_true", help="try the GPUs of this machine instead, in about a minute; reads no study"
    )


def _of_gpus() -> list[tuple[str, Finding]]:
    from posologie.cli import gpu  # torch takes seconds to import

    return list(gpu.findings())


def _of_study(given: argparse.Namespace) -> list[tuple[str, Finding]]:
    study = study_of(given)
    found = [("study file", Finding(OK, f"{given.configfile}: study {study.study}"))]
    found += [(name, finding) for name, check in CHECKS.items() for finding in check(study)]
    if not given.offline:
        found += [("hub", finding) for finding in checks.hub(study)]
    return found


def answer(given: argparse.Namespace) -> int:
    """Print every finding; the exit code is 1 if there is a problem."""
    found = _of_gpus() if given.gpu else _of_study(given)
    problems = sum(finding.state == PROBLEM for _, finding in found)
    if given.json:
        print_json([{"check": name, "state": finding.state, "told": finding.told} for name, finding in found])
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for _ in range(3):
            table.add_column(overflow="fold")
        for name, finding in found:
            table.add_row(Text(finding.state, style=_STYLES[finding.state]), name, Text(finding.told))
        console().print(table)
        console().print(
            f"\n{problems} problem{'' if problems == 1 else 's'}." if problems else "\nNothing stands in the way."
        )
    return 1 if problems else 0
