"""Print the shape of a run before it starts: how many jobs of which rule, what each asks for, and how long they take.

A dry run counts the jobs; nothing is run. Times come from the run records of earlier studies below results/: training
by its passes over an example, prediction by the same suites, both for the same backbone. What has no record is bounded
by the time that its rule asks for. The exit code is 1 if a job on the cluster is expected to last less than a minute.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table
from rich.text import Text

from posologie.cli.places import add_study, console, duration, print_json, study_of
from posologie.cli.shape import Job, Records, jobs
from posologie.config.study import Study
from posologie.files import read_text

SHORT = 60.0
"""Seconds below which a job is not worth its place in a queue."""


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `plan`."""
    add_study(arguments)
    arguments.add_argument("targets", nargs="*", metavar="TARGET", help="what to make (default: all of the study)")
    arguments.add_argument("--profile", default="profiles/slurm", help="of Snakemake (default: profiles/slurm)")
    arguments.add_argument(
        "--records", nargs="+", type=Path, metavar="FOLDER", help="results to learn from (default: all in results/)"
    )


def answer(given: argparse.Namespace) -> int:
    """Print the plan."""
    study = study_of(given)
    arguments = [*given.targets, "--profile", given.profile, "--configfile", given.configfile]
    found = jobs([*arguments, *(["--config", *given.config] if given.config else [])])
    records = Records(given.records or sorted(path for path in Path("results").glob("*") if path.is_dir()))
    plan = plan_of(study, found, records, cluster=uses_cluster(given.profile))
    if given.json:
        print_json(plan)
    else:
        console().print(_table(plan))
        for line in _told(plan, len(records)):
            console().print(line)
    return 1 if plan["short"] else 0


def plan_of(study: Study, found: Sequence[Job], records: Records, *, cluster: bool = True) -> dict[str, Any]:
    """Return the plan as JSON values: one entry for each rule, and the sums over them."""
    rules: list[dict[str, Any]] = []
    for rule in dict.fromkeys(job.rule for job in found):
        mine = [job for job in found if job.rule == rule]
        known = [records.seconds(study, job) for job in mine]
        seconds = [one for one in known if one is not None]
        rules.append(
            {
                "rule": rule,
                "jobs": len(mine),
                "where": "local" if mine[0].local else "GPU" if mine[0].gpus else "CPU",
                "gpus": mine[0].gpus,
                "threads": mine[0].threads,
                "mem_mb": mine[0].mem_mb,
                "minutes": mine[0].minutes,
                "seconds": None if len(seconds) < len(mine) else sum(seconds) / len(seconds),
            }
        )
    gpu = [rule for rule in rules if rule["where"] == "GPU"]
    estimated = [rule["jobs"] * rule["gpus"] * rule["seconds"] / 3600 for rule in gpu if rule["seconds"] is not None]
    unknown = [rule["rule"] for rule in gpu if rule["seconds"] is None]
    return {
        "study": study.study,
        "cluster": cluster,
        "rules": rules,
        "cluster_jobs": sum(rule["jobs"] for rule in rules if rule["where"] != "local") if cluster else 0,
        "jobs": sum(rule["jobs"] for rule in rules),
        "gpu_jobs": sum(rule["jobs"] for rule in gpu),
        "gpu_hours_asked": sum(rule["jobs"] * rule["gpus"] * rule["minutes"] / 60 for rule in gpu),
        "gpu_hours_estimated": sum(estimated) if estimated else None,
        "without_record": unknown,
        "short": [
            rule["rule"]
            for rule in rules
            if cluster and rule["where"] != "local" and rule["seconds"] is not None and rule["seconds"] < SHORT
        ],
    }


def uses_cluster(profile: str) -> bool:
    """Return whether a profile hands jobs to a scheduler: whether it names an executor that is not Snakemake itself.

    A profile that is in no folder here, but among the user's own, is taken for one that does.
    """
    files = [file for name in ("profile", "config") for file in Path(profile).glob(f"{name}*.yaml")]
    if not files:
        return True
    content = yaml.safe_load(read_text(files[0])) or {}
    return content.get("executor", "local") not in ("local", "dryrun", "touch")


def _table(plan: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("rule", "jobs", "where", "GPUs", "threads", "memory", "asks for", "expected"):
        table.add_column(title, justify="left" if title in ("rule", "where") else "right")
    for rule in plan["rules"]:
        local = rule["where"] == "local"
        expected = "" if rule["seconds"] is None else duration(rule["seconds"])
        table.add_row(
            rule["rule"],
            str(rule["jobs"]),
            rule["where"],
            str(rule["gpus"] or ""),
            "" if local else str(rule["threads"]),
            "" if local else f"{rule['mem_mb'] / 1000:.0f} GB",
            "" if local else duration(60 * rule["minutes"]),
            Text(expected, style="red" if rule["rule"] in plan["short"] else ""),
        )
    return table


def _told(plan: dict[str, Any], records: int) -> list[str]:
    where = f"{plan['cluster_jobs']} jobs on the cluster" if plan["cluster"] else f"{plan['jobs']} jobs on this machine"
    lines = [f"\n{where}, {plan['gpu_jobs']} of them on GPUs."]
    if plan["gpu_hours_estimated"] is not None:
        rest = f", without {', '.join(plan['without_record'])}" if plan["without_record"] else ""
        lines.append(f"About {plan['gpu_hours_estimated']:.1f} GPU-hours by {records} run records{rest}.")
    if plan["without_record"]:
        lines.append(
            f"No earlier run of this backbone tells how long {', '.join(plan['without_record'])} take;"
            f" all that is asked for, at the first attempt, is {plan['gpu_hours_asked']:.0f} GPU-hours."
        )
    if plan["short"]:
        lines.append(f"Shorter than a minute: {', '.join(plan['short'])}; such jobs are not worth a queue.")
    return lines
