"""Print the shape of a run before it starts: the jobs of each rule, what each requests, and how long they take.

A dry run counts the jobs; nothing is run. Times come from the run records of earlier studies below results/: training
by its passes over an example, prediction by the same suites, both for the same backbone. Jobs without a record are
bounded by the time that their rule requests. The exit code is 1 if a job on the cluster is expected to last less than a
minute.
"""

import argparse
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from rich.table import Table
from rich.text import Text

from posologie.cli.dry_run import Job, jobs
from posologie.cli.places import add_study, console, duration, print_json, study_of
from posologie.config.job_specs import training_spec
from posologie.config.plan import bundles
from posologie.config.study import Study
from posologie.records.files import read_json, read_text


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
        seconds_of = {}
        for record in self.predictions:
            spec = record.get("spec", {})
            model = str(spec.get("model", ""))
            if model.partition("/")[0] == backbone and set(spec.get("suites", {})) == set(suites):
                seconds_of[record["started"], model] = float(record["seconds"])  # one record for each suite of a job
        return median(seconds_of.values()) if seconds_of else None


def _read(file: Path) -> dict[str, Any]:
    record: dict[str, Any] = read_json(file)
    return record


SHORT = 60.0
"""Seconds below which a job is not worth its place in a queue."""


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `plan`."""
    add_study(arguments)
    arguments.add_argument("targets", nargs="*", metavar="TARGET", help="what to make (default: all of the study)")
    arguments.add_argument("--profile", default="profiles/slurm", help="Snakemake profile (default: profiles/slurm)")
    arguments.add_argument(
        "--memory",
        nargs="?",
        type=float,
        const=0.0,
        metavar="GB",
        help="estimate the memory of each training for its longest batch, and whether it fits into GB gigabytes "
        "(default: those of the profile's gpu_model)",
    )
    arguments.add_argument(
        "--records", nargs="+", type=Path, metavar="FOLDER", help="results to learn from (default: all in results/)"
    )


def answer(options: argparse.Namespace) -> int:
    """Print the plan."""
    study = study_of(options)
    arguments = [*options.targets, "--profile", options.profile, "--configfile", options.configfile]
    planned = jobs([*arguments, *(["--config", *options.config] if options.config else [])])
    records = Records(options.records or sorted(path for path in Path("results").glob("*") if path.is_dir()))
    plan = plan_of(study, planned, records, cluster=uses_cluster(options.profile))
    if options.memory is not None:
        plan["memory"] = memory_of(study, options.memory or gpu_gigabytes(options.profile))
    if options.json:
        print_json(plan)
    else:
        console().print(_table(plan))
        for line in _sentences(plan, len(records)):
            console().print(line)
    return 1 if plan["short"] or any(footprint["fits"] is False for footprint in plan.get("memory", ())) else 0


def memory_of(study: Study, gigabytes: float | None) -> list[dict[str, Any]]:
    """Return what a training of each backbone takes on its device, as JSON values in bytes.

    Args:
        gigabytes: memory of the GPU; whether a training fits is not said if left out.
    """
    entries = []
    for name, backbone in study.backbones.items() if study.mixes else ():
        folder = Path(study.roots.models) / backbone.folder_name()
        entry: dict[str, Any] = {"backbone": name, "micro_batch": study.devices.training_micro_batch, "fits": None}
        if (folder / "config.json").is_file():
            from posologie.training.footprint import footprint  # torch is loaded where it is asked for alone

            spec = training_spec(study, name, next(iter(study.mixes)), study.training.seeds[0])
            devices = study.devices
            shares = devices.gpus_per_training_job * devices.nodes_per_training_job if devices.shard_backbone else 1
            taken = footprint(folder, spec, devices.training_micro_batch, processes=shares)
            entry |= {**asdict(taken), "peak": taken.peak, "shares": shares}
            if gigabytes is not None:
                entry |= {"gpu": int(gigabytes * 1e9), "fits": taken.peak <= gigabytes * 1e9}
        entries.append(entry)
    return entries


_GIGABYTES = {"v100": 16, "t4": 16, "l4": 24, "a10": 24, "a30": 24, "a40": 48, "l40": 48, "l40s": 48, "h100": 80}
_GIGABYTES |= {"a100": 40, "h200": 141, "b200": 180, "a6000": 48, "rtx_4090": 24, "rtx_3090": 24}
"""Gigabytes of GPUs by name; of two sizes the smaller, unless the name says it (a100-80gb)."""


def gpu_gigabytes(profile: str) -> float | None:
    """Return the gigabytes of the GPU model that a profile asks for; None where it names none that is known."""
    files = [file for name in ("profile", "config") for file in Path(profile).glob(f"{name}*.yaml")]
    content = (yaml.safe_load(read_text(files[0])) or {}) if files else {}
    rules = content.get("set-resources") or {}
    resources = (rules.get("train_adapter") or {}) if isinstance(rules, dict) else {}
    named = str(resources.get("gpu_model") or (content.get("default-resources") or {}).get("gpu_model") or "").lower()
    if stated := re.search(r"(\d+)\s*gb?\b", named):
        return float(stated[1])
    model = re.sub(r"^(nvidia[-_ ])?(tesla[-_ ])?", "", named.strip("\"'"))
    known = next((size for name, size in _GIGABYTES.items() if re.fullmatch(rf"{name}([-_ ].*)?", model)), None)
    return None if known is None else float(known)


def plan_of(study: Study, planned: Sequence[Job], records: Records, *, cluster: bool = True) -> dict[str, Any]:
    """Return the plan as JSON values: one entry for each rule, and the sums over them."""
    rules: list[dict[str, Any]] = []
    for rule in dict.fromkeys(job.rule for job in planned):
        mine = [job for job in planned if job.rule == rule]
        known = [records.seconds(study, job) for job in mine]
        seconds = [estimate for estimate in known if estimate is not None]
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


def _memory_sentence(taken: dict[str, Any]) -> str:
    """Return one line about the memory of a training."""
    if "peak" not in taken:
        return f"{taken['backbone']}: not fetched yet, so the memory of a training is not known; make `backbones` first"
    parts = " + ".join(f"{taken[name] / 1e9:.1f} {name}" for name in ("weights", "state", "activations"))
    smaller = (
        "take more GPUs (devices.gpus_per_training_job)"
        if taken["shares"] > 1
        else "set training.recipe.quantization or devices.shard_backbone"
    )
    fits = {None: "", True: f", fits into {taken.get('gpu', 0) / 1e9:.0f} GB"}
    fits[False] = (
        f", does not fit into {taken.get('gpu', 0) / 1e9:.0f} GB; lower devices.training_micro_batch (now"
        f" {taken['micro_batch']}) or training.recipe.max_length, or {smaller}"
    )
    shared = (
        f"weights are an adapter and 1/{taken['shares']} of the backbone, which {taken['shares']} GPUs share;"
        " activations include the layers that are gathered; "
        if taken["shares"] > 1
        else ""
    )
    return (
        f"{taken['backbone']}: {taken['peak'] / 1e9:.1f} GB at the longest batch ({parts}; {shared}state is gradients"
        f" and moments; without the CUDA context){fits[taken['fits']]}"
    )


def _sentences(plan: dict[str, Any], records: int) -> list[str]:
    where = f"{plan['cluster_jobs']} jobs on the cluster" if plan["cluster"] else f"{plan['jobs']} jobs on this machine"
    lines = [_memory_sentence(footprint) for footprint in plan.get("memory", ())]
    lines += [f"\n{where}, {plan['gpu_jobs']} of them on GPUs."]
    if plan["gpu_hours_estimated"] is not None:
        rest = f", without {', '.join(plan['without_record'])}" if plan["without_record"] else ""
        lines.append(f"About {plan['gpu_hours_estimated']:.1f} GPU-hours by {records} run records{rest}.")
    if plan["without_record"]:
        lines.append(
            f"No earlier run of this backbone shows how long {', '.join(plan['without_record'])} take;"
            f" the total requested at the first attempt is {plan['gpu_hours_asked']:.0f} GPU-hours."
        )
    if plan["short"]:
        lines.append(f"Shorter than a minute: {', '.join(plan['short'])}; such jobs are not worth queueing.")
    return lines
