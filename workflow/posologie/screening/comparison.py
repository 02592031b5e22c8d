"""Compare a population: equal texts, similar texts, shared cases and groups."""

from dataclasses import dataclass

import numpy as np

from posologie.rows import TableRows
from posologie.screening.matching import Match, Similar, group_matches, matches
from posologie.screening.near import near_duplicates
from posologie.screening.population import Classes, Population, classes
from posologie.screening.shingles import Shape, shape_for, signatures_of
from posologie.screening.sketches import sketches
from posologie.screening.spec import Comparing
from posologie.screening.text import normalised, texts


@dataclass(frozen=True)
class Compared:
    """What a comparison found.

    Attributes:
        found: every match of the screened items.
        answers: digest of each item's right answer, by position.
        crowded: how often a text was similar to so many that it was not compared with all of them.
    """

    found: list[Match]
    answers: list[bytes]
    crowded: int


def compare(whole: Population, comparing: Comparing, scope: tuple[str, ...], processes: int = 1) -> Compared:
    """Find every match of the screened items of a population."""
    threshold = comparing.similarity
    shape = None if threshold is None else shape_for(threshold, comparing.shingle)
    sketched = sketches(whole.table, shape, processes)
    same = classes(whole, sketched.texts, sketched.contexts)
    answers, signatures = sketched.answers, sketched.signatures
    del sketched
    similar: list[Similar] = []
    cases: list[Similar] = []
    crowded = 0
    if threshold is not None and shape is not None and signatures is not None:
        similar, crowded = _similar_items(whole, same, signatures, threshold, shape)
        if whole.tested:
            cases, more = _similar_contexts(whole, same, threshold, shape)
            crowded += more
    found = matches(whole, same, similar, cases, scope)
    return Compared(found + group_matches(whole, found), answers, crowded)


def _similar_items(
    whole: Population, same: Classes, signatures: np.ndarray, threshold: float, shape: Shape
) -> tuple[list[Similar], int]:
    """Compare the first item of each class."""
    positions = np.array([members[0] for members in same.members], dtype=np.int64)
    screened = np.zeros(len(positions), dtype=bool)
    screened[same.of_item[whole.screened.start :]] = True

    rows = TableRows(whole.table.select(["question", "context", "answer", "options", "gold"]))

    def fields(numbers: np.ndarray) -> list[tuple[str, ...]]:
        return [text.fields for text in texts(rows.at(positions[numbers]))]

    return near_duplicates(signatures[positions], fields, screened, threshold, shape.width)


def _similar_contexts(whole: Population, same: Classes, threshold: float, shape: Shape) -> tuple[list[Similar], int]:
    """Compare the contexts of screened and tested items; a similar pair is numbered by the contexts' classes."""
    places = np.r_[0 : whole.tested, whole.screened.start : whole.screened.stop]
    places = places[same.of_context[places] >= 0]
    numbers, first = np.unique(same.of_context[places], return_index=True)
    positions = places[first]
    rows = TableRows(whole.table.select(["context"]))

    def fields(chosen: np.ndarray) -> list[tuple[str, ...]]:
        return [(text,) for text in normalised(rows.at(positions[chosen])["context"].to_pylist())]

    blocks = np.array_split(np.arange(len(numbers)), len(numbers) // 2048 + 1)
    values = np.concatenate([signatures_of(fields(block), shape) for block in blocks])
    screened = np.isin(numbers, same.of_context[whole.screened.start :])
    similar, crowded = near_duplicates(values, fields, screened, threshold, shape.width)
    return [Similar(int(numbers[pair.one]), int(numbers[pair.other]), pair.similarity) for pair in similar], crowded
