"""Rows of a table by their positions, for the price of those rows alone."""

import numpy as np
import pyarrow as pa


class TableRows:
    """Gives rows of a table, in buffers of their own.

    `Table.take` first joins all chunks of a column of strings, and a slice that is sent to another process takes all of
    its chunk along: both cost as much as the table, however few rows are wanted.
    """

    def __init__(self, table: pa.Table) -> None:
        self._batches = table.to_batches()
        self._schema = table.schema
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._batches)])

    def at(self, positions: np.ndarray) -> pa.Table:
        """Return the rows at these positions, in their order.

        Raises:
            IndexError: if the table has no row at one of them.
        """
        order = np.argsort(positions, kind="stable")
        ascending = positions[order]
        bounds = np.searchsorted(ascending, self._starts)
        parts = [
            batch.take(pa.array(ascending[first:last] - start))
            for batch, start, first, last in zip(self._batches, self._starts, bounds, bounds[1:], strict=False)
            if first < last
        ]
        return pa.Table.from_batches(parts, self._schema).take(pa.array(np.argsort(order)))
