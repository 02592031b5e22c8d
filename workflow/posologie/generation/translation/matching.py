"""Which option of the original is each option of a translation?

Every translated option is compared with every original one by what languages share: cognate words and words of one
meaning, letters, length, numbers, negation, the order of the words. A conditional logit of these gives the probability
that option k translates option j.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import softmax

from posologie.generation.translation.polarity import negations
from posologie.generation.translation.vocabulary import Word, alike, has_concepts, trigram_overlap, trigrams, words_of

FEATURES = ("words", "letters", "length", "numbers", "other numbers", "meanings", "other meanings", "negation", "order")

WEIGHTS = (5.00, 3.68, 2.65, 0.90, -1.04, 1.58, -1.04, -0.63, 0.62)
"""Of `FEATURES`, fitted on pairs of MMLU (English, Spanish) and CasiMedicos (English, Spanish, French; its part
`train`) by maximum likelihood, with a penalty of 0.001 on the squares."""

LEAST_GAIN = 1.0
"""Gain in log-likelihood from which options count as exchanged."""


@dataclass(frozen=True)
class Matching:
    """Translated options beside the originals.

    Attributes:
        order: for each translated option, the original that it translates under the best assignment.
        gain: log-likelihood of that assignment less that of the given order; 0 where they are the same.
        certainty: for each translated option, the probability that it translates the option at its own place.
    """

    order: tuple[int, ...]
    gain: float
    certainty: tuple[float, ...]

    @property
    def exchanged(self) -> bool:
        """Whether the options are those of the original in another order."""
        return self.gain >= LEAST_GAIN


_SAME_LETTERS = ("words", "letters", "numbers", "other numbers")
"""What counts between languages of which one has no `concepts`: length alone proves nothing."""


def matched(source: Sequence[str], translation: Sequence[str], source_language: str, target_language: str) -> Matching:
    """Return how the options of a translation match those of the original, of which there are as many."""
    weights = np.array(WEIGHTS)
    if not has_concepts(source_language, target_language):
        weights *= [name in _SAME_LETTERS for name in FEATURES]
    scores = features(source, translation, source_language, target_language) @ weights
    rows, columns = linear_sum_assignment(scores, maximize=True)
    gain = float(scores[rows, columns].sum() - np.trace(scores))
    certainty = softmax(scores, axis=1).diagonal()
    return Matching(tuple(map(int, columns)), max(0.0, gain), tuple(round(float(one), 3) for one in certainty))


def features(
    source: Sequence[str], translation: Sequence[str], source_language: str, target_language: str
) -> np.ndarray:
    """Return `FEATURES` of each translated option with each original one.

    Returns:
        Array of shape (translated options, original options, features).
    """
    before = [words_of(text, source_language) for text in source]
    after = [words_of(text, target_language) for text in translation]
    denials = (
        [negations(text, source_language) for text in source],
        [negations(text, target_language) for text in translation],
    )
    ratio = math.log(sum(map(_length, translation)) / sum(map(_length, source)))
    letters = [[trigrams(" ".join(word.form for word in words)) for words in side] for side in (before, after)]
    own = [_distinct(side) for side in (before, after)]
    values = np.zeros((len(translation), len(source), len(FEATURES)))
    for k in range(len(translation)):
        for j in range(len(source)):
            numbers = _shared({word.number for word in before[j]} - {""}, {word.number for word in after[k]} - {""})
            one, other = denials[0][j], denials[1][k]
            values[k, j] = (
                _words_alike(own[0][j], own[1][k]),
                trigram_overlap(letters[0][j], letters[1][k]),
                -abs(math.log(_length(translation[k]) / _length(source[j])) - ratio),
                *numbers,
                *_meanings(own[0][j], own[1][k]),
                float(one.least > other.most or other.least > one.most),
                _in_order(before[j], after[k]),
            )
    return values


def _length(text: str) -> int:
    return len(text) + 3


def _distinct(options: Sequence[Sequence[Word]]) -> list[list[Word]]:
    """Return the options without the words that all of them have: these tell none from another."""
    everywhere = set.intersection(*map(set, options))
    return [[word for word in words if word not in everywhere] for words in options]


def _words_alike(before: Sequence[Word], after: Sequence[Word]) -> float:
    """Return the share of letters in words that have a counterpart, the mean of both directions."""
    if not before or not after:
        return 0.0
    table = np.array([[alike(one, other) for other in after] for one in before])
    weights = [np.array([len(word.form) for word in side]) for side in (before, after)]
    return float(np.average(table.max(1), weights=weights[0]) + np.average(table.max(0), weights=weights[1])) / 2


def _shared(one: set[str], other: set[str]) -> tuple[float, float]:
    most = max(len(one), len(other))
    return (len(one & other) / most, 1 - len(one & other) / most) if most else (0.0, 0.0)


def _meanings(before: Sequence[Word], after: Sequence[Word]) -> tuple[float, float]:
    """Return the share of words of known meaning that have a counterpart, and that have none."""
    sides = [[word.meanings for word in side if word.meanings] for side in (before, after)]
    if not sides[0] or not sides[1]:
        return 0.0, 0.0
    found = sum(any(one & other for other in sides[1]) for one in sides[0]) / len(sides[0])
    found = (found + sum(any(one & other for other in sides[0]) for one in sides[1]) / len(sides[1])) / 2
    return found, 1 - found


def _in_order(before: Sequence[Word], after: Sequence[Word]) -> float:
    """Return Kendall's tau of the places of words and their counterparts."""
    places = []
    for place, word in enumerate(before):
        best = max(range(len(after)), key=lambda other: alike(word, after[other]), default=None)
        if best is not None and alike(word, after[best]) > 0.5:
            places.append((place, best))
    signs = [np.sign(later[1] - earlier[1]) for earlier, later in combinations(places, 2)]
    return float(np.mean(signs)) if signs else 0.0
