"""What a translation must keep of an item, so that its gold is still right: options, order, facts, language.

The same checks accept a model's translations and audit a published benchmark (`posologie audit-parallel`). Every
translated option is compared with every original one by what languages share: cognate words and words of one meaning,
letters, length, numbers, negation, the order of the words. A conditional logit of these gives the probability that
option k translates option j.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import softmax

from posologie.backends.texts import Problem, words
from posologie.generation.quantities import problems
from posologie.generation.vocabulary import (
    Word,
    alike,
    has_concepts,
    in_other_language,
    leaning,
    negations,
    polarity_problems,
    resemblance,
    trigram_overlap,
    trigrams,
    untranslated_options,
    words_of,
)
from posologie.language.languages import LONG_ENOUGH, language_problem
from posologie.records.items import LABELS, Item

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
"""What counts between languages if one has no `concepts`: length alone proves nothing."""


def matched(source: Sequence[str], translation: Sequence[str], source_language: str, target_language: str) -> Matching:
    """Return how the options of a translation match those of the original, which has the same number."""
    weights = np.array(WEIGHTS)
    if not has_concepts(source_language, target_language):
        weights *= [name in _SAME_LETTERS for name in FEATURES]
    scores = features(source, translation, source_language, target_language) @ weights
    rows, columns = linear_sum_assignment(scores, maximize=True)
    gain = float(scores[rows, columns].sum() - np.trace(scores))
    certainty = softmax(scores, axis=1).diagonal()
    return Matching(
        tuple(map(int, columns)), max(0.0, gain), tuple(round(float(probability), 3) for probability in certainty)
    )


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
    ratio = math.log(sum(map(_matching_length, translation)) / sum(map(_matching_length, source)))
    letters = [[trigrams(" ".join(word.form for word in words)) for words in side] for side in (before, after)]
    own = [_distinct(side) for side in (before, after)]
    values = np.zeros((len(translation), len(source), len(FEATURES)))
    for k in range(len(translation)):
        for j in range(len(source)):
            numbers = _shared({word.number for word in before[j]} - {""}, {word.number for word in after[k]} - {""})
            denial, translated_denial = denials[0][j], denials[1][k]
            values[k, j] = (
                _words_alike(own[0][j], own[1][k]),
                trigram_overlap(letters[0][j], letters[1][k]),
                -abs(math.log(_matching_length(translation[k]) / _matching_length(source[j])) - ratio),
                *numbers,
                *_meanings(own[0][j], own[1][k]),
                float(denial.least > translated_denial.most or translated_denial.least > denial.most),
                _in_order(before[j], after[k]),
            )
    return values


def _matching_length(text: str) -> int:
    return len(text) + 3


def _distinct(options: Sequence[Sequence[Word]]) -> list[list[Word]]:
    """Return the options without the words that all of them have: these distinguish none from another."""
    everywhere = set.intersection(*map(set, options))
    return [[word for word in words if word not in everywhere] for words in options]


def _words_alike(before: Sequence[Word], after: Sequence[Word]) -> float:
    """Return the share of letters in words that have a counterpart, the mean of both directions."""
    if not before or not after:
        return 0.0
    table = np.array([[alike(word, counterpart) for counterpart in after] for word in before])
    weights = [np.array([len(word.form) for word in side]) for side in (before, after)]
    return float(np.average(table.max(1), weights=weights[0]) + np.average(table.max(0), weights=weights[1])) / 2


def _shared(a: set[str], b: set[str]) -> tuple[float, float]:
    most = max(len(a), len(b))
    return (len(a & b) / most, 1 - len(a & b) / most) if most else (0.0, 0.0)


def _meanings(before: Sequence[Word], after: Sequence[Word]) -> tuple[float, float]:
    """Return the share of words of known meaning that have a counterpart, and that have none."""
    sides = [[word.meanings for word in side if word.meanings] for side in (before, after)]
    if not sides[0] or not sides[1]:
        return 0.0, 0.0
    share = sum(any(meanings & counterpart for counterpart in sides[1]) for meanings in sides[0]) / len(sides[0])
    share = (
        share + sum(any(meanings & counterpart for counterpart in sides[0]) for meanings in sides[1]) / len(sides[1])
    ) / 2
    return share, 1 - share


def _in_order(before: Sequence[Word], after: Sequence[Word]) -> float:
    """Return Kendall's tau of the places of words and their counterparts."""
    places = []
    for place, word in enumerate(before):
        best = max(range(len(after)), key=lambda other: alike(word, after[other]), default=None)
        if best is not None and alike(word, after[best]) > 0.5:
            places.append((place, best))
    signs = [np.sign(later[1] - earlier[1]) for earlier, later in combinations(places, 2)]
    return float(np.mean(signs)) if signs else 0.0


