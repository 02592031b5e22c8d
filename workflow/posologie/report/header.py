"""The head of the page: which model was trained on how much, what it was asked, what that cost, when, by which code."""

import importlib.metadata
import json
import subprocess

from posologie.report import composition
from posologie.report.inputs import Inputs
from posologie.report.tables import decimal
from posologie.report.words import counted, joined
from posologie.running.installed import __version__, project


def facts(inputs: Inputs) -> tuple[tuple[str, str], ...]:
    """Return names and values, those that the study has."""
    found = (
        ("Backbone", _backbones(inputs)),
        ("Trained", _trained(inputs)),
        ("Tested", _tested(inputs)),
        ("Cost", _cost(inputs)),
        ("Run", _dates(inputs)),
        ("Program", f"posologie {__version__}{f', commit {known}' if (known := commit()) else ''}"),
    )
    return tuple((name, value) for name, value in found if value)


def _backbones(inputs: Inputs) -> str:
    """Return the backbones, each with the beginning of its revision where a run record has one."""
    names = dict.fromkeys(model.backbone for model in inputs.models if model.backbone)
    known = ((record.model.backbone, record.facts.get("backbone_revision")) for record in inputs.runs)
    revisions = {backbone: revision for backbone, revision in known if revision}
    told = []
    for name in names:
        revision = revisions.get(name)
        told.append(f"{name} (revision {str(revision)[:12]})" if revision else str(name))
    return ", ".join(told)


def _trained(inputs: Inputs) -> str:
    """Return how many mixes and seeds were trained, on how many items."""
    mixes = {model.mix for model in inputs.models if model.mix}
    if not mixes:
        return ""
    seeds = {model.seed for model in inputs.models if model.seed is not None}
    several = f", {counted(len(seeds), 'seed')}" if len(seeds) > 1 else ""
    sizes = [mix.items for mix in composition.mixes(inputs)]
    if not sizes:
        return f"{_plural(len(mixes), 'mix', 'mixes')}{several}"
    size = f"{min(sizes):,}" if min(sizes) == max(sizes) else f"{min(sizes):,} to {max(sizes):,}"
    return f"{_plural(len(mixes), 'mix', 'mixes')} of {size} items{several}"


def _tested(inputs: Inputs) -> str:
    """Return how many items each suite has."""
    told = []
    for suite in inputs.spec.suites:
        rows = [row for name in ("mcqa", "oeq") for row in inputs.rows(name, suite=suite, scope_kind="all", task="all")]
        if rows:
            told.append(f"{suite} {counted(max(int(row.needed('n')) for row in rows), 'item')}")
    return joined(told) if told else ""


def _cost(inputs: Inputs) -> str:
    """Return hours and GPU-hours of the jobs that were measured."""
    rows = inputs.rows("compute")
    hours, gpu_hours = (sum(row.number(column) or 0 for row in rows) for column in ("hours", "gpu_hours"))
    on = f", {decimal(gpu_hours, 1)} GPU-hours" if gpu_hours else " on the CPU"
    return f"{counted(len(rows), 'job')}, {decimal(hours, 1)} hours{on}" if rows else ""


def _dates(inputs: Inputs) -> str:
    """Return the days on which the first and the last recorded job started."""
    days = sorted(str(record.facts["started"])[:10] for record in inputs.runs if record.facts.get("started"))
    return "" if not days else days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"


def _plural(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"


def commit() -> str | None:
    """Return the beginning of the commit that the code is from, with `+` behind it where files were changed since.

    None where neither git nor the installed package's metadata know it.
    """
    try:
        origin = json.loads(importlib.metadata.distribution("posologie").read_text("direct_url.json") or "{}")
    except (importlib.metadata.PackageNotFoundError, ValueError):
        origin = {}
    if known := origin.get("vcs_info", {}).get("commit_id"):
        return str(known)[:12]
    if not (project() / ".git").exists():
        return None
    git = ["git", "-C", str(project())]
    try:
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
