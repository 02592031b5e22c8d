"""Which items a benchmark holds: selected from shards in one streaming pass, kept on disk, read back by number."""

import hashlib
import heapq
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from posologie.errors import InputError
from posologie.items import Item, item_schema, table_to_items
from posologie.prediction.spec import Benchmark
from posologie.running.seals import check_seal
from posologie.running.whole_files import whole_file

_BATCH = 4096


@dataclass(frozen=True)
class Selection:
    """The items of one benchmark, ordered by id.

    Attributes:
        path: the selected items on disk, as Arrow batches.
        order: their row numbers in the file, in the order of ids.
        ends: number of the row behind each batch.
        open_questions: how many of them are open questions.
    """

    path: Path
    order: np.ndarray
    ends: np.ndarray
    open_questions: int

    def __len__(self) -> int:
        return len(self.order)

    def prompts(self, permutations: int) -> int:
        """Return how many prompts the items make: one for an open question, one for each variant of a choice."""
        return self.open_questions + (len(self) - self.open_questions) * (1 + permutations)

    def items(self, start: int, stop: int) -> list[Item]:
        """Return the items with numbers `start` … `stop` - 1 in the order of ids.

        The file is mapped for this call only and batches are read one by one, so that no more of it stays in memory.
        """
        rows = self.order[start:stop]
        batches = np.searchsorted(self.ends, rows, side="right")
        found: dict[int, Item] = {}
        with pa.memory_map(str(self.path)) as source, pa.ipc.open_file(source) as reader:
            for number in np.unique(batches):
                inside = rows[batches == number]
                first = self.ends[number - 1] if number else 0
                taken = pa.Table.from_batches([reader.get_batch(int(number)).take(pa.array(inside - first))])
                found.update(zip(inside.tolist(), table_to_items(taken), strict=True))
        return [found[row] for row in rows.tolist()]


def select(
    name: str, benchmark: Benchmark, shards: Mapping[str, Sequence[Path]], seed: int, scratch: Path
) -> Selection:
    """Select a benchmark's items.

    Args:
        shards: source → its item files.
        seed: of the hash that ranks items under a limit, so that a smaller limit keeps a part of a larger one.
        scratch: file that the selected items are written to (Arrow IPC), so that memory does not grow with them.

    Raises:
        InputError: if the source was not handed over, nothing is selected, an id occurs twice, or an item is not valid.
    """
    if benchmark.source not in shards:
        raise InputError(f"benchmark '{name}': no items of source '{benchmark.source}' given (--items)")
    ids: list[pa.Array] = []
    tasks: list[pa.Array] = []
    with (
        whole_file(scratch) as partial,
        pa.OSFile(str(partial), "wb") as sink,
        pa.ipc.new_file(sink, item_schema()) as out,
    ):
        for path in shards[benchmark.source]:
            for batch in _batches(path):
                for kept in _matching(batch, benchmark).combine_chunks().to_batches():
                    out.write_batch(kept)
                    ids.append(kept["id"])
                    tasks.append(kept["task"])
    if not ids:
        origins = f", origins {', '.join(benchmark.origins)}" if benchmark.origins else ""
        wanted = f"split {benchmark.split}, task {' or '.join(benchmark.tasks)}{origins}"
        raise InputError(f"benchmark '{name}': no item of source '{benchmark.source}' has {wanted}")
    id_column, task_column = pa.concat_arrays(ids), pa.concat_arrays(tasks)
    order = pc.sort_indices(id_column).to_numpy().astype(np.int64)
    if benchmark.limit is not None and benchmark.limit < len(order):
        smallest = heapq.nsmallest(benchmark.limit, order.tolist(), key=lambda row: _rank(id_column[row].as_py(), seed))
        order = np.array(sorted(smallest, key=lambda row: id_column[row].as_py()), dtype=np.int64)
    _refuse_repeated_ids(name, id_column.take(pa.array(order)))
    open_questions = pc.sum(pc.equal(task_column.take(pa.array(order)), "oeq")).as_py() or 0
    return Selection(scratch, order, np.cumsum([len(one) for one in ids]), open_questions)


def _rank(item_id: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}\x1flimit\x1f{item_id}".encode(), digest_size=16).digest()


def _batches(path: Path) -> Iterator[pa.Table]:
    """Yield a shard's rows, a few thousand at a time."""
    check_seal(path)
    try:
        file = pq.ParquetFile(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a whole Parquet file ({str(error).splitlines()[0]})") from error
    missing = [column for column in item_schema().names if column not in file.schema_arrow.names]
    if missing:
        raise InputError(f"{path}: column '{missing[0]}' is missing; expected a table of items")
    for batch in file.iter_batches(batch_size=_BATCH, columns=item_schema().names):
        yield pa.Table.from_batches([batch]).select(item_schema().names).cast(item_schema())


def _matching(batch: pa.Table, benchmark: Benchmark) -> pa.Table:
    matches = pc.and_(pc.equal(batch["split"], benchmark.split), pc.is_in(batch["task"], pa.array(benchmark.tasks)))
    kept = batch.filter(matches)
    if benchmark.origins is not None:
        wanted = set(benchmark.origins)
        kept = kept.filter(
            pa.array([json.loads(meta).get("origin") in wanted for meta in kept["meta"].to_pylist()], pa.bool_())
        )
    return kept


def _refuse_repeated_ids(name: str, ids: pa.Array) -> None:
    repeated = pc.index(pc.equal(ids[:-1], ids[1:]), True).as_py()
    if repeated >= 0:
        raise InputError(f"benchmark '{name}': item '{ids[repeated].as_py()}' occurs twice; expected every id once")