_LONG = 80
_SHORTEST, _LONGEST = 0.4, 2.5
"""Ratio of characters, translation to source, outside which a text of 80 characters lost or gained something."""
_DENSE = ((3.0, re.compile(r"[\u3400-\u9fff]")), (1.5, re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")))
"""Letters of an alphabet that an ideograph, and a sign of a syllable, stand for: about three, and about one and a half.
The ratio allows for more than the error of this."""

_ANOTHER = -2.0
"""Log-odds below which a question is none of the original: 2 in 100 replaced questions have more, 2 in 1,000 right
translations less."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Texts of an item, or of a piece of it; what is not part of it is empty."""

    question: str = ""
    context: str = ""
    options: tuple[str, ...] = ()
    answer: str = ""

    def texts(self) -> tuple[str, ...]:
        """Return all texts, in a fixed order: question, context, answer, options."""
        return (self.question, self.context, self.answer, *self.options)


def fields_of(item: Item) -> Fields:
    """Return the texts of an item."""
    return Fields(item.question, item.context, item.options, item.answer)


def joined(pieces: list[Fields]) -> Fields:
    """Return the whole of some pieces: each text is in one of them, the context in several."""
    return Fields(
        "".join(piece.question for piece in pieces),
        "".join(piece.context for piece in pieces),
        tuple(option for piece in pieces for option in piece.options),
        "".join(piece.answer for piece in pieces),
    )


@dataclass(frozen=True, slots=True)
class Languages:
    """The two-letter codes of a translation's languages."""

    source: str
    target: str


def problem_of(source: Fields, translation: Fields, languages: Languages) -> Problem | None:
    """Return the first problem of the translation of a piece of an item, or None."""
    return next(problems_of(source, translation, languages), None)


def problem_of_whole(source: Fields, translation: Fields, languages: Languages) -> Problem | None:
    """Return the first problem that shows in a whole translated item only, or None."""
    return next(problems_of_whole(source, translation, languages), None)


def problems_of(source: Fields, translation: Fields, languages: Languages) -> Iterator[Problem]:
    """Yield the problems of the translation of a piece of an item, the worst for its gold first."""
    if len(source.options) != len(translation.options):
        yield Problem("number of options", f"{len(translation.options)}, expected {len(source.options)}")
        return
    both = list(zip(_named(source), _named(translation), strict=True))
    for (name, before), (_, after) in both:
        if bool(before.strip()) != bool(after.strip()):
            yield Problem("text missing" if before.strip() else "text added", f"{name}: {(before or after)[:60]}")
    yield from _of_language(translation, languages)
    # Text by text, so that an option that changed place with another is found by its numbers.
    texts = [(name, before, after) for (name, before), (_, after) in both if before.strip() and after.strip()]
    for name, before, after in texts:
        if differences := problems(before, after, languages.source, languages.target):
            yield Problem("numbers and units", f"{name}: {'; '.join(differences)}"[:200])
    for name, before, after in texts:
        if differences := polarity_problems(before, after, languages.source, languages.target):
            yield Problem("says the opposite", f"{name}: {'; '.join(differences)}"[:200])
    matching = match_of(source, translation, languages)
    if matching is not None and matching.exchanged:
        now = ", ".join(
            f"{LABELS[place]} is {LABELS[origin]}" for place, origin in enumerate(matching.order) if place != origin
        )
        yield Problem("options changed places", f"{now}: the gold would be another option")
    if languages.source != languages.target:
        for place in untranslated_options(source.options, translation.options, languages.source, languages.target):
            yield Problem("untranslated", f"option {LABELS[place]}: {translation.options[place][:60]!r}")
    odds = resemblance(
        f"{source.context} {source.question}",
        f"{translation.context} {translation.question}",
        languages.source,
        languages.target,
    )
    if odds is not None and odds < _ANOTHER:
        yield Problem("another question", f"log-odds {odds:.1f} that it is a translation of the original")
    for name, before, after in texts:
        ratio = _length(after) / _length(before)
        if _length(before) >= _LONG and not _SHORTEST <= ratio <= _LONGEST:
            yield Problem("length", f"{name}: {ratio:.2f} times the source")


def problems_of_whole(source: Fields, translation: Fields, languages: Languages) -> Iterator[Problem]:
    """Yield the problems that show in a whole translated item only: its language, and options that became equal."""
    if foreign := language_problem((" \n".join(translation.texts()),), languages.target):
        yield Problem("another language", foreign)
    different = [len({tuple(words(option)) for option in fields.options}) for fields in (source, translation)]
    if different[1] < different[0]:
        yield Problem("options became equal")


def match_of(source: Fields, translation: Fields, languages: Languages) -> Matching | None:
    """Return which options translate which, or None where there are none, or one is empty."""
    options = (*source.options, *translation.options)
    if len(source.options) < 2 or not all(option.strip() for option in options):
        return None
    return matched(source.options, translation.options, languages.source, languages.target)


def _named(fields: Fields) -> list[tuple[str, str]]:
    named = [("question", fields.question), ("context", fields.context), ("answer", fields.answer)]
    return named + [(f"option {label}", option) for label, option in zip(LABELS, fields.options, strict=False)]


def _of_language(translation: Fields, languages: Languages) -> Iterator[Problem]:
    """Yield the longer texts that are in another language, such as that of the original."""
    if languages.source == languages.target:
        return
    for name, text in _named(translation)[:3]:
        if in_other_language(text, languages.source, languages.target):
            yield Problem("another language", f"{name}: {text[:60]!r}")
            continue
        leans = _letters(text) >= LONG_ENOUGH and leaning(text, languages.source, languages.target) > 0
        if leans and (foreign := language_problem((text,), languages.target)):
            yield Problem("another language", f"{name} {foreign}")


def _length(text: str) -> float:
    """Return the length of a text in characters of an alphabet."""
    if text.isascii():
        return len(text)
    return len(text) + sum((weight - 1) * len(signs.findall(text)) for weight, signs in _DENSE)


def _letters(text: str) -> int:
    return len(re.sub(r"[\W\d_]+", "", text))
