"""How training went: the loss of every adapter, update by update."""

from dataclasses import dataclass

from posologie.records import layout
from posologie.records.files import read_parquet
from posologie.report.blocks import Block, Cell, Column, Figure, Section, Table
from posologie.report.inputs import Inputs
from posologie.report.tables import number_cell, table
from posologie.running.errors import InputError


@dataclass(frozen=True)
class Curve:
    """One adapter's losses, in nats; `validation` holds (step, loss) at the end of each epoch."""

    name: str
    steps: list[int]
    loss: list[float]
    validation: list[tuple[int, float]]


def curves(inputs: Inputs) -> list[Curve]:
    """Return the curves of all adapters, in the order of the models.

    Raises:
        InputError: if the history of one is missing.
    """
    found = []
    for model in inputs.models:
        if model.kind != "mix" or model.published:
            continue
        file = inputs.root / layout.adapter(model.name, "history.parquet")
        if not file.is_file():
            raise InputError(f"{file}: no such file; expected the training history of {model.name}")
        rows = read_parquet(file, columns=["step", "loss", "validation_loss"]).to_pylist()
        found.append(
            Curve(
                inputs.name(model),
                [row["step"] for row in rows],
                [row["loss"] for row in rows],
                [(row["step"], row["validation_loss"]) for row in rows if row["validation_loss"] is not None],
            )
        )
    return found


def section(inputs: Inputs, figure: Figure | None) -> Section | None:
    """Return the section on training; None if nothing was trained."""
    found = curves(inputs)
    if not found:
        return None
    blocks: list[Block] = [figure] if figure else []
    return Section("training", "Training curves", (*blocks, _table(found)))


def _table(found: list[Curve]) -> Table:
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
    for curve in found:
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
