"""Twins by lineage: items that come from one item, by the ids and text hashes that they carry."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np

from posologie.lineage import ancestors, text_hash
from posologie.rows import TableRows
from posologie.screening.matching import Match, place_of
from posologie.screening.population import Population

_MARKS = ('"translated_from"', '"lineage"')
_ITEMS_AT_ONCE = 4096


def lineage_matches(whole: Population) -> list[Match]:
    """Return the pairs of a query and a target of which one is the other's ancestor, or that have one in common."""
    rows = TableRows(whole.table.select(["id", "question", "context", "options", "meta"]))
    of_name: dict[str, list[int]] = defaultdict(list)
    for position, names in _names(rows, whole.targets):
        for name in names:
            of_name[name].append(position)
    found = []
    for item, names in _names(rows, whole.queries):
        for other in sorted({other for name in names for other in of_name.get(name, ()) if other != item}):
            place = place_of(whole, other)
            if place == "test" or (place == "compared" and item >= whole.screened.start):
                found.append(Match(item, other, place, "lineage", None))
    return found


def _names(rows: TableRows, positions: Iterable[int]) -> Iterator[tuple[int, set[str]]]:
    """Yield each position with the names of its item: its id, its text hash, and those of its ancestors."""
    chosen = np.array(list(positions), dtype=np.int64)
    for first in range(0, len(chosen), _ITEMS_AT_ONCE):
        block = chosen[first : first + _ITEMS_AT_ONCE]
        table = rows.at(block)
        columns = [table[name].to_pylist() for name in ("id", "question", "context", "options", "meta")]
        for position, (name, question, context, options, meta) in zip(
            block.tolist(), zip(*columns, strict=True), strict=True
        ):
            names = {name, text_hash(question, context, options)}
            if any(mark in meta for mark in _MARKS):
                names |= ancestors(json.loads(meta))
            yield position, names
