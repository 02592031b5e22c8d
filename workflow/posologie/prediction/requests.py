"""What a model is asked and answers: items selected from shards in one pass, kept on disk, asked in order."""

import hashlib
import heapq
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from posologie.prediction.spec import Benchmark, Questions, Suite
from posologie.records.items import Item, item_schema, table_to_items
from posologie.records.prompting import displayed_order, variants
from posologie.running.errors import InputError
from posologie.running.seals import check_seal
from posologie.running.whole_files import whole_file


@dataclass(frozen=True, slots=True)
class Request:
    """One variant of one item.

    Attributes:
        place: number of the request in its window of items; answers may come in any order.
        order: for each displayed position, the index into the item's options; empty for an open question.
        new_tokens: how many tokens the greedy answer may have.
    """

    place: int
    suite: str
    benchmark: str
    variant: str
    item: Item
    order: tuple[int, ...]
    new_tokens: int
    protocol: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered to the request at `place`.

    Attributes:
        finish: `stop` if the model ended the greedy text itself, `length` if its tokens ran out.
        constrained_labels: displayed positions, ascending; None for an open question.
        label_probabilities: at the first step, over the labels, summing to 1; None for an open question, or where the
            model does not give it.
        label_mass: probability of all labels together under the full vocabulary.
        constrained_by: how the constrained labels came about (`prediction_schema`).
        thoughts: what the model thought before it answered; the greedy text is what follows.
        thought_tokens: tokens of the thoughts, beside the generated ones of the greedy text.
    """

    place: int
    greedy_text: str
    prompt_tokens: int
    generated_tokens: int
    finish: str
    constrained_labels: tuple[int, ...] | None = None
    label_probabilities: tuple[float, ...] | None = None
    label_mass: float | None = None
    constrained_by: str | None = None
    thoughts: str = ""
    thought_tokens: int = 0


class Answerer(Protocol):
    """A model that answers: a local one, or one served elsewhere."""

    def check(self, requests: Iterator[Request]) -> None:
        """Refuse requests that the model cannot be asked, before the first is.

        Raises:
            InputError: naming the items.
        """
        ...

    def answers(self, requests: Sequence[Request], done: frozenset[int]) -> Iterator[list[Answer]]:
        """Answer a window of requests, in pieces that are worth saving.

        Args:
            requests: all requests of the window: the pieces of a resumed window are those of an uninterrupted one.
            done: places that an earlier run answered.
        """
        ...

    def facts(self) -> Mapping[str, Any]:
        """Return what the run record should say about the model and the way it was run."""
        ...


def requests_for(
    items: Sequence[Item], suite_name: str, benchmark: str, suite: Suite, spec: Questions, first_place: int
) -> list[Request]:
    """Return the requests for some items of a benchmark: every item with all its variants, as the table orders them."""
    requests: list[Request] = []
    for item in items:
        # An open question has nothing to permute.
        names = ("original",) if item.task == "oeq" else variants(suite.permutations)
        for variant in names:
            requests.append(
                Request(
                    place=first_place + len(requests),
                    suite=suite_name,
                    benchmark=benchmark,
                    variant=variant,
                    item=item,
                    order=displayed_order(item, variant, spec.seed),
                    new_tokens=_new_tokens(item, suite),
                    protocol=suite.protocol,
                )
            )
    return requests


def _new_tokens(item: Item, suite: Suite) -> int:
    if item.task == "oeq":
        return suite.max_new_tokens
    if item.task == "mcqu":
        return 1 if suite.protocol == "published" else suite.mcqu_new_tokens
    return 2 * len(item.options)


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
        by_row: dict[int, Item] = {}
        with pa.memory_map(str(self.path)) as source, pa.ipc.open_file(source) as reader:
            for number in np.unique(batches):
                inside = rows[batches == number]
                first = self.ends[number - 1] if number else 0
                taken = pa.Table.from_batches([reader.get_batch(int(number)).take(pa.array(inside - first))])
                by_row.update(zip(inside.tolist(), table_to_items(taken), strict=True))
        return [by_row[row] for row in rows.tolist()]


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
                for matches in _matching(batch, benchmark).combine_chunks().to_batches():
                    out.write_batch(matches)
                    ids.append(matches["id"])
                    tasks.append(matches["task"])
    if not ids:
        origins = f", origins {', '.join(benchmark.origins)}" if benchmark.origins else ""
        selection = f"split {benchmark.split}, task {' or '.join(benchmark.tasks)}{origins}"
        raise InputError(f"benchmark '{name}': no item of source '{benchmark.source}' has {selection}")
    id_column, task_column = pa.concat_arrays(ids), pa.concat_arrays(tasks)
    order = pc.sort_indices(id_column).to_numpy().astype(np.int64)
    if benchmark.limit is not None and benchmark.limit < len(order):
        smallest = heapq.nsmallest(benchmark.limit, order.tolist(), key=lambda row: _rank(id_column[row].as_py(), seed))
        order = np.array(sorted(smallest, key=lambda row: id_column[row].as_py()), dtype=np.int64)
    _refuse_repeated_ids(name, id_column.take(pa.array(order)))
    open_questions = pc.sum(pc.equal(task_column.take(pa.array(order)), "oeq")).as_py() or 0
    return Selection(scratch, order, np.cumsum([len(batch_ids) for batch_ids in ids]), open_questions)


def _rank(item_id: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}\x1flimit\x1f{item_id}".encode(), digest_size=16).digest()


def _batches(path: Path) -> Iterator[pa.Table]:
    """Yield a shard's rows, a few thousand at a time."""
    check_seal(path)
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a whole Parquet file ({str(error).splitlines()[0]})") from error
    missing = [column for column in item_schema().names if column not in file.schema_arrow.names]
    if missing:
        raise InputError(f"{path}: column '{missing[0]}' is missing; expected a table of items")
    for batch in file.iter_batches(batch_size=_BATCH, columns=item_schema().names):
        yield pa.Table.from_batches([batch]).select(item_schema().names).cast(item_schema())


def _matching(batch: pa.Table, benchmark: Benchmark) -> pa.Table:
    matches = pc.and_(pc.equal(batch["split"], benchmark.split), pc.is_in(batch["task"], pa.array(benchmark.tasks)))
    rows = batch.filter(matches)
    if benchmark.origins is not None:
        origins = set(benchmark.origins)
        rows = rows.filter(
            pa.array([json.loads(meta).get("origin") in origins for meta in rows["meta"].to_pylist()], pa.bool_())
        )
    return rows


def _refuse_repeated_ids(name: str, ids: pa.Array) -> None:
    repeated = pc.index(pc.equal(ids[:-1], ids[1:]), True).as_py()
    if repeated >= 0:
        raise InputError(f"benchmark '{name}': item '{ids[repeated].as_py()}' occurs twice; expected every id once")
