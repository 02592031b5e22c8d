"""What happened at each update, as a table."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Update:
    """One update. Only `seconds` is measured time: without it, the same spec and inputs give the same row on a CPU.

    Attributes:
        step: from 1.
        epoch: from 1.
        loss: mean cross-entropy over the update's targets, before the update, in nats.
        learning_rate: of this update.
        gradient_norm: L2 norm of the gradient, before clipping.
        examples: in this update.
        tokens: read by the model.
        targets: tokens that the loss is taken over.
        validation_loss: after the last update of an epoch, over the same kind of targets; else null.
        validation_answer_loss: the same over the answers' tokens only. With preference pairs, `loss` and
            `validation_loss` are the mean over pairs, and this is the mean cross-entropy of the chosen answers.
        validation_preferred: with preference pairs, the share of the validation pairs whose chosen answer has gained
            more log probability than the rejected one since the training began.
        seconds: from the end of the update before to the end of this one, validation excluded.
    """

    step: int
    epoch: int
    loss: float
    learning_rate: float
    gradient_norm: float
    examples: int
    tokens: int
    targets: int
    validation_loss: float | None
    validation_answer_loss: float | None
    seconds: float
    validation_preferred: float | None = None


PREFERRED = pa.field("validation_preferred", pa.float64())
"""A column of histories of preference pairs alone."""

SCHEMA = pa.schema(
    [
        pa.field("step", pa.int32(), nullable=False),
        pa.field("epoch", pa.int32(), nullable=False),
        pa.field("loss", pa.float64(), nullable=False),
        pa.field("learning_rate", pa.float64(), nullable=False),
        pa.field("gradient_norm", pa.float64(), nullable=False),
        pa.field("examples", pa.int32(), nullable=False),
        pa.field("tokens", pa.int64(), nullable=False),
        pa.field("targets", pa.int64(), nullable=False),
        pa.field("validation_loss", pa.float64()),
        pa.field("validation_answer_loss", pa.float64()),
        pa.field("seconds", pa.float64(), nullable=False),
    ]
)


def history_table(updates: Sequence[Update]) -> pa.Table:
    """Return the updates as a table with `SCHEMA`, and `PREFERRED` where it is known."""
    known = any(update.validation_preferred is not None for update in updates)
    schema = SCHEMA.append(PREFERRED) if known else SCHEMA
    return pa.Table.from_pylist([asdict(update) for update in updates], schema=schema)


def updates_of(table: pa.Table) -> list[Update]:
    """Return the updates of a table with `SCHEMA`."""
    return [Update(**row) for row in table.to_pylist()]
