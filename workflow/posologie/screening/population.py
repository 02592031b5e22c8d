"""The items that are compared: those tested on, those of earlier sources, those screened; and which are the same."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from posologie.errors import InputError
from posologie.items import item_schema, read_item_table
from posologie.screening.spec import Tested


@dataclass(frozen=True)
class Population:
    """All items that are compared, in one table: tested, only compared, of earlier sources, screened.

    Attributes:
        table: the items.
        tested: number of tested items; they come first.
        compared: number of items that are only compared, such as the originals of the tests; they come next.
        earlier: number of items of earlier sources; they come next.
        rank: place of each item in an order that does not depend on the order of rows: by these sections, sources as
            given, and by id inside each.
        suites: for each tested item, the suites that test on it.
    """

    table: pa.Table
    tested: int
    compared: int
    earlier: int
    rank: np.ndarray
    suites: list[tuple[str, ...]]

    @property
    def targets(self) -> range:
        """Return the positions of the items that no training item may repeat: tested and only compared."""
        return range(self.tested + self.compared)

    @property
    def queries(self) -> list[int]:
        """Return the positions of the items that may repeat a target: only compared and screened."""
        return [*range(self.tested, self.tested + self.compared), *self.screened]

    @property
    def screened(self) -> range:
        """Return the positions of the screened items."""
        return range(self.tested + self.compared + self.earlier, self.table.num_rows)


def population(
    items: pa.Table,
    earlier: Sequence[tuple[str, str | os.PathLike[str]]],
    tests: Sequence[tuple[str, str | os.PathLike[str]]],
    suites: Mapping[str, Sequence[Tested]],
    compared: Sequence[tuple[str, str | os.PathLike[str]]] = (),
) -> Population:
    """Gather the items that are compared.

    Args:
        items: the items that are screened.
        earlier: source and file of shards of earlier sources.
        tests: source and file of the shards that suites test on.
        suites: what each suite tests on.
        compared: source and file of shards that are only compared.

    Raises:
        InputError: if no shard of a source and split that a suite tests on is given, or two screened items have one id.
    """
    tested = pa.concat_tables([item_schema().empty_table(), *(_of_source(source, path) for source, path in tests)])
    shards = {(row["source"], row["split"]) for row in tested.select(["source", "split"]).to_pylist()}
    for suite, parts in sorted(suites.items()):
        for part in parts:
            if part.source not in {source for source, _ in tests}:
                raise InputError(f"suite {suite}: no shard of its source {part.source} is given")
            if (part.source, part.split) not in shards:
                raise InputError(f"suite {suite}: the shards of {part.source} hold no item of split {part.split}")
    of_item = suites_of(tested, suites)
    inside = np.array([bool(names) for names in of_item], dtype=bool)
    tested = tested.filter(pa.array(inside))
    originals = pa.concat_tables(
        [item_schema().empty_table(), *(_of_source(source, path) for source, path in compared)]
    )
    before = [_of_source(source, path) for source, path in earlier]
    table = pa.concat_tables([tested, originals, *before, items])
    if len(pc.unique(items["id"])) < items.num_rows:
        twice = max(pc.value_counts(items["id"]).to_pylist(), key=lambda entry: entry["counts"])["values"]
        raise InputError(f"two screened items with the id {twice}; expected different ids")
    sections = [tested.num_rows, originals.num_rows, *(part.num_rows for part in before), items.num_rows]
    section = np.repeat(np.arange(len(sections)), sections)
    rank = np.empty(table.num_rows, dtype=np.int64)
    rank[np.lexsort((np.array(table["id"].to_pylist(), dtype=str), section))] = np.arange(table.num_rows)
    names = [own for own in of_item if own]
    return Population(table, tested.num_rows, originals.num_rows, sum(sections[2:-1]), rank, names)


def _of_source(source: str, path: str | os.PathLike[str]) -> pa.Table:
    table = read_item_table(path)
    foreign = set(pc.unique(table["source"]).to_pylist()) - {source}
    if foreign:
        raise InputError(f"{path}: items of source {min(foreign)}; expected {source} alone")
    return table


def suites_of(tested: pa.Table, suites: Mapping[str, Sequence[Tested]]) -> list[tuple[str, ...]]:
    """Return for each item the suites that test on it, in alphabetical order."""
    of_item: list[tuple[str, ...]] = [()] * tested.num_rows
    for name, parts in sorted(suites.items()):
        inside = np.zeros(tested.num_rows, dtype=bool)
        for part in parts:
            mask = pc.and_(pc.equal(tested["source"], part.source), pc.equal(tested["split"], part.split))
            mask = pc.and_(mask, pc.is_in(tested["task"], value_set=pa.array(part.tasks, pa.string()))).to_numpy()
            if part.origins is not None:
                origins = [json.loads(text).get("origin") for text in tested["meta"].to_pylist()]
                mask = mask & np.array([origin in part.origins for origin in origins], dtype=bool)
            inside |= mask
        of_item = [(*names, name) if chosen else names for names, chosen in zip(of_item, inside, strict=True)]
    return of_item


@dataclass(frozen=True)
class Classes:
    """Which items have the same normalised text.

    Attributes:
        of_item: class of each item by question, context and options; numbered in the order of rank.
        members: positions of each class, in the order of rank.
        of_context: class of each item's context, or -1 where it has none.
    """

    of_item: np.ndarray
    members: list[list[int]]
    of_context: np.ndarray


def classes(whole: Population, texts: Sequence[bytes], contexts: Sequence[bytes | None]) -> Classes:
    """Number the different texts and contexts of a population, given their digests by position."""
    of_item = np.empty(len(texts), dtype=np.int64)
    of_context = np.full(len(texts), -1, dtype=np.int64)
    numbers: dict[bytes, int] = {}
    context_numbers: dict[bytes, int] = {}
    members: list[list[int]] = []
    for position in np.argsort(whole.rank).tolist():
        number = of_item[position] = numbers.setdefault(texts[position], len(numbers))
        if number == len(members):
            members.append([])
        members[number].append(position)
        context = contexts[position]
        if context is not None:
            of_context[position] = context_numbers.setdefault(context, len(context_numbers))
    return Classes(of_item, members, of_context)
