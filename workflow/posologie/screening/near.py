"""Near-duplicates: candidates by MinHash and banding, each verified by the exact Jaccard similarity of its shingles."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from posologie.screening.matching import Similar
from posologie.screening.shingles import EMPTY, band_keys, banding, shingles, signatures

log = logging.getLogger("posologie.screening")

_TEXTS_AT_ONCE = 2048
_HASHED_AT_ONCE = 256  # few enough for their hashes to stay in the processor's cache
_PAIRS_AT_ONCE = 1 << 14
_CROWD = 64
"""In a band, an item is compared with so many items before it: a boilerplate shared by thousands stays affordable."""

Texts = Callable[[np.ndarray], list[tuple[str, ...]]]
"""Gives the normalised fields (question, context, options) of the texts with these numbers, ascending."""


@dataclass(frozen=True)
class Candidates:
    """Pairs of texts that agree in a band.

    Attributes:
        pairs: int64 of shape (pairs, 2), the smaller number first, ascending.
        crowded: number of bands in which a text agreed with more than `_CROWD` texts before it.
    """

    pairs: np.ndarray
    crowded: int


def candidates(values: np.ndarray, of_interest: np.ndarray) -> Candidates:
    """Return the pairs that agree in at least one band, of which at least one text is of interest.

    Args:
        values: signatures, shape (texts, rows, bands).
        of_interest: one truth value for each text.
    """
    count = len(values)
    found: list[np.ndarray] = []
    crowded = 0
    alive = (values != EMPTY).any(axis=(1, 2))
    numbers = np.flatnonzero(alive)
    for band in range(values.shape[2]):
        keys = band_keys(values[numbers], band)
        order = np.argsort(keys, kind="stable")
        keys, members = keys[order], numbers[order]
        repeated = np.zeros(len(keys), dtype=bool)
        repeated[1:] = keys[1:] == keys[:-1]
        repeated[:-1] |= repeated[1:]
        keys, members = keys[repeated], members[repeated]
        for distance in range(1, _CROWD + 1):
            equal = np.flatnonzero(keys[distance:] == keys[:-distance])
            if not len(equal):
                break
            one, other = members[equal], members[equal + distance]
            wanted = of_interest[one] | of_interest[other]
            found.append(one[wanted] * count + other[wanted])
        crowded += int((keys[_CROWD + 1 :] == keys[: -_CROWD - 1]).sum()) if len(keys) > _CROWD + 1 else 0
    codes = np.unique(np.concatenate([np.empty(0, np.int64), *found]))
    return Candidates(np.stack([codes // max(count, 1), codes % max(count, 1)], axis=1), crowded)


def signatures_of(count: int, texts: Texts, rows: int, bands: int, width: int) -> np.ndarray:
    """Return the signatures of texts 0 to `count` - 1, shape (count, rows, bands)."""
    values = np.empty((count, rows, bands), dtype=np.uint32)
    for first in range(0, count, _TEXTS_AT_ONCE):
        block = texts(np.arange(first, min(first + _TEXTS_AT_ONCE, count)))
        for start in range(0, len(block), _HASHED_AT_ONCE):
            part = block[start : start + _HASHED_AT_ONCE]
            values[first + start : first + start + len(part)] = signatures(*shingles(part, width), rows, bands)
    return values


def likely(pairs: np.ndarray, values: np.ndarray, threshold: float) -> np.ndarray:
    """Return the pairs whose signatures do not rule out a similarity of `threshold`.

    The share of equal entries estimates the similarity; a pair is ruled out five standard errors below the threshold.
    """
    entries = values.shape[1] * values.shape[2]
    least = threshold - 5 * (threshold * (1 - threshold) / entries) ** 0.5
    chosen = [
        part[(values[part[:, 0]] == values[part[:, 1]]).mean(axis=(1, 2)) >= least]
        for part in np.array_split(pairs, len(pairs) // _PAIRS_AT_ONCE + 1)
    ]
    return np.concatenate(chosen)


def verified(pairs: np.ndarray, texts: Texts, threshold: float, width: int) -> list[Similar]:
    """Return the pairs that are near-duplicates.

    They are, if the Jaccard similarity of their shingles is at least the threshold, and if at least that part of what
    each one asks (question and options, without context) occurs in the other: two questions on one case are not alike.
    """
    found: list[Similar] = []
    for part in np.array_split(pairs, len(pairs) // _PAIRS_AT_ONCE + 1):
        numbers = np.unique(part)
        block = texts(numbers)
        whole = _sets(block, width)
        asked = _sets([(one[0], *one[2:]) for one in block], width)
        for one, other in np.searchsorted(numbers, part):
            common = len(np.intersect1d(whole[one], whole[other], assume_unique=True))
            similarity = common / (len(whole[one]) + len(whole[other]) - common)
            if similarity >= threshold and all(
                len(np.intersect1d(asked[left], whole[right], assume_unique=True)) >= threshold * len(asked[left])
                for left, right in ((one, other), (other, one))
            ):
                found.append(Similar(int(numbers[one]), int(numbers[other]), similarity))
    return found


def _sets(texts: Sequence[Sequence[str]], width: int) -> list[np.ndarray]:
    hashes, bounds = shingles(texts, width)
    return [np.unique(hashes[first:last]) for first, last in zip(bounds[:-1], bounds[1:], strict=True)]


def near_duplicates(
    count: int, texts: Texts, of_interest: np.ndarray, threshold: float, width: int
) -> tuple[list[Similar], int]:
    """Return the near-duplicates among texts 0 to `count` - 1 of which at least one is of interest, and the crowding."""
    rows, bands = banding(threshold)
    values = signatures_of(count, texts, rows, bands, width)
    met = candidates(values, of_interest)
    pairs = likely(met.pairs, values, threshold)
    del values
    similar = verified(pairs, texts, threshold, width)
    log.info("%d texts, %d candidates, %d likely, %d near-duplicates", count, len(met.pairs), len(pairs), len(similar))
    return similar, met.crowded
