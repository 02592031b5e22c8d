"""Write the partitions of this cluster into a profile, from the output of `sinfo`.

Snakemake's SLURM plugin uses them to choose a partition for each job: for each partition the longest time, and the
threads, memory and GPUs of its largest node. Partitions that are down or drained are left out. Read them before use,
and delete partitions that you may not use. `--out` may be the profile itself or a separate file; only its key
`partitions` is replaced.
"""

import argparse
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from posologie.cli.places import print_json
from posologie.records.files import write_text
from posologie.running.errors import InputError

_SINFO_FORMAT = "%R|%a|%l|%c|%m|%G|%f"
"""Partition, availability, time limit, CPUs, MiB, generic resources and features, one line for each node."""

_GPU = re.compile(r"gpu(?::(?P<model>[^:,()]+))?:(?P<count>\d+)")


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `partitions`."""
    arguments.add_argument("--out", type=Path, metavar="FILE", help="where to write (default: standard output)")
    arguments.add_argument("--only", nargs="+", metavar="NAME", help="only these partitions")


def answer(options: argparse.Namespace) -> int:
    """Print or write the partitions."""
    limits_of = partitions(_sinfo().splitlines())
    if unknown := sorted(set(options.only or ()) - set(limits_of)):
        raise InputError(f"--only {unknown[0]}: no such partition is up; available: {', '.join(sorted(limits_of))}")
    chosen = {name: limits for name, limits in limits_of.items() if not options.only or name in options.only}
    if options.json:
        print_json({"partitions": chosen})
        return 0
    text = yaml.safe_dump({"partitions": chosen}, sort_keys=False)
    if options.out is None:
        print(_HEAD + text, end="")
    else:
        write_text(
            options.out, with_partitions(options.out.read_text(encoding="utf-8") if options.out.exists() else "", text)
        )
        print(f"{options.out}: {len(chosen)} partitions; name it in the profile as slurm-partition-config")
    return 0


_HEAD = """\
# The partitions of this cluster, from `sinfo`: what the largest node of each offers, and the longest time.
# Delete the partitions that you may not use; a job goes to the tightest one that holds what it asks for.
"""


def with_partitions(text: str, block: str) -> str:
    """Return the text of a YAML file with this block in the place of its key `partitions`, or else at its end."""
    replaced, count = _BLOCK.subn(lambda _: block, text, count=1)
    return replaced if count else f"{text.rstrip()}\n\n{_HEAD}{block}".lstrip()


_BLOCK = re.compile(r"^partitions:.*(?:\n(?:[ \t].*|[ \t]*(?=\n[ \t])))*\n?", re.MULTILINE)
"""The key and the lines below it that are indented."""


def _sinfo() -> str:
    if shutil.which("sinfo") is None:
        raise InputError("sinfo: not found; expected SLURM's commands on this machine (is it a login node?)")
    done = subprocess.run(
        ["sinfo", "-h", "-N", "-o", _SINFO_FORMAT], capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode:
        raise InputError(f"sinfo: {done.stderr.strip() or 'failed'}")
    return done.stdout


def partitions(lines: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the limits of each partition, by name, in the order of the lines.

    Args:
        lines: of `sinfo -h -N -o` with `_SINFO_FORMAT`, one for each node of each partition.

    Raises:
        InputError: naming a line that does not have this form.
    """
    limits_of: dict[str, dict[str, Any]] = {}
    for line in lines:
        fields = line.strip().split("|")
        if len(fields) != 7:
            raise InputError(f"sinfo said '{line.strip()}'; expected seven fields: {_SINFO_FORMAT}")
        name, available, limit, cpus, memory, resources, features = fields
        if available != "up":
            continue
        limits = limits_of.setdefault(name, {})
        if (minutes := minutes_of(limit)) is not None:
            limits["max_runtime"] = minutes
        limits["max_threads"] = max(limits.get("max_threads", 0), int(cpus.rstrip("+")))
        # SLURM counts MiB, Snakemake's mem_mb is what the plugin hands over as --mem in the same unit
        limits["max_mem_mb"] = max(limits.get("max_mem_mb", 0), int(memory.rstrip("+")))
        gpus = [(match["model"], int(match["count"])) for match in _GPU.finditer(resources)]
        if gpus:
            limits["max_gpu"] = max(limits.get("max_gpu", 0), sum(count for _, count in gpus))
            models = {model for model, _ in gpus if model}
            if models:
                limits["available_gpu_models"] = sorted(models | set(limits.get("available_gpu_models", ())))
        if features not in ("", "(null)"):
            known = set(limits.get("available_constraints", ()))
            limits["available_constraints"] = sorted(known | set(features.split(",")))
    return limits_of


def minutes_of(limit: str) -> int | None:
    """Return a time limit of SLURM (`days-hours:minutes:seconds` and its short forms) in minutes; None for none."""
    if limit in ("infinite", "UNLIMITED", "n/a"):
        return None
    days, _, clock = limit.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    if days or len(parts) == 3:
        hours, minutes = (*parts, 0)[:2]
    else:
        hours, minutes = 0, parts[0]
    return (int(days or 0) * 24 + hours) * 60 + minutes
