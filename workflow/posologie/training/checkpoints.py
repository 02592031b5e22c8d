"""Checkpoints, whole or absent, and the history of updates that they keep."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import safetensors.torch
import torch

from posologie.records.files import read_parquet, sha256_of_file, write_json, write_parquet


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


log = logging.getLogger(__name__)

KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """The state after an update.

    Attributes:
        history: one entry per update done; its length is the number of updates.
        tensors: trained weights and moments, by name, on the CPU.
        best: the best epoch's weights so far, where the recipe asks for them.
        facts: what else goes on from attempt to attempt (energy), as JSON values.
    """

    history: list[Update]
    tensors: dict[str, torch.Tensor]
    best: dict[str, torch.Tensor]
    facts: dict[str, float | None]


def checkpoint_key(*parts: str) -> str:
    """Return the name of the folder that holds the checkpoints of one spec, its inputs and its code."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint below `folder` and remove all but the last two."""
    step = len(checkpoint.history)
    target = folder / f"step-{step:08d}"
    partial = folder / f".step-{step:08d}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    safetensors.torch.save_file(checkpoint.tensors, partial / "state.safetensors")
    if checkpoint.best:
        safetensors.torch.save_file(checkpoint.best, partial / "best.safetensors")
    write_parquet(partial / "history.parquet", history_table(checkpoint.history))
    checksums = {path.name: sha256_of_file(path) for path in sorted(partial.iterdir())}
    write_json(partial / "checkpoint.json", {"step": step, "facts": checkpoint.facts, "files": checksums})
    for path in partial.iterdir():
        _sync(path)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(partial, target)
    _sync(folder)
    for old in _checkpoints(folder)[KEPT:]:
        shutil.rmtree(old)


def load(folder: Path) -> Checkpoint | None:
    """Return the last whole checkpoint below `folder`, or None."""
    for path in _checkpoints(folder):
        try:
            facts = json.loads((path / "checkpoint.json").read_text(encoding="utf-8"))
            if any(sha256_of_file(path / name) != expected for name, expected in facts["files"].items()):
                raise ValueError("a checksum differs")
            return Checkpoint(
                history=updates_of(read_parquet(path / "history.parquet")),
                tensors=safetensors.torch.load_file(path / "state.safetensors"),
                best=safetensors.torch.load_file(path / "best.safetensors")
                if "best.safetensors" in facts["files"]
                else {},
                facts=facts["facts"],
            )
        except (OSError, ValueError, KeyError) as error:
            log.warning("%s is damaged (%s); looking for an earlier checkpoint", path, error)
    return None


def remove(folder: Path) -> None:
    """Remove all checkpoints below `folder`, once the artifact is whole; a kill on the way leaves nothing to resume."""
    away = folder.with_name(f".{folder.name}.removed")
    shutil.rmtree(away, ignore_errors=True)
    if folder.exists():
        os.replace(folder, away)
    shutil.rmtree(away, ignore_errors=True)


def _checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints below `folder`, the latest first."""
    return sorted(folder.glob("step-*"), reverse=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
