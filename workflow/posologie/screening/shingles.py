"""Shingles of normalised texts, MinHash signatures of sets of them, and work on blocks of items in processes."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

_HASHED_AT_ONCE = 256
"""Items whose hashes stay in the processor's cache together."""
_PAD = "\x1f"
EMPTY = np.uint32(0xFFFFFFFF)
_KEYS = np.random.default_rng(20260306).integers(1, 1 << 63, size=32, dtype=np.uint64)
"""Keys of the rounds of hashing, the same in every run."""


def shingles(items: Sequence[Sequence[str]], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Hash every shingle of every item.

    Args:
        items: the normalised fields of each item; empty fields have no shingles.
        width: characters of a shingle.

    Returns:
        Hashes of all shingles in a row, uint64, repeats included; and the bounds of the items in it, int64 (items + 1).
    """
    pad = _PAD * (width - 1)
    texts = ["".join(pad + field for field in fields if field) for fields in items]
    bounds = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in texts], out=bounds[1:])
    joined = "".join(texts) + pad
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    count = int(bounds[-1])
    hashes = codes[:count].copy()
    for offset in range(1, width):
        hashes *= np.uint64(0x100000001B3)
        hashes += codes[offset : offset + count]
    return mixed(hashes), bounds


def mixed(values: np.ndarray) -> np.ndarray:
    """Return the finaliser of SplitMix64 of each value (a bijection; in place)."""
    values ^= values >> np.uint64(30)
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


def signatures(hashes: np.ndarray, bounds: np.ndarray, rows: int, bands: int) -> np.ndarray:
    """Return MinHash signatures by one-permutation hashing: `rows` rounds that each cut the shingles into `bands` bins.

    Two items agree in an entry with a probability of their Jaccard similarity. An empty bin takes the value of the
    next bin that is not (Shrivastava and Li, "Densifying one permutation hashing via rotation", 2014). A round gives an
    entry to every band, so that the entries inside a band come from independent hashes.

    Returns:
        uint32 of shape (items, rows, bands); items without shingles have the largest value everywhere.
    """
    items = len(bounds) - 1
    result = np.full((items, rows, bands), EMPTY, dtype=np.uint32)
    first_bin = np.repeat(np.arange(items, dtype=np.int64) * bands, np.diff(bounds))
    for row in range(rows):
        rehashed = mixed(hashes ^ _KEYS[row])
        bins = ((rehashed & np.uint64(0xFFFFFFFF)) * np.uint64(bands)) >> np.uint64(32)
        smallest = np.full(items * bands, EMPTY, dtype=np.uint32)
        np.minimum.at(smallest, first_bin + bins.astype(np.int64), (rehashed >> np.uint64(32)).astype(np.uint32))
        result[:, row] = smallest.reshape(items, bands)
    return _densified(result)


def _densified(values: np.ndarray) -> np.ndarray:
    sparse = np.flatnonzero((values == EMPTY).any(axis=(1, 2)))
    original = values[sparse]
    filled = original.copy()
    for distance in range(1, values.shape[2]):
        empty = filled == EMPTY
        if not empty.any():
            break
        borrowed = np.roll(original, -distance, axis=2)
        usable = empty & (borrowed != EMPTY)
        filled[usable] = borrowed[usable] + np.uint32((distance * 0x9E3779B9) & 0xFFFFFFFF)
    values[sparse] = filled
    return values


@dataclass(frozen=True, slots=True)
class Shape:
    """How texts are cut and signed: characters of a shingle, rows of a band, number of bands."""

    width: int
    rows: int
    bands: int


def shape_for(threshold: float, width: int, bands: int = 48, recall: float = 0.995) -> Shape:
    """Return the shape that finds similar pairs.

    A pair of similarity s is found with probability 1 − (1 − s^rows)^bands (Leskovec, Rajaraman and Ullman, *Mining of
    Massive Datasets*, section 3.4). Rows are as many as leave it at least `recall` at the threshold.
    """
    rows = 1
    while rows < len(_KEYS) and 1 - (1 - threshold ** (rows + 1)) ** bands >= recall:
        rows += 1
    return Shape(width, rows, bands)


def signatures_of(items: Sequence[Sequence[str]], shape: Shape) -> np.ndarray:
    """Return the signatures of items given by their normalised fields, uint32 of shape (items, rows, bands)."""
    parts = [np.empty((0, shape.rows, shape.bands), dtype=np.uint32)]
    for first in range(0, len(items), _HASHED_AT_ONCE):
        hashes, bounds = shingles(items[first : first + _HASHED_AT_ONCE], shape.width)
        parts.append(signatures(hashes, bounds, shape.rows, shape.bands))
    return np.concatenate(parts)


def band_keys(values: np.ndarray, band: int) -> np.ndarray:
    """Return one 64-bit number for each item that is equal where all rows of the band are."""
    keys = np.full(len(values), band + 1, dtype=np.uint64)
    for row in range(values.shape[1]):
        keys = mixed(keys ^ values[:, row, band])
    return keys


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
        blocks: the blocks; a few at a time are held in memory.
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
