"""What the study cost: hours, memory, tokens and energy."""

from posologie.records import layout
from posologie.report.blocks import Block, Cell, Column, Figure, Prose, Section
from posologie.report.inputs import Inputs
from posologie.report.tables import NOTHING, decimal, number_cell, table
from posologie.report.words import counted


def section(inputs: Inputs, figure: Figure | None) -> Section | None:
    """Return the section on compute and energy; None if the study has no such table."""
    rows = inputs.rows("compute")
    if not rows:
        return None
    names = {model.name: inputs.name(model) for model in inputs.models}
    columns = [
        Column("model", heading=True),
        Column("job"),
        Column("hours", number=True),
        Column("GPU-hours", number=True),
        Column("peak memory, GB", number=True),
        Column("peak GPU memory, GB", number=True),
        Column("GPU energy, kWh", number=True),
        Column("tokens read", number=True),
        Column("tokens written", number=True),
        Column("on"),
    ]
    lines = [
        [
            Cell(names.get(row["model"], row["model"])),
            Cell(f"{row['stage']} {row['suites'].replace('+', ', ')}".strip()),
            number_cell(row.number("hours"), 3),
            number_cell(row.number("gpu_hours"), 3),
            number_cell(row.number("peak_memory_gb"), 1),
            number_cell(row.number("peak_gpu_memory_gb"), 1),
            number_cell(row.number("energy_kwh"), 3),
            number_cell(row.number("trained_tokens") or row.number("prompt_tokens")),
            number_cell(row.number("generated_tokens")),
            Cell(row["gpu"] or f"{row['cpus']} {row['processor']} CPUs"),
        ]
        for row in rows
    ]
    used = [place for place in range(len(columns)) if any(line[place] != NOTHING for line in lines)]
    columns, lines = [columns[place] for place in used], [[line[place] for place in used] for line in lines]
    hours = sum(row.number("hours") or 0 for row in rows)
    gpu_hours = sum(row.number("gpu_hours") or 0 for row in rows)
    energies = [energy for row in rows if (energy := row.number("energy_kwh")) is not None]
    told = "" if not gpu_hours else " No GPU's energy counter could be read."
    if energies:
        read = counted(len(energies), "job")
        told = f" GPUs took {decimal(sum(energies), 2)} kWh in the {read} whose counters could be read."
    spent = f"{decimal(gpu_hours, 2)} of GPUs" if gpu_hours else "none of them on a GPU"
    total = f"{counted(len(rows), 'job')} took {decimal(hours, 2)} hours, {spent}.{told}"
    caption = "One row for each training and each prediction job, from their run records."
    blocks: list[Block] = [Prose((total,)), *([figure] if figure else [])]
    blocks.append(table("compute", "Jobs", caption, columns, lines, layout.table("compute")))
    return Section("compute", "Compute and energy", tuple(blocks))
