"""Which items a mix takes: how many of each source, and which ones, the same on any machine."""

import hashlib
import heapq
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from posologie.mixes.spec import Mix
from posologie.records.items import item_schema, read_item_table
from posologie.running.errors import InputError


def sainte_lague(
    weights: Mapping[str, int | float], seats: int, held: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Apportion seats to names by the method of Webster and Sainte-Laguë, in exact arithmetic.

    With integer weights that sum to at least `seats`, no name gets more seats than its weight. Seats awarded under caps
    are house-monotone too, since the caps only take names out of an unchanged order.

    Args:
        weights: weight of each name, above zero (a float counts as the decimal number that it prints as).
        seats: number of seats to award.
        held: the most that each name can get; no limit if left out.

    Returns:
        The seats of each name. They sum to less than `seats` only where all names are at their limit.

    Source: the method of Webster in Balinski and Young, *Fair Representation* (1982), who show that divisor methods
    are house-monotone.
    """
    exact = {name: Fraction(str(weights[name])) for name in sorted(weights)}
    limit = {name: seats if held is None else min(seats, held[name]) for name in exact}
    if not exact or seats <= 0:
        return dict.fromkeys(exact, 0)
    # All awards with (2 × award + 1) / weight below this bound come before any other, and are at most `seats`.
    bound = max(Fraction(0), 2 * (seats - len(exact)) / sum(exact.values(), Fraction(0)))
    awards = {name: min(limit[name], max(0, math.ceil((bound * exact[name] - 1) / 2))) for name in exact}
    queue = [((2 * awards[name] + 1) / exact[name], name) for name in exact if awards[name] < limit[name]]
    heapq.heapify(queue)
    for _ in range(seats - sum(awards.values())):
        if not queue:
            break
        _, name = queue[0]
        awards[name] += 1
        if awards[name] < limit[name]:
            heapq.heapreplace(queue, ((2 * awards[name] + 1) / exact[name], name))
        else:
            heapq.heappop(queue)
    return awards


_TEXT = ("question", "context", "options")
_COLUMNS_OF = {"task": (), "source": ("source", "meta"), "subject": ("meta",), "length": _TEXT}


@dataclass(frozen=True)
class Pool:
    """What a mix may draw from one source: its items of the mix's tasks, in the order of the file.

    Attributes:
        rows: row of each item in the file, int64.
        ids: ids, as the file has them.
        stratum: number of each item's stratum, int64.
        strata: names of the strata by number; one without a name where the mix has none.
    """

    source: str
    path: str
    rows: np.ndarray
    ids: list[str]
    stratum: np.ndarray
    strata: list[str]

    def held(self) -> dict[str, int]:
        """Return the number of items in each stratum."""
        counts = np.bincount(self.stratum, minlength=len(self.strata)).tolist()
        return dict(zip(self.strata, counts, strict=True))


def read_pool(source: str, path: str | os.PathLike[str], tasks: Sequence[str], mix: Mix | None = None) -> Pool:
    """Read what can be drawn from a screened shard, with the strata of the mix.

    Raises:
        InputError: if the file is no table of items, holds another source, or holds an id twice.
    """
    strata = mix.strata if mix is not None else ()
    needed = {"id", "source", "task", *(column for stratum in strata for column in _COLUMNS_OF[stratum])}
    table = read_item_table(path, columns=[name for name in item_schema().names if name in needed])
    foreign = pc.unique(table["source"]).to_pylist()
    if foreign not in ([], [source]):
        raise InputError(f"{path}: items of source {', '.join(foreign)}; expected {source} alone")
    rows = np.flatnonzero(pc.is_in(table["task"], value_set=pa.array(tasks, pa.string())).to_numpy())
    table = table.take(pa.array(rows))
    ids = table["id"].to_pylist()
    if pc.count_distinct(table["id"]).as_py() < len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise InputError(f"{path}: two items with the id {twice}; expected different ids")
    if not strata or mix is None or not ids:
        return Pool(source, os.fspath(path), rows, ids, np.zeros(len(ids), np.int64), [""] if ids else [])
    names = pa.array(_strata(table, mix)).dictionary_encode()
    return Pool(
        source, os.fspath(path), rows, ids, names.indices.to_numpy().astype(np.int64), names.dictionary.to_pylist()
    )


def _strata(table: pa.Table, mix: Mix) -> list[str]:
    meta = [json.loads(text) for text in table["meta"].to_pylist()] if "meta" in table.column_names else []
    columns: list[list[str]] = []
    for stratum in mix.strata:
        if stratum == "task":
            columns.append(table["task"].to_pylist())
        elif stratum == "length":
            columns.append(_length_bands(characters(table), mix.length_bands))
        elif stratum == "source":
            sources = table["source"].to_pylist()
            columns.append([str(facts.get("origin") or name) for facts, name in zip(meta, sources, strict=True)])
        else:
            columns.append([str(facts.get("subject") or "unknown") for facts in meta])
    return ["/".join(values) for values in zip(*columns, strict=True)]


def characters(table: pa.Table) -> np.ndarray:
    """Return the number of characters in question, context and options of each item."""
    options = table["options"].combine_chunks()  # the parents of a list's values are numbered by chunk
    texts = pc.utf8_length(pc.list_flatten(options)).to_numpy()
    lengths = np.bincount(pc.list_parent_indices(options).to_numpy(), weights=texts, minlength=table.num_rows)
    return sum((pc.utf8_length(table[name]).to_numpy() for name in ("question", "context")), lengths.astype(np.int64))


def _length_bands(lengths: np.ndarray, bounds: Sequence[int]) -> list[str]:
    names = [f"under-{bound}" for bound in bounds] + [f"from-{bounds[-1]}" if bounds else "any"]
    return [names[band] for band in np.searchsorted(np.array(bounds), lengths, side="right")]


def seeded_rank(ids: Iterable[str], seed: int, purpose: str) -> np.ndarray:
    """Return a 64-bit number for each id that depends on seed, purpose and id alone (BLAKE2b)."""
    key = f"{seed}\x1f{purpose}\x1f".encode()
    digests = b"".join(hashlib.blake2b(key + name.encode(), digest_size=8).digest() for name in ids)
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)


def seeded_order(ids: Sequence[str], seed: int, purpose: str) -> np.ndarray:
    """Return the positions of the ids in the order of their seeded rank; equal ranks in the order of the ids."""
    rank = seeded_rank(ids, seed, purpose)
    order = np.argsort(rank)
    if (np.diff(rank[order]) == 0).any():  # a collision of 64-bit hashes
        order = np.lexsort((np.array(ids, dtype=str), rank))
    return order


@dataclass(frozen=True)
class Draw:
    """What was drawn from one source.

    Attributes:
        rows: rows of the file, ascending.
        strata: for each stratum what the source held, what the shares asked for, and what was taken.
        repeats: how often each row stands in the training set; once if None.
    """

    source: str
    path: str
    rows: np.ndarray
    strata: dict[str, dict[str, int]]
    repeats: np.ndarray | None = None


def stratum_quotas(pool: Pool, count: int, mix: Mix | None = None) -> dict[str, dict[str, int]]:
    """Return, for each stratum of a source, what it holds, what the shares ask for, and what `count` items take of it.

    Raises:
        InputError: naming the stratum that holds too little (unless the mix redistributes), or the source.
    """
    held = pool.held()
    weights: dict[str, int | float]
    if mix is None or mix.stratum_shares == "as_held":
        weights = dict(held)
    elif mix.stratum_shares == "equal":
        weights = dict.fromkeys(held, 1)
    else:
        weights = dict(mix.stratum_shares)
    held = {name: held.get(name, 0) for name in weights}
    requested = sainte_lague(weights, count)
    taken = sainte_lague(weights, count, held)
    if sum(taken.values()) < count:
        stock = ", ".join(f"{name or 'all'} {number}" for name, number in sorted(held.items()))
        raise InputError(f"source {pool.source}: {count} items requested; held in {pool.path}: {stock}")
    short = next((name for name in sorted(requested) if requested[name] > held[name]), None)
    if short is not None and mix is not None and mix.shortfall == "fail":
        raise InputError(
            f"source {pool.source}, stratum {short}: {requested[short]} items requested, {held[short]} held in "
            f"{pool.path}; lower the size or the share, or set shortfall: redistribute"
        )
    return {name: {"held": held[name], "asked": requested[name], "taken": taken[name]} for name in sorted(taken)}


def draw(pool: Pool, count: int, seed: int, mix: Mix | None = None) -> Draw:
    """Draw `count` items from a source, stratum by stratum where there is a mix that names strata.

    Raises:
        InputError: naming the stratum that holds too little (unless the mix redistributes), or the source.
    """
    strata = stratum_quotas(pool, count, mix)
    taken = {name: facts["taken"] for name, facts in strata.items()}
    order = seeded_order(pool.ids, seed, "sample")
    stratum = pool.stratum[order]
    chosen = [pool.rows[order[stratum == number][: taken.get(name, 0)]] for number, name in enumerate(pool.strata)]
    rows = np.sort(np.concatenate([np.empty(0, np.int64), *chosen]))
    return Draw(pool.source, pool.path, rows, strata)


def repeated(drawn: Draw, count: int, ids: Sequence[str], seed: int) -> Draw:
    """Return a draw whose items are repeated until there are `count` rows.

    All items are repeated equally often, some once more; a seeded hash of their ids decides which.

    Args:
        ids: of the drawn items, in the order of their rows.
    """
    times, more = divmod(count, len(drawn.rows))
    repeats = np.full(len(drawn.rows), times)
    repeats[seeded_order(ids, seed, "repeat")[:more]] += 1
    return replace(drawn, repeats=repeats)


def read_rows(path: str | os.PathLike[str], rows: np.ndarray, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the given rows (ascending) of a table of items, or some of its columns, one row group at a time."""
    schema = item_schema() if columns is None else pa.schema([item_schema().field(name) for name in columns])
    parts = [schema.empty_table()]
    with pq.ParquetFile(path) as file:
        first = 0
        for group in range(file.num_row_groups):
            last = first + file.metadata.row_group(group).num_rows
            inside = rows[(rows >= first) & (rows < last)] - first
            if len(inside):
                table = file.read_row_group(group, columns=schema.names)
                parts.append(table.take(pa.array(inside)).cast(schema))
            first = last
    return pa.concat_tables(parts)
