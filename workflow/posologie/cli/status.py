"""Show which files of a study are done, stale, running and missing, and how much time is left.

Done means present; stale means out of date with the study file or the code; running and stopped come from the progress
files below work/, for local and SLURM jobs alike. For each job of this folder in SLURM's queue, the state, the reason
and, if it would wait for ever, the command that helps are shown; similar jobs share a row. The error of the newest log
that ends with one is shown as the last problem. The time left assumes that jobs run one after another, and that missing
ones take as long as the finished ones of their stage. Artifacts that the study file no longer uses, such as those of a
mix that was removed, are named; nothing deletes them.
"""

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from posologie.backends.spending import spent_below
from posologie.cli.artifacts import Artifact, artifacts, leftovers
from posologie.cli.places import add_study, console, duration, print_json, study_of
from posologie.cli.running import Job, last_problem, queue, unfinished
from posologie.cli.stale import stale
from posologie.config.study import Study
from posologie.records.files import read_json
from posologie.running.errors import InputError

_MISSING_SHOWN = 8


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `status`."""
    add_study(arguments)
    arguments.add_argument("--watch", action="store_true", help="keep looking until the study is done or ^C")
    arguments.add_argument("--every", type=float, default=2.0, metavar="SECONDS", help="how often (default: 2)")


def answer(options: argparse.Namespace) -> int:
    """Print the state; the exit code is 1 if a job stopped before it was done, or waits for ever."""
    study = study_of(options)
    state = state_of(study)
    if options.json:
        print_json(state)
    elif not options.watch:
        console().print(_shown(state))
    else:
        with Live(_shown(state), console=console(), auto_refresh=False) as live:
            while not state["finished"]:
                time.sleep(options.every)
                state = state_of(study)
                live.update(_shown(state), refresh=True)
    return 1 if _stuck(state) or any(job["state"] == "stopped" for job in state["jobs"]) else 0


def _stuck(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the jobs in SLURM's queue that will not start by themselves."""
    return [job for job in state["queue"] if job["helps"]]


def state_of(study: Study) -> dict[str, Any]:
    """Return the state of a study as JSON values."""
    everything = artifacts(study)
    missing = [artifact for artifact in everything if not artifact.done and not artifact.optional]
    jobs = [job for job in unfinished(Path(study.roots.work) / study.study) if _is_wanted(job, missing)]
    queued, unasked = queue(Path.cwd())
    old = stale(study, everything)
    stages = []
    for stage in dict.fromkeys(artifact.stage for artifact in everything):
        here = [artifact for artifact in everything if artifact.stage == stage]
        lacking = [artifact.name for artifact in here if not artifact.done]
        behind = [artifact.name for artifact in here if f"{stage}/{artifact.name}" in old]
        counts = {"done": len(here) - len(lacking), "total": len(here), "missing": lacking, "stale": behind}
        stages.append({"stage": stage, **counts, "optional": all(artifact.optional for artifact in here)})
    return {
        "study": study.study,
        "finished": not missing and not old,
        "stale": old,
        "left_over": leftovers(study, everything),
        "stages": stages,
        "jobs": [asdict(job) for job in jobs],
        "queue": [asdict(job) for job in queued],
        "queue_unknown": unasked,
        "problem": last_problem(Path(study.roots.work) / study.study),
        "seconds_left": _seconds_left(everything, jobs),
        "spending": [asdict(account) for account in spent_below(Path(study.roots.work) / study.study)],
    }


def _is_wanted(job: Job, missing: Sequence[Artifact]) -> bool:
    """Return whether a job works on an artifact that is still missing, and not on one that another job made later."""
    kind, _, name = job.name.partition("/")
    stage = {"training": "adapters", "prediction": "predictions"}.get(kind)
    names = [artifact.name for artifact in missing if artifact.stage == stage]
    return stage is None or any(f"{artifact}/".startswith(f"{name}/") for artifact in names)


def _seconds_left(everything: Sequence[Artifact], jobs: Sequence[Job]) -> float | None:
    """Return how long the missing trainings and predictions take, one after another; None if unknown."""
    total = 0.0
    for stage, kind in (("adapters", "training/"), ("predictions", "prediction/")):
        here = [artifact for artifact in everything if artifact.stage == stage]
        running = [job for job in jobs if job.name.startswith(kind) and job.state == "running" and job.left is not None]
        waiting = sum(not artifact.done for artifact in here) - len(running)
        total += sum(job.left or 0.0 for job in running)
        if waiting > 0:
            finished = [seconds for artifact in here if (seconds := _seconds(artifact)) is not None]
            if not finished:
                return None
            total += waiting * sum(finished) / len(finished)
    return total


def _seconds(artifact: Artifact) -> float | None:
    if artifact.record is None or not artifact.record.is_file():
        return None
    try:
        return float(read_json(artifact.record)["seconds"])
    except (InputError, KeyError, TypeError):
        return None


