"""One pass over the items: digests of what must be equal, and signatures of what may be similar."""

import multiprocessing
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from posologie.rows import TableRows
from posologie.screening.shingles import Shape, signatures_of
from posologie.screening.text import digest, texts

_ITEMS_AT_ONCE = 2048
_WORTH_PROCESSES = 20 * _ITEMS_AT_ONCE


@dataclass(frozen=True, slots=True)
class Sketches:
    """What is kept of the texts of items, by position.

    Attributes:
        texts: digest of question, context and options.
        contexts: digest of the context; None where there is none.
        answers: digest of the right answer.
        signatures: uint32 of shape (items, rows, bands); None where only equal texts count.
    """

    texts: list[bytes]
    contexts: list[bytes | None]
    answers: list[bytes]
    signatures: np.ndarray | None


def sketches(items: pa.Table, shape: Shape | None, processes: int) -> Sketches:
    """Sketch all items. The number of processes changes no result."""
    texts: list[bytes] = []
    contexts: list[bytes | None] = []
    answers: list[bytes] = []
    values = None if shape is None else np.empty((items.num_rows, shape.rows, shape.bands), dtype=np.uint32)
    for block in _sketched(items, shape, processes):
        if values is not None:
            values[len(texts) : len(texts) + len(block.texts)] = block.signatures
        texts += block.texts
        contexts += block.contexts
        answers += block.answers
    return Sketches(texts, contexts, answers, values)


def _sketched(items: pa.Table, shape: Shape | None, processes: int) -> Iterator[Sketches]:
    """Yield the sketches of consecutive items, with at most a few blocks waiting in each process."""
    rows = TableRows(items.select(["id", "question", "context", "options", "gold", "answer"]))
    firsts = range(0, items.num_rows, _ITEMS_AT_ONCE)
    blocks = (rows.at(np.arange(first, min(first + _ITEMS_AT_ONCE, items.num_rows))) for first in firsts)
    work = partial(sketch, shape=shape)
    if processes < 2 or items.num_rows < _WORTH_PROCESSES:
        yield from map(work, blocks)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: deque[Future[Sketches]] = deque()
        for block in blocks:
            waiting.append(pool.submit(work, block))
            if len(waiting) > 2 * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def sketch(items: pa.Table, shape: Shape | None) -> Sketches:
    """Sketch some items. An item without any letter, digit or symbol is like no other."""
    block = texts(items)
    return Sketches(
        texts=[
            digest(one.fields if any(one.fields) else (name,))
            for one, name in zip(block, items["id"].to_pylist(), strict=True)
        ],
        contexts=[digest(one.fields[1:2]) if one.fields[1] else None for one in block],
        answers=[digest(one.answer) for one in block],
        signatures=None if shape is None else signatures_of([one.fields for one in block], shape),
    )
