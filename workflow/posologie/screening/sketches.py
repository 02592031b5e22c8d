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
from posologie.screening.quoting import Quotable, quotes
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
        options: digest of the set of options; empty where there are none.
        signatures: uint32 of shape (items, rows, bands); None where only equal texts count.
        quotes: item and n-gram of a tested question that it has, int64 of shape (hits, 2).
    """

    texts: list[bytes]
    contexts: list[bytes | None]
    answers: list[bytes]
    options: list[bytes]
    signatures: np.ndarray | None
    quotes: np.ndarray


def sketches(items: pa.Table, shape: Shape | None, processes: int, quotable: Quotable | None = None) -> Sketches:
    """Sketch all items. The number of processes changes no result.

    Args:
        items: the items.
        shape: how texts are signed; None: not at all.
        processes: number of processes.
        quotable: n-grams that are looked for; None: none are.
    """
    texts: list[bytes] = []
    contexts: list[bytes | None] = []
    answers: list[bytes] = []
    options: list[bytes] = []
    found = [np.empty((0, 2), dtype=np.int64)]
    values = None if shape is None else np.empty((items.num_rows, shape.rows, shape.bands), dtype=np.uint32)
    for block in _sketched(items, shape, processes, quotable):
        if values is not None:
            values[len(texts) : len(texts) + len(block.texts)] = block.signatures
        found.append(block.quotes + np.array([len(texts), 0]))
        texts += block.texts
        contexts += block.contexts
        answers += block.answers
        options += block.options
    return Sketches(texts, contexts, answers, options, values, np.concatenate(found))


_looked_for: tuple[Quotable, np.ndarray] | None = None
"""N-grams of this process and their table, which every block of items needs."""


def _look_for(quotable: Quotable | None) -> None:
    global _looked_for
    _looked_for = None if quotable is None else (quotable, quotable.table())


def _sketched(items: pa.Table, shape: Shape | None, processes: int, quotable: Quotable | None) -> Iterator[Sketches]:
    """Yield the sketches of consecutive items, with at most a few blocks waiting in each process."""
    rows = TableRows(items.select(["id", "question", "context", "options", "gold", "answer"]))
    firsts = range(0, items.num_rows, _ITEMS_AT_ONCE)
    blocks = (rows.at(np.arange(first, min(first + _ITEMS_AT_ONCE, items.num_rows))) for first in firsts)
    work = partial(sketch, shape=shape)
    if processes < 2 or items.num_rows < _WORTH_PROCESSES:
        _look_for(quotable)
        yield from map(work, blocks)
        _look_for(None)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_look_for, initargs=(quotable,)) as pool:
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
    quoted = np.empty((0, 2), dtype=np.int64)
    if _looked_for is not None:
        quoted = quotes(
            [" ".join(field for field in (*one.fields, *one.answer) if field) for one in block], *_looked_for
        )
    return Sketches(
        texts=[
            digest(one.fields if any(one.fields) else (name,))
            for one, name in zip(block, items["id"].to_pylist(), strict=True)
        ],
        contexts=[digest(one.fields[1:2]) if one.fields[1] else None for one in block],
        answers=[digest(one.answer) for one in block],
        options=[digest(one.fields[2:]) if one.fields[2:] else b"" for one in block],
        signatures=None if shape is None else signatures_of([one.fields for one in block], shape),
        quotes=quoted,
    )
