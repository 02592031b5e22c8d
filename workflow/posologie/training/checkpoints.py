"""Checkpoints: whole or absent, the last two kept, found again only by a run of the same spec, inputs and code.

A checkpoint holds the trained weights, the optimizer's moments and the history. Schedule, order of examples and dropout
masks are functions of the seed and the step, so that there is no random state to save.
"""

import hashlib
import json
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch

from posologie.records.files import read_parquet, sha256_of_file, write_json, write_parquet
from posologie.training.history import Update, history_table, updates_of

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
    for old in _found(folder)[KEPT:]:
        shutil.rmtree(old)


def load(folder: Path) -> Checkpoint | None:
    """Return the last whole checkpoint below `folder`, or None."""
    for path in _found(folder):
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


def _found(folder: Path) -> list[Path]:
    """Return the checkpoints below `folder`, the latest first."""
    return sorted(folder.glob("step-*"), reverse=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
