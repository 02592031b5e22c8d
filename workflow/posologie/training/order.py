"""Which examples make up each update, and how they are dealt out to processes and micro-batches.

The order depends on the seed, the epoch and the item ids (and, with grouping by length, on the lengths), never on the
order of rows, the number of processes or the size of a micro-batch.
"""

import hashlib
from collections.abc import Sequence

import numpy as np


def updates_of_epoch(
    ids: Sequence[str], lengths: np.ndarray, *, effective_batch: int, seed: int, epoch: int, group_by_length: bool
) -> list[np.ndarray]:
    """Return the example indices of each update of an epoch; the last may hold fewer.

    Grouping is that of transformers' `LengthGroupedSampler`, which the published training used: shuffle, cut into
    mega-batches of 50 updates (fewer for a small set), sort each by falling length, and put the longest example first,
    so that memory runs out at the first update or not at all. Only the shuffle differs: a hash of seed, epoch and id.

    Args:
        lengths: tokens per example, shape (examples,).
    """
    order = sorted(range(len(ids)), key=lambda index: _rank(seed, epoch, ids[index]))
    if group_by_length and order:
        size = effective_batch * max(1, min(len(order) // (effective_batch * 4), 50))
        groups = [order[start : start + size] for start in range(0, len(order), size)]
        groups = [sorted(group, key=lambda index: -int(lengths[index])) for group in groups]
        longest = max(range(len(groups)), key=lambda number: int(lengths[groups[number][0]]))
        groups[0][0], groups[longest][0] = groups[longest][0], groups[0][0]
        order = [index for group in groups for index in group]
    return [np.array(order[start : start + effective_batch]) for start in range(0, len(order), effective_batch)]


def micro_batches(
    update: np.ndarray, lengths: np.ndarray, *, size: int, process: int, processes: int
) -> list[np.ndarray]:
    """Return one process's part of an update, cut into micro-batches of at most `size` examples.

    Examples are sorted by falling length and dealt out like cards, so that processes hold about the same number of
    tokens and a micro-batch holds examples of like length.
    """
    ordered = sorted(update.tolist(), key=lambda index: (-int(lengths[index]), index))
    own = ordered[process::processes]
    return [np.array(own[start : start + size]) for start in range(0, len(own), size)]


def _rank(seed: int, epoch: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}\x1f{epoch}\x1f{name}".encode(), digest_size=16).digest()
