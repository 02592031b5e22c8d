"""What the local backends share: the identity of weights, and batches of similar length."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from posologie.models.store import read_manifest

Entry = TypeVar("Entry")


def weights_identity(manifest: Path) -> str:
    """Return a hash over the checksums of a model's files: the same for the same files, wherever they came from."""
    files = read_manifest(manifest)["files"]
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def batches(
    entries: Sequence[Entry], length: Callable[[Entry], int], alike: Callable[[Entry], object], most_tokens: int
) -> Iterator[list[Entry]]:
    """Yield runs of neighbouring entries that are alike, each at most `most_tokens` wide × high, padding included.

    Args:
        entries: sorted so that the longest of each kind comes first.
    """
    batch: list[Entry] = []
    for entry in entries:
        full = bool(batch) and length(batch[0]) * (len(batch) + 1) > most_tokens
        if batch and (full or alike(batch[0]) != alike(entry)):
            yield batch
            batch = []
        batch.append(entry)
    if batch:
        yield batch
