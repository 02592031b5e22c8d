"""The same question in another language, by the vectors of a multilingual sentence encoder.

The interface is that of the search without a model (`posologie.screening.across`): items of different languages are
compared, and pairs that are close are verified by their options, each aligned with one of the other's, and by the right
answer. Each language's mean vector is subtracted first, which leaves what is said rather than in which language
(Libovický, Rosa and Fraser, "On the language neutrality of pre-trained multilingual representations", 2020).
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from posologie.models.encoders import SentenceVectors, encoder_folder
from posologie.models.store import check_version
from posologie.records.tables import TableRows
from posologie.screening.across import foreign_sides
from posologie.screening.population import Match, Population, place_of
from posologie.screening.spec import SentenceEncoder

Vectors = Callable[[Sequence[str]], NDArray[np.float32]]
"""Gives one vector of length 1 for each text, shape (texts, dimensions)."""

_ITEMS_AT_ONCE = 1024
_SAMPLE = 2000
"""Items of a language from which its mean vectors are estimated."""
_FEW = 50
"""The mean of so many texts is subtracted by half: of fewer, it is what they say."""
_OPTIONS = 0.5
"""Mean cosine of the aligned options from which two questions have the same ones."""
_COLUMNS = ["question", "context", "answer", "options", "gold"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is compared of an item: its text, options or reference text, and the positions of the right ones."""

    text: str
    choices: tuple[str, ...]
    gold: frozenset[int]
    open: bool


def asked_at(rows: TableRows, positions: np.ndarray) -> list[Asked]:
    """Return what the items at some positions ask. A long case comes last, because an encoder cuts the end."""
    table = rows.at(positions)
    questions = []
    for question, context, answer, options, gold in zip(*(table[name].to_pylist() for name in _COLUMNS), strict=True):
        text = "\n".join(part for part in (question, *options, answer, context) if part)
        choices = tuple(options) or (answer,)
        questions.append(Asked(text, choices, frozenset(gold if options else (0,)), not options))
    return questions


@dataclass(frozen=True, slots=True)
class Centre:
    """Mean vectors of a language: of whole texts, and of options."""

    text: NDArray[np.float32]
    choice: NDArray[np.float32]

    @classmethod
    def of(cls, sample: Sequence[Asked], vectors: Vectors) -> "Centre":
        """Return the means of a sample, smaller where it is small."""
        parts = ([question.text for question in sample], [text for question in sample for text in question.choices])
        text, choice = (vectors(part).sum(axis=0) / np.float32(len(part) + _FEW) for part in parts)
        return cls(text, choice)


def opened(encoder: SentenceEncoder | None, version: str | None, manifest: str | None) -> Vectors | None:
    """Return an encoder that is loaded when it is first asked; None where the study names none.

    Args:
        encoder: its settings.
        version: of its package, with which the job was planned.
        manifest: of an encoder from the hub.

    Raises:
        InputError: if it is not where it should be, or another version is installed.
    """
    if encoder is None:
        return None
    check_version("screening.encoder.package", encoder.package, version)
    folder = encoder_folder(encoder, manifest)

    @functools.cache
    def loaded() -> Vectors:
        # Only now, because torch takes seconds, which a study of one language need not spend.
        return SentenceVectors(folder, encoder.pooling, encoder.prefix)

    return lambda texts: loaded()(texts)


def embedding_matches(
    whole: Population, languages: Sequence[str], encoder: SentenceEncoder, vectors: Vectors
) -> list[Match]:
    """Return the pairs of a query and a target of another language that ask the same.

    Args:
        whole: the population.
        languages: code of each item's language, by position; an item whose language is unknown is not compared.
        encoder: its settings.
        vectors: the encoder.
    """
    matches = []
    rows = TableRows(whole.table.select(_COLUMNS))
    for asking, targets in foreign_sides(whole, languages):
        for item, other, similarity, same_answer in _search(rows, asking, targets, encoder.similarity, vectors):
            place = place_of(whole, other)
            if item != other and (place == "test" or item >= whole.screened.start):
                matches.append(Match(item, other, place, "embedding", similarity, same_answer))
    return matches


def _search(
    rows: TableRows, asking: np.ndarray, targets: np.ndarray, similarity: float, vectors: Vectors
) -> Iterator[tuple[int, int, float, bool]]:
    """Yield query, target, cosine and whether the answers agree, for each pair that was verified."""
    theirs = asked_at(rows, targets)
    their_centre = Centre.of(theirs[:_SAMPLE], vectors)
    our_centre = Centre.of(asked_at(rows, asking[:_SAMPLE]), vectors)
    blocks = [theirs[first : first + _ITEMS_AT_ONCE] for first in range(0, len(theirs), _ITEMS_AT_ONCE)]
    known = np.concatenate(
        [_centred(vectors([question.text for question in block]), their_centre.text) for block in blocks]
    )
    for first in range(0, len(asking), _ITEMS_AT_ONCE):
        block = asking[first : first + _ITEMS_AT_ONCE]
        ours = asked_at(rows, block)
        cosines = _centred(vectors([question.text for question in ours]), our_centre.text) @ known.T
        pairs = np.argwhere(cosines >= similarity)
        choices_of = (
            _choices(ours, pairs[:, 0], our_centre, vectors),
            _choices(theirs, pairs[:, 1], their_centre, vectors),
        )
        for query, target in pairs.tolist():
            left, right = ours[query], theirs[target]
            same, aligned = _alike(left, right, choices_of[0][query] @ choices_of[1][target].T)
            if same:
                yield int(block[query]), int(targets[target]), min(float(cosines[query, target]), 1.0), aligned


def _centred(vectors: NDArray[np.float32], centre: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the vectors less their centre, of length 1."""
    moved = vectors - centre
    moved /= np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), np.float32(1e-9))
    return moved


def _choices(
    questions: Sequence[Asked], item_numbers: np.ndarray, centre: Centre, vectors: Vectors
) -> dict[int, NDArray[np.float32]]:
    """Return the vectors of the choices of some items, shape (choices, dimensions), by the item's number."""
    numbers = np.unique(item_numbers).tolist()
    together = _centred(vectors([text for number in numbers for text in questions[number].choices]), centre.choice)
    bounds = np.cumsum([0, *(len(questions[number].choices) for number in numbers)])
    return {number: together[bounds[place] : bounds[place + 1]] for place, number in enumerate(numbers)}


def _alike(query: Asked, target: Asked, cosines: NDArray[np.float32]) -> tuple[bool, bool]:
    """Return whether two items ask the same by their choices, and whether their right answers agree.

    Args:
        query, target: the items.
        cosines: of their choices, shape (choices of the query, choices of the target).
    """
    if query.open or target.open:
        answers = cosines[sorted(query.gold)][:, sorted(target.gold)]
        same = float(answers.max(initial=0.0)) >= _OPTIONS
        return same, same
    rows, columns = linear_sum_assignment(-cosines)
    aligned = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    alike = float(cosines[rows, columns].sum()) / max(cosines.shape)
    return alike >= _OPTIONS, {aligned.get(number, -1) for number in query.gold} == target.gold
