"""Near-duplicates: digests and signatures in one pass, candidates by MinHash and banding, each verified."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import pyarrow as pa

from posologie.records.tables import TableRows
from posologie.screening.population import Similar
from posologie.screening.quoting import Quotable, quotes
from posologie.screening.shingles import EMPTY, Shape, band_keys, in_blocks, shingles, signatures_of
from posologie.screening.text import digest, texts

log = logging.getLogger("posologie.screening")

_PAIRS_AT_ONCE = 1 << 13
_VERIFIED_AT_ONCE = 1 << 10
"""Pairs whose texts and shingles are in memory together."""
_JOINED_AT_ONCE = 1 << 22
"""Pairs of a join that are in memory before the first look at their signatures."""
_CROWD = 64
"""In a band, a training item is compared with so many before it: a boilerplate shared by thousands stays affordable."""

Texts = Callable[[np.ndarray], list[tuple[str, ...]]]
"""Gives the normalised fields (question, context, options) of the texts with these numbers, ascending."""


@dataclass(frozen=True)
class Candidates:
    """Pairs of texts that agree in a band.

    Attributes:
        pairs: int64 of shape (pairs, 2), the smaller number first, ascending.
        crowded: number of bands in which a training text agreed with more than `_CROWD` texts before it.
    """

    pairs: np.ndarray
    crowded: int


@dataclass(frozen=True)
class Join:
    """Texts whose pairs are met without a limit, as truth values by text.

    Attributes:
        targets: the texts on one side: those that are tested or compared with.
        queries: the texts on the other side: those that may repeat one.
        trained: the texts among which the limit holds.
    """

    targets: np.ndarray
    queries: np.ndarray
    trained: np.ndarray


def candidates(
    values: np.ndarray, of_interest: np.ndarray, join: Join | None = None, threshold: float = 0.0
) -> Candidates:
    """Return the pairs that agree in at least one band.

    Without a join, those with at least one text of interest, up to the limit. With one, those are only pairs of
    training texts, and all pairs of a target and a query come on top, if their signatures do not rule out a similarity
    of `threshold`.

    Args:
        values: signatures, shape (texts, rows, bands).
        of_interest: one truth value for each text.
    """
    count = len(values)
    limited: list[np.ndarray] = []
    joined: list[np.ndarray] = []
    crowded = 0
    numbers = np.flatnonzero((values != EMPTY).any(axis=(1, 2)))
    # Of each entry of one row the low byte alone: it decides most pairs of a join, and fits in the processor's cache.
    first_look = np.ascontiguousarray(values[:, 0]).astype(np.uint8)
    for band in range(values.shape[2]):
        keys, members = _repeated(band_keys(values, band)[numbers], numbers)
        if join is not None:
            for first, second in _joined(keys, members, join):
                near = _may_be_similar(first_look, first, second, threshold)
                first, second = first[near], second[near]
                joined.append(np.minimum(first, second) * count + np.maximum(first, second))
            # A similar pair agrees in many bands; kept once, it takes the same memory however many there are.
            joined = [_distinct(np.concatenate([np.empty(0, np.int64), *joined]))]
            keys, members = keys[join.trained[members]], members[join.trained[members]]
        # Equal keys stand in a row, so that a text meets those up to `_CROWD` places before it in one comparison each.
        for distance in range(1, _CROWD + 1):
            equal = np.flatnonzero(keys[distance:] == keys[:-distance])
            if not len(equal):
                break
            first, second = members[equal], members[equal + distance]
            compared = of_interest[first] | of_interest[second]
            limited.append(first[compared] * count + second[compared])
        crowded += int((keys[_CROWD + 1 :] == keys[: -_CROWD - 1]).sum()) if len(keys) > _CROWD + 1 else 0
    codes = _distinct(np.concatenate([np.empty(0, np.int64), *limited, *joined]))
    return Candidates(np.stack([codes // max(count, 1), codes % max(count, 1)], axis=1), crowded)


def _repeated(keys: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys that occur twice, ascending, and whose they are."""
    order = np.argsort(keys, kind="stable")
    keys, members = keys[order], numbers[order]
    repeated = np.zeros(len(keys), dtype=bool)
    repeated[1:] = keys[1:] == keys[:-1]
    repeated[:-1] |= repeated[1:]
    return keys[repeated], members[repeated]


