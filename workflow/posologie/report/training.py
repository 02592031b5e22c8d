"""How training went, and what the study cost."""

from dataclasses import dataclass

from posologie.records import layout
from posologie.records.files import read_parquet
from posologie.report.blocks import Block, Cell, Column, Figure, Prose, Section, Table
from posologie.report.inputs import Inputs
from posologie.report.names import counted, listed
from posologie.report.tables import NOTHING, decimal, number_cell, table
from posologie.running.errors import InputError


@dataclass(frozen=True)
class Curve:
    """One adapter's losses, in nats; `validation` holds (step, loss) at the end of each epoch."""

    name: str
    mix: str
    steps: list[int]
    loss: list[float]
    validation: list[tuple[int, float]]


def curves(inputs: Inputs) -> list[Curve]:
    """Return the curves of all adapters, in the order of the models.

    Raises:
        InputError: if the history of one is missing.
    """
    all_curves = []
    for model in inputs.models:
        if model.kind != "mix" or model.published:
            continue
        file = inputs.root / layout.adapter(model.name, "history.parquet")
        if not file.is_file():
            raise InputError(f"{file}: no such file; expected the training history of {model.name}")
        rows = read_parquet(file, columns=["step", "loss", "validation_loss"]).to_pylist()
        all_curves.append(
            Curve(
                inputs.name(model),
                model.mix or "",
                [row["step"] for row in rows],
                [row["loss"] for row in rows],
                [(row["step"], row["validation_loss"]) for row in rows if row["validation_loss"] is not None],
            )
        )
    return all_curves


def section(inputs: Inputs, figure: Figure | None) -> Section | None:
    """Return the section on training; None if nothing was trained."""
    adapters = curves(inputs)
    if not adapters:
        return None
    blocks: list[Block] = [Prose((trend(adapters),), "lead"), *([figure] if figure else [])]
    return Section("training", "Training curves", (*blocks, _table(adapters)))


def trend(adapters: list[Curve]) -> str:
    """Say how far the training losses fell, and whether the validation losses rose again."""
    ends = [(curve.loss[0], curve.loss[-1]) for curve in adapters if curve.loss]
    fell = sum(last < first for first, last in ends)
    text = f"The training loss fell in {fell} of {counted(len(adapters), 'adapter')}"
    if ends:
        means = [sum(values) / len(ends) for values in zip(*ends, strict=True)]
        text += f", on average from {decimal(means[0])} to {decimal(means[1])} nats"
    several = [curve for curve in adapters if len(curve.validation) > 1]
    if not several:
        return f"{text}."
    rose = [curve.name for curve in several if curve.validation[-1][1] > min(loss for _, loss in curve.validation)]
    if not rose:
        return f"{text}; every validation loss was lowest at the end."
    return f"{text}; the validation loss of {listed(rose)} rose again before the end, a sign of too many epochs."


def _table(adapters: list[Curve]) -> Table:
    columns = (
        Column("adapter", heading=True),
        Column("updates", number=True),
        Column("first loss", number=True),
        Column("last loss", number=True),
        Column("lowest validation loss", number=True),
        Column("at update", number=True),
        Column("last validation loss", number=True),
    )
    lines = []
    for curve in adapters:
        at, lowest = min(curve.validation, key=lambda point: point[1], default=(None, None))
        last = curve.validation[-1][1] if curve.validation else None
        lines.append(
            (
                Cell(curve.name),
                number_cell(len(curve.steps)),
                number_cell(curve.loss[0] if curve.loss else None, 3),
                number_cell(curve.loss[-1] if curve.loss else None, 3),
                number_cell(lowest, 3),
                number_cell(at),
                number_cell(last, 3),
            )
        )
    return table(
        "training",
        "Losses",
        "Mean cross-entropy over the targets of an update, in nats, taken before the update; validation after each "
        "epoch. A validation loss that rises while the training loss falls is a sign of too many epochs.",
        columns,
        lines,
    )


def compute_section(inputs: Inputs, figure: Figure | None) -> Section | None:
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
    energy_text = "" if not gpu_hours else " No GPU's energy counter could be read."
    if energies:
        read = counted(len(energies), "job")
        energy_text = f" GPUs took {decimal(sum(energies), 2)} kWh in the {read} whose counters could be read."
    spent = f"{decimal(gpu_hours, 2)} of GPUs" if gpu_hours else "none of them on a GPU"
    total = f"{counted(len(rows), 'job')} took {decimal(hours, 2)} hours, {spent}.{energy_text}"
    caption = "One row for each training and each prediction job, from their run records."
    blocks: list[Block] = [Prose((total,), "lead"), *([figure] if figure else [])]
    blocks.append(table("compute", "Jobs", caption, columns, lines, layout.table("compute")))
    return Section("compute", "Compute and energy", tuple(blocks))
