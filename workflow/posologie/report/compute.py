"""What the study cost: hours, memory, tokens and energy, from the run records."""

from posologie.report.blocks import Cell, Column, Prose, Section, Table
from posologie.report.inputs import Inputs, RunRecord
from posologie.report.tables import decimal, number_cell


def section(inputs: Inputs) -> Section:
    """Return the section on compute and energy."""
    columns = (
        Column("model", heading=True),
        Column("stage"),
        Column("hours", number=True),
        Column("GPUs", number=True),
        Column("GPU-hours", number=True),
        Column("peak memory, GB", number=True),
        Column("peak GPU memory, GB", number=True),
        Column("GPU energy, kWh", number=True),
    )
    rows = tuple(_row(inputs, record) for record in inputs.runs)
    hours = sum(_seconds(record) for record in inputs.runs) / 3600
    gpu_hours = sum(_gpu_hours(record) for record in inputs.runs)
    energies = [record.facts.get("gpu_energy_joules") for record in inputs.runs]
    known = [energy for energy in energies if energy is not None]
    energy = (
        "The energy of the GPUs could not be read."
        if not known
        else f"The GPUs took {decimal(sum(known) / 3.6e6, 2)} kWh in the {len(known)} jobs that could read their counters."
    )
    total = f"{len(inputs.runs)} jobs ran for {decimal(hours, 2)} hours, of which {decimal(gpu_hours, 2)} GPU-hours. {energy}"
    caption = "One row for each training and each file of predictions. Hours are those of the job that made the file."
    return Section(
        "compute", "Compute and energy", (Prose((total,)), Table("table-compute", "Jobs", caption, columns, rows))
    )


def _row(inputs: Inputs, record: RunRecord) -> tuple[Cell, ...]:
    memory = record.facts.get("peak_memory_bytes") or {}
    joules = record.facts.get("gpu_energy_joules")
    stage = record.facts["stage"] if record.suite is None else f"{record.facts['stage']}, {record.suite}"
    return (
        Cell(inputs.name(record.model)),
        Cell(stage),
        number_cell(_seconds(record) / 3600, 3),
        number_cell(_gpus(record)),
        number_cell(_gpu_hours(record), 3),
        *(_gigabytes(memory.get(kind)) for kind in ("process", "gpu")),
        number_cell(None if joules is None else joules / 3.6e6, 3),
    )


def _seconds(record: RunRecord) -> float:
    return float(record.facts.get("seconds") or 0)


def _gpus(record: RunRecord) -> int:
    return len(record.facts.get("hardware", {}).get("gpus", []))


def _gpu_hours(record: RunRecord) -> float:
    return _gpus(record) * _seconds(record) / 3600


def _gigabytes(count: int | None) -> Cell:
    return number_cell(None if count is None else count / 1e9, 2)