def _joined(keys: np.ndarray, members: np.ndarray, join: Join) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield all pairs of a target and a query with one key, at most about `_JOINED_AT_ONCE` at a time."""
    left, right = np.flatnonzero(join.targets[members]), np.flatnonzero(join.queries[members])
    # The queries with a target's key are a run of `right`, because keys ascend: where it begins, and how long it is.
    first = np.searchsorted(keys[right], keys[left], side="left")
    sizes = np.searchsorted(keys[right], keys[left], side="right") - first
    left, first, sizes = left[sizes > 0], first[sizes > 0], sizes[sizes > 0]
    bounds = np.cumsum(sizes)
    start = 0
    while start < len(left):
        done = bounds[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(bounds, done + _JOINED_AT_ONCE, side="right")))
        # Counts from 0 in each run, all runs one after another, without a loop over the targets.
        own = sizes[start:stop]
        within = np.arange(own.sum()) - np.repeat(np.cumsum(own) - own, own)
        target = members[np.repeat(left[start:stop], own)]
        query = members[right[np.repeat(first[start:stop], own) + within]]
        yield target[target != query], query[target != query]
        start = stop


def _may_be_similar(look: np.ndarray, left: np.ndarray, right: np.ndarray, threshold: float) -> np.ndarray:
    """Return which pairs a part of their signatures, shape (texts, entries), does not rule out."""
    least = _least(threshold, look.shape[1])
    blocks = range(0, len(left), _PAIRS_AT_ONCE)
    parts = [slice(first, first + _PAIRS_AT_ONCE) for first in blocks]
    equal = [np.count_nonzero(look[left[part]] == look[right[part]], axis=1) for part in parts]
    possible: np.ndarray = np.concatenate([np.empty(0, np.int64), *equal]) / look.shape[1] >= least
    return possible


def _least(threshold: float, entries: int) -> float:
    """Return the share of equal entries five standard errors below a similarity."""
    return float(threshold - 5 * (threshold * (1 - threshold) / entries) ** 0.5)


def likely(pairs: np.ndarray, values: np.ndarray, threshold: float) -> np.ndarray:
    """Return the pairs whose signatures do not rule out a similarity of `threshold`.

    The share of equal entries estimates the similarity; a pair is ruled out five standard errors below the threshold,
    first by the low bytes of one row of the signatures, which lie together in memory, then by all.
    """
    for part in (values[:, :1].astype(np.uint8), values):
        entries = part.shape[1] * part.shape[2]
        least = _least(threshold, entries)
        blocks = np.array_split(pairs, len(pairs) // _PAIRS_AT_ONCE + 1)
        equal = (np.count_nonzero(part[block[:, 0]] == part[block[:, 1]], axis=(1, 2)) for block in blocks)
        pairs = np.concatenate([block[count / entries >= least] for block, count in zip(blocks, equal, strict=True)])
    return pairs


def verified(pairs: np.ndarray, texts: Texts, threshold: float, width: int) -> list[Similar]:
    """Return the pairs that are near-duplicates.

    They are, if the Jaccard similarity of their shingles is at least the threshold, and if at least that part of what
    each one asks (question and options, without context) occurs in the other: two questions on one case are not alike.
    """
    similar: list[Similar] = []
    for part in np.array_split(_by_neighbourhood(pairs), len(pairs) // _VERIFIED_AT_ONCE + 1):
        numbers = np.unique(part)
        block = texts(numbers)
        whole = _sets(block, width)
        close = []
        for i, j in np.searchsorted(numbers, part).tolist():
            common = _common(whole[i], whole[j])
            similarity = common / (len(whole[i]) + len(whole[j]) - common)
            if similarity >= threshold:
                close.append((i, j, similarity))
        # Few pairs are close, so what is asked is cut into shingles for those alone.
        needed = sorted({side for i, j, _ in close for side in (i, j)})
        questions = dict(
            zip(needed, _sets([(block[side][0], *block[side][2:]) for side in needed], width), strict=True)
        )
        for i, j, similarity in close:
            sides = ((i, j), (j, i))
            if all(_common(questions[left], whole[right]) >= threshold * len(questions[left]) for left, right in sides):
                similar.append(Similar(int(numbers[i]), int(numbers[j]), similarity))
    return sorted(similar, key=lambda pair: (pair.first, pair.second))


def _by_neighbourhood(pairs: np.ndarray) -> np.ndarray:
    """Return the pairs in an order in which those of a text and of its neighbours come together.

    The questions on one case are all alike: so each of their texts is cut into shingles once, not once a pair.
    """
    # The smallest number that a text is paired with stands for its neighbourhood; pairs have the smaller number first.
    first = np.arange(pairs.max(initial=-1) + 1)
    np.minimum.at(first, pairs[:, 1], pairs[:, 0])
    return pairs[np.argsort(first[pairs[:, 0]], kind="stable")]


def _sets(items: Sequence[Sequence[str]], width: int) -> list[np.ndarray]:
    """Return the different shingles of each item, ascending."""
    hashes, bounds = shingles(items, width)
    return [_distinct(hashes[first:last]) for first, last in pairwise(bounds.tolist())]


def _distinct(values: np.ndarray) -> np.ndarray:
    """Return the different values, ascending, by sorting; `np.unique` hashes, which is slower for integers."""
    ordered = np.sort(values)
    return ordered[np.r_[True, ordered[1:] != ordered[:-1]]] if len(ordered) else ordered


def _common(a: np.ndarray, b: np.ndarray) -> int:
    """Return the number of values that two sets, ascending, share."""
    both = np.concatenate([a, b])
    both.sort(kind="stable")  # which merges two sorted runs
    return int(np.count_nonzero(both[1:] == both[:-1]))


def near_duplicates(
    values: np.ndarray, texts: Texts, of_interest: np.ndarray, threshold: float, width: int, join: Join | None = None
) -> tuple[list[Similar], int]:
    """Return the near-duplicates, and how often training texts were crowded.

    Args:
        values: signatures of the texts, shape (texts, rows, bands).
        texts: gives their fields.
        of_interest: one truth value for each text: a pair includes at least one.
        join: which pairs are compared without a limit, whatever is of interest.
    """
    met = candidates(values, of_interest, join, threshold)
    pairs = likely(met.pairs, values, threshold)
    similar = verified(pairs, texts, threshold, width)
    log.info("%d texts, %d pairs met, %d likely, %d similar", len(values), len(met.pairs), len(pairs), len(similar))
    return similar, met.crowded


_ITEMS_AT_ONCE = 2048


@dataclass(frozen=True, slots=True)
class Sketches:
    """What is kept of the texts of items, by position.

    Attributes:
        texts: digest of question, context and options.
        contexts: digest of the context; None where there is none.
        answers: digest of the right answer.
        options: digest of the set of options; empty where there are none.
        signatures: uint32 of shape (items, rows, bands); None where only equal texts count.
        quotes: item and n-gram of a tested question that it has, int64 of shape (hits, 2).
    """

    texts: list[bytes]
    contexts: list[bytes | None]
    answers: list[bytes]
    options: list[bytes]
    signatures: np.ndarray | None
    quotes: np.ndarray


def sketches(items: pa.Table, shape: Shape | None, processes: int, quotable: Quotable | None = None) -> Sketches:
    """Sketch all items. The number of processes changes no result.

    Args:
        items: the items.
        shape: how texts are signed; None: not at all.
        processes: number of processes.
        quotable: n-grams that are looked for; None: none are.
    """
    texts: list[bytes] = []
    contexts: list[bytes | None] = []
    answers: list[bytes] = []
    options: list[bytes] = []
    hits = [np.empty((0, 2), dtype=np.int64)]
    values = None if shape is None else np.empty((items.num_rows, shape.rows, shape.bands), dtype=np.uint32)
    rows = TableRows(items.select(["id", "question", "context", "options", "gold", "answer"]))
    firsts = range(0, items.num_rows, _ITEMS_AT_ONCE)
    blocks = (rows.at(np.arange(first, min(first + _ITEMS_AT_ONCE, items.num_rows))) for first in firsts)
    for block in in_blocks(Sketcher(shape, quotable).sketch, blocks, len(firsts), processes):
        if values is not None:
            values[len(texts) : len(texts) + len(block.texts)] = block.signatures
        hits.append(block.quotes + np.array([len(texts), 0]))
        texts += block.texts
        contexts += block.contexts
        answers += block.answers
        options += block.options
    return Sketches(texts, contexts, answers, options, values, np.concatenate(hits))


@dataclass
class Sketcher:
    """What each block of items is sketched with.

    Attributes:
        shape: how texts are signed; None: not at all.
        quotable: n-grams that are looked for; None: none are.
    """

    shape: Shape | None
    quotable: Quotable | None

    @cached_property
    def table(self) -> np.ndarray | None:
        """Return the table of the n-grams; each process makes its own."""
        return None if self.quotable is None else self.quotable.table()

    def sketch(self, items: pa.Table) -> Sketches:
        """Sketch some items. An item without any letter, digit or symbol is like no other."""
        block = texts(items)
        quoted = np.empty((0, 2), dtype=np.int64)
        if self.quotable is not None and self.table is not None:
            lines = [" ".join(field for field in (*text.fields, *text.answer) if field) for text in block]
            quoted = quotes(lines, self.quotable, self.table)
        return Sketches(
            texts=[
                digest(text.fields if any(text.fields) else (name,))
                for text, name in zip(block, items["id"].to_pylist(), strict=True)
            ],
            contexts=[digest(text.fields[1:2]) if text.fields[1] else None for text in block],
            answers=[digest(text.answer) for text in block],
            options=[digest(text.fields[2:]) if text.fields[2:] else b"" for text in block],
            signatures=None if self.shape is None else signatures_of([text.fields for text in block], self.shape),
            quotes=quoted,
        )
