"""Finished answers on disk: what survives a kill, and how the declared file is made of it."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from posologie.files import read_parquet, write_parquet
from posologie.prediction.schema import prediction_schema
from posologie.running.whole_files import whole_file


def part_schema() -> pa.Schema:
    """Return the schema of a part: a prediction, its suite and its place in the window."""
    return pa.schema(
        [
            pa.field("place", pa.int32(), nullable=False),
            pa.field("suite", pa.string(), nullable=False),
            *prediction_schema(),
        ]
    )


class Parts:
    """The finished answers of one job, below a folder that is keyed by spec, inputs and code."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which is made if it is not there."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def whole(self, window: int) -> Path:
        """Return the path of a finished window."""
        return self.folder / f"window-{window:06d}.parquet"

    def pieces(self, window: int) -> list[Path]:
        """Return the pieces of a window that is not finished."""
        return sorted(self.folder.glob(f"window-{window:06d}-piece-*.parquet"))

    def done(self, window: int) -> frozenset[int]:
        """Return the places of a window that have been answered."""
        found: set[int] = set()
        for path in self.pieces(window):
            found.update(read_parquet(path, columns=["place"])["place"].to_pylist())
        return frozenset(found)

    def add(self, window: int, rows: Sequence[dict[str, Any]]) -> None:
        """Save some answers of a window."""
        first = min(row["place"] for row in rows)
        path = self.folder / f"window-{window:06d}-piece-{first:06d}.parquet"
        write_parquet(path, pa.Table.from_pylist(list(rows), schema=part_schema()))

    def close(self, window: int) -> None:
        """Make the pieces of a window, which has now been answered, one file ordered by place."""
        pieces = self.pieces(window)
        write_parquet(self.whole(window), pa.concat_tables(map(read_parquet, pieces)).sort_by("place"))
        for path in pieces:
            path.unlink()

    def write(self, suite: str, windows: int, output: Path) -> None:
        """Write the declared file of a suite from the finished windows, one row group for each window."""
        schema = prediction_schema()
        with whole_file(output) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as out:
            for table in self._of_suite(suite, windows):
                out.write_table(table.select(schema.names).cast(schema))

    def _of_suite(self, suite: str, windows: int) -> Iterator[pa.Table]:
        for window in range(windows):
            table = read_parquet(self.whole(window))
            mine = table.filter(pa.compute.equal(table["suite"], suite))
            if mine.num_rows:
                yield mine

    def remove(self) -> None:
        """Delete the folder: the declared files are in place."""
        shutil.rmtree(self.folder, ignore_errors=True)
