"""Work on blocks of items, in order, in one process or several."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, TypeVar

import pyarrow as pa

_WORTH_PROCESSES = 20
"""Blocks below which starting processes costs more than it saves."""

Result = TypeVar("Result")
_work: Callable[[pa.Table], Any] | None = None
"""What this process does with each block; set once, because it holds what all blocks are compared with."""


def in_blocks(
    work: Callable[[pa.Table], Result], blocks: Iterable[pa.Table], count: int, processes: int
) -> Iterator[Result]:
    """Yield what each block gives, in order. The number of processes changes no result.

    Args:
        work: what is done with a block; it and its results can be pickled.
        blocks: the blocks, of which a few at a time are held.
        count: their number.
        processes: number of processes.
    """
    if processes < 2 or count < _WORTH_PROCESSES:
        yield from map(work, blocks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(work,)) as pool:
        waiting: deque[Future[Result]] = deque()
        for block in blocks:
            waiting.append(pool.submit(_do, block))
            if len(waiting) > 2 * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _begin(work: Callable[[pa.Table], Any]) -> None:
    global _work
    _work = work


def _do(block: pa.Table) -> Any:
    assert _work is not None  # noqa: S101 - set by `_begin` in every process of the pool
    return _work(block)
