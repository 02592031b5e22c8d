"""Compare a population: equal texts, similar texts, shared cases and groups."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from posologie.screening.matching import Match, Similar, group_matches, matches
from posologie.screening.near import near_duplicates
from posologie.screening.population import Classes, Population, classes
from posologie.screening.spec import Comparing
from posologie.screening.text import fields


@dataclass(frozen=True)
class Compared:
    """What a comparison found.

    Attributes:
        crowded: how often a text was similar to so many that it was not compared with all of them.
    """

    same: Classes
    found: list[Match]
    crowded: int


def compare(whole: Population, comparing: Comparing, scope: tuple[str, ...]) -> Compared:
    """Return every match of the screened items of a population."""
    same = classes(whole)
    similar: list[Similar] = []
    cases: list[Similar] = []
    crowded = 0
    if comparing.similarity is not None:
        similar, crowded = _similar_items(whole, same, comparing.similarity, comparing.shingle)
        if whole.tested:
            cases, more = _similar_contexts(whole, same, comparing.similarity, comparing.shingle)
            crowded += more
    found = matches(whole, same, similar, cases, scope)
    return Compared(same, found + group_matches(whole, found), crowded)


def _similar_items(whole: Population, same: Classes, threshold: float, width: int) -> tuple[list[Similar], int]:
    positions = np.array([members[0] for members in same.members], dtype=np.int64)
    screened = np.zeros(len(positions), dtype=bool)
    screened[same.of_item[whole.screened.start :]] = True

    def texts(numbers: np.ndarray) -> list[tuple[str, ...]]:
        return fields(whole.table.take(pa.array(positions[numbers])))

    return near_duplicates(len(positions), texts, screened, threshold, width)


def _similar_contexts(whole: Population, same: Classes, threshold: float, width: int) -> tuple[list[Similar], int]:
    """Compare the contexts of screened and tested items; a similar pair is numbered by the contexts' classes."""
    places = np.r_[0 : whole.tested, whole.screened.start : whole.screened.stop]
    places = places[same.of_context[places] >= 0]
    numbers, first = np.unique(same.of_context[places], return_index=True)
    positions = places[first]

    def texts(chosen: np.ndarray) -> list[tuple[str, ...]]:
        return [one[1:2] for one in fields(whole.table.take(pa.array(positions[chosen])))]

    screened = np.isin(numbers, same.of_context[whole.screened.start :])
    similar, crowded = near_duplicates(len(numbers), texts, screened, threshold, width)
    return [Similar(int(numbers[pair.one]), int(numbers[pair.other]), pair.similarity) for pair in similar], crowded
