"""The table of what the study cost: the only one that holds measured time, memory and energy."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from posologie.records import layout
from posologie.records.files import read_json
from posologie.running.commands import run
from posologie.running.errors import InputError
from posologie.statistics.spec import ComputeSpec
from posologie.statistics.tables import Latex, table_arguments, write_table

COLUMNS = (
    "stage", "model", "suites", "hours", "gpus", "gpu_hours", "peak_memory_gb", "peak_gpu_memory_gb", "energy_kwh",
    "prompt_tokens", "generated_tokens", "trained_tokens", "processor", "cpus", "gpu", "judge", "money",
    "wasted_tokens", "wasted_money",
)  # fmt: skip
_GB = 1e9
_JOULES_PER_KWH = 3.6e6
LATEX = Latex(
    "What the study cost.",
    index=("stage", "model", "suites"),
    show=("hours", "gpu_hours", "peak_memory_gb", "energy_kwh"),
    digits=3,
)


def main(argv: list[str]) -> None:
    """Write the table."""
    arguments = table_arguments("posologie.statistics.compute", __doc__ or "").parse_args(argv)
    spec = ComputeSpec.from_json(arguments.spec)
    write_table(arguments.table, COLUMNS, list(_rows(spec, Path(arguments.results))), LATEX)


def _rows(spec: ComputeSpec, root: Path) -> Iterator[dict[str, Any]]:
    for model in spec.models:
        if model.kind == "mix" and not model.published:
            record = _record(root / layout.adapter(model.name, "run.json"))
            yield _row("training", model.name, "", record) | {"trained_tokens": record.get("tokens")}
    for model in spec.models:
        jobs: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = {}
        for suite in spec.suites:
            record = _record(root / layout.predictions_run(model.name, suite))
            jobs.setdefault((record["started"], str(record["spec"])), []).append((suite, record))
        for suites in jobs.values():  # one job may have answered several suites: its time is counted once
            last = max((record for _, record in suites), key=lambda record: float(record["seconds"]))
            row = _row("prediction", model.name, "+".join(suite for suite, _ in suites), last)
            yield row | _tokens([record for _, record in suites])
    for model, judge in itertools.product(spec.models, spec.judges):
        judged: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        for suite in spec.judged:
            record = _record((root / layout.judgements(judge, model.name, suite)).with_suffix(".run.json"))
            # An engine judges all suites in one job: its time and money are counted once.
            judged.setdefault(record["started"] if "engine" in record else suite, []).append((suite, record))
        for answers in judged.values():
            last = max((record for _, record in answers), key=lambda record: float(record["seconds"]))
            row = _row("judging", model.name, "+".join(suite for suite, _ in answers), last)
            yield row | _tokens([record for _, record in answers]) | {"judge": judge}


def _tokens(records: Sequence[dict[str, Any]]) -> dict[str, int | None]:
    """Return the tokens that records of one job count, added up; None where one of them does not say."""
    totals: dict[str, int | None] = {}
    for name in ("prompt_tokens", "generated_tokens"):
        counted = [record[name] for record in records if record.get(name) is not None]
        totals[name] = sum(counted) if len(counted) == len(records) else None
    return totals


def _record(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected the record of a run")
    record = read_json(path)
    for key in ("started", "seconds", "spec", "hardware", "peak_memory_bytes", "gpu_energy_joules"):
        if key not in record:
            raise InputError(f"{path}: key '{key}' is missing; expected the record of a run")
    return dict(record)


def _row(stage: str, model: str, suites: str, record: dict[str, Any]) -> dict[str, Any]:
    hours = record["seconds"] / 3600
    gpus = record["hardware"]["gpus"]
    memory, energy = record["peak_memory_bytes"], record["gpu_energy_joules"]
    return {
        "stage": stage,
        "model": model,
        "suites": suites,
        "hours": hours,
        "gpus": len(gpus),
        "gpu_hours": hours * len(gpus),
        "peak_memory_gb": memory["process"] / _GB,
        "peak_gpu_memory_gb": None if memory["gpu"] is None else memory["gpu"] / _GB,
        "energy_kwh": None if energy is None else energy / _JOULES_PER_KWH,
        "prompt_tokens": None,
        "generated_tokens": None,
        "trained_tokens": None,
        "processor": record["hardware"]["machine"],
        "cpus": record["hardware"]["cpus"],
        "gpu": gpus[0]["name"] if gpus else None,
        "judge": None,
        **{name: record.get("spending", {}).get(name) for name in ("money", "wasted_tokens", "wasted_money")},
    }


if __name__ == "__main__":
    run(main)
