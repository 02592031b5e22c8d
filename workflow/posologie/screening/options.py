"""The same options and the same right answer: a tested question whose stem was reworded."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from posologie.rows import TableRows
from posologie.screening.matching import Match, place_of
from posologie.screening.population import Population
from posologie.screening.shingles import shingles
from posologie.screening.text import Text, texts

_LETTERS = 25
"""Letters in all options from which a set of options can tell a question: `yes, no` or `A, B, C` cannot."""
_OPTIONS = 3
_AGREEING = 0.75
"""Share of the items with one set of options that must have one right answer: a list of bacteria that different
questions share has different ones."""
_SAME_STEM = 0.3
"""Similarity of the stems from which a set of options need not tell the question alone."""
_ITEMS_AT_ONCE = 4096


def options_matches(whole: Population, options: Sequence[bytes], answers: Sequence[bytes], width: int) -> list[Match]:
    """Return the pairs of a query and a target with the same set of options and the same right answer.

    A pair counts if its stems are at least 0.3 similar, or if the options tell the question: three or more, not too
    short, and with the same right answer in nearly all items that have them.

    Args:
        whole: the population.
        options: digest of the set of options of each item, by position; empty where it has none.
        answers: digest of the right answer of each item.
        width: characters of a shingle.
    """
    sharing: dict[bytes, list[int]] = defaultdict(list)
    for position in whole.targets:
        if options[position]:
            sharing[options[position]].append(position)
    queries: dict[bytes, list[int]] = defaultdict(list)
    for position in whole.queries:
        if options[position] in sharing:
            queries[options[position]].append(position)
    rows = TableRows(whole.table.select(["question", "context", "answer", "options", "gold"]))
    found: list[Match] = []
    keys = sorted(queries, key=lambda key: int(whole.rank[sharing[key][0]]))
    for block in _blocks(keys, {key: len(sharing[key]) + len(queries[key]) for key in keys}):
        positions = np.array(sorted({one for key in block for one in (*sharing[key], *queries[key])}), dtype=np.int64)
        normal = dict(zip(positions.tolist(), texts(rows.at(positions)), strict=True))
        stems = {position: set(shingles([text.fields[:2]], width)[0].tolist()) for position, text in normal.items()}
        for key in block:
            telling = _telling(normal[sharing[key][0]]) and _agreeing([*sharing[key], *queries[key]], answers)
            for item in queries[key]:
                for other in sharing[key]:
                    place = place_of(whole, other)
                    if answers[item] != answers[other] or other == item:
                        continue
                    if place != "test" and item < whole.screened.start:
                        continue
                    similarity = _jaccard(stems[item], stems[other])
                    if telling or similarity >= _SAME_STEM:
                        found.append(Match(item, other, place, "options", similarity))
    return found


def _blocks(keys: Sequence[bytes], sizes: dict[bytes, int]) -> list[list[bytes]]:
    blocks: list[list[bytes]] = [[]]
    held = 0
    for key in keys:
        if held > _ITEMS_AT_ONCE:
            blocks.append([])
            held = 0
        blocks[-1].append(key)
        held += sizes[key]
    return blocks


def _telling(text: Text) -> bool:
    options = text.fields[2:]
    return len(set(options)) >= _OPTIONS and sum(map(len, options)) >= _LETTERS


def _agreeing(positions: Sequence[int], answers: Sequence[bytes]) -> bool:
    counts: dict[bytes, int] = defaultdict(int)
    for position in positions:
        counts[answers[position]] += 1
    return max(counts.values()) >= _AGREEING * len(positions)


def _jaccard(one: set[int], other: set[int]) -> float:
    return len(one & other) / len(one | other) if one or other else 1.0
