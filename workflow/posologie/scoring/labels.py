"""Sets of labels held as bits: bit p is the label displayed at position p."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def label_sets(column: pa.ChunkedArray | pa.Array) -> NDArray[np.uint32]:
    """Return each row's labels as bits; null and empty lists are 0."""
    rows, labels = flat(column)
    sets = np.zeros(len(column), dtype=np.uint32)
    np.bitwise_or.at(sets, rows, np.uint32(1) << labels.astype(np.uint32))
    return sets


def original_sets(displayed: pa.ChunkedArray | pa.Array, order: pa.ChunkedArray | pa.Array) -> NDArray[np.uint32]:
    """Return the options at displayed positions as bits over the item's own order: bit i is the item's option i."""
    starts = _starts(order)
    _, options = flat(order)
    rows, positions = flat(displayed)
    sets = np.zeros(len(displayed), dtype=np.uint32)
    np.bitwise_or.at(sets, rows, np.uint32(1) << options[starts[rows] + positions].astype(np.uint32))
    return sets


def _lengths(column: pa.ChunkedArray | pa.Array) -> NDArray[np.int64]:
    lengths: NDArray[np.int64] = pc.fill_null(pc.list_value_length(column), 0).to_numpy().astype(np.int64)
    return lengths


def _starts(column: pa.ChunkedArray | pa.Array) -> NDArray[np.int64]:
    lengths = _lengths(column)
    return np.cumsum(lengths) - lengths


def flat(column: pa.ChunkedArray | pa.Array) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the row of every list element, and the elements."""
    return np.repeat(np.arange(len(column)), _lengths(column)), pc.list_flatten(column).to_numpy()