def _shown(state: dict[str, Any]) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    for title in ("stage", "done", "", "missing or stale"):
        table.add_column(
            title, overflow="ellipsis", no_wrap=True, min_width=None if title == "missing or stale" else 11
        )
    for stage in state["stages"]:
        missing = stage["missing"]
        text = ", ".join(missing[:_MISSING_SHOWN]) + (" …" if len(missing) > _MISSING_SHOWN else "")
        if stage["stale"]:
            text = "; ".join([*([text] if text else []), f"{len(stage['stale'])} stale"])
        if stage["optional"] and missing:
            text = f"(only snakemake {stage['stage']} makes them) {text}"
        bar = ProgressBar(total=max(stage["total"], 1), completed=stage["done"], width=16)
        table.add_row(stage["stage"], f"{stage['done']} of {stage['total']}", bar, text)
    parts: list[RenderableType] = [Text(f"Study {state['study']}", style="bold"), table]
    if state["jobs"]:
        jobs = Table(box=None, pad_edge=False)
        for title in ("job", "state", "progress", "left", "where"):
            jobs.add_column(title, overflow="fold")
        for job in state["jobs"]:
            time_left = "" if job["left"] is None or job["state"] == "stopped" else duration(job["left"])
            style = "red" if job["state"] == "stopped" else ""
            progress = f"{job['done']:,} of {job['total']:,} {job['unit']}"
            jobs.add_row(job["name"], Text(job["state"], style=style), progress, time_left, job["where"])
        parts += [Text(""), jobs]
    if state["queue"]:
        queued = Table(box=None, pad_edge=False)
        for title in ("SLURM job", "what", "state", "reason", "what helps"):
            queued.add_column(title, overflow="fold")
        for job, what, word, reason, helps in _grouped(state["queue"]):
            queued.add_row(job, what, Text(word, style="red" if helps else ""), reason, helps)
        parts += [Text(""), queued]
    if state["spending"]:
        spent = Table(box=None, pad_edge=False)
        for title in ("asked by", "requests", "tokens", "money", "of it wasted: tokens", "money"):
            spent.add_column(title, justify="left" if title == "asked by" else "right")
        for account in state["spending"]:
            counts = (f"{account[key]:,}" for key in ("requests", "tokens"))
            wasted = (f"{account['wasted_tokens']:,}", _money(account["wasted_money"]))
            spent.add_row(account["asker"], *counts, _money(account["money"]), *wasted)
        parts += [Text(""), spent]
    if state["queue_unknown"]:
        parts += [Text(""), Text(f"SLURM could not be asked: {state['queue_unknown']}", style="yellow")]
    if unused := state["left_over"]:
        named = ", ".join(unused[:_MISSING_SHOWN]) + (" …" if len(unused) > _MISSING_SHOWN else "")
        counted = "1 file" if len(unused) == 1 else f"{len(unused):,} files"
        parts += [Text(""), Text(f"The study no longer uses {counted} that exist: {named}")]
    if state["problem"]:
        parts += [Text(""), Text(f"Last problem: {state['problem']}", style="red", no_wrap=True, overflow="ellipsis")]
    parts += [Text(""), Text(_verdict(state))]
    return Group(*parts)


def _grouped(queue: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield the rows of the queue: jobs of one rule, state and reason are one, unless something helps a single one."""
    rows: dict[tuple[str, ...], list[Mapping[str, str]]] = {}
    for job in queue:
        alone = (job["job"],) if job["helps"] else ()
        rows.setdefault((job["what"].split(" ")[0], job["state"], job["reason"], *alone), []).append(job)
    for (rule, word, reason, *_), jobs in rows.items():
        if len(jobs) == 1:
            yield jobs[0]["job"], jobs[0]["what"], word, reason, jobs[0]["helps"]
        else:
            yield f"{len(jobs)} jobs", rule, word, reason, ""


def _money(amount: float) -> str:
    return f"{amount:,.2f}" if amount else "–"


def _verdict(state: dict[str, Any]) -> str:
    if state["finished"]:
        return "Done."
    if state["stale"] and not any(stage["missing"] for stage in state["stages"] if not stage["optional"]):
        name, reason = next(iter(state["stale"].items()))
        return (
            f"{len(state['stale'])} finished files do not match the study file and the code, first {name} "
            f"({reason}). The next run rebuilds them; snakemake -n -q rules lists its jobs."
        )
    if stuck := _stuck(state):
        return (
            f"{len(stuck)} SLURM job{' waits' if len(stuck) == 1 else 's wait'} for ever: "
            f"{'; '.join(job['helps'] for job in stuck[:_MISSING_SHOWN])}"
        )
    if any(job["state"] == "stopped" for job in state["jobs"]):
        return (
            "A job stopped before it was done; start Snakemake again with the same command, and it continues from"
            " there."
        )
    if state["seconds_left"] is None:
        return "The time left is not known until the first training and prediction are done."
    return f"About {duration(state['seconds_left'])} of training and prediction left, one job after another."
