"""The words of a text and of its translation: how much they resemble, which stayed untranslated, what they negate.

An option that is the same in both languages is most often a name: *Candida albicans*, CT, Wilms, 46,XX. One that should
have been translated stands alone among translated ones, has several words, or words that the other language lacks.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import regex
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from posologie.backends.texts import aligned, sentences
from posologie.language.facts import facts
from posologie.language.languages import known_languages, language_data, plainer, runs
from posologie.language.numbers import number_words

_TOKEN = regex.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|[<>≤≥=+±%°/→↑↓]")
"""By the package `regex`, for which the vowel signs of Hindi are letters of a word."""

_SPELLINGS: dict[str, str] = {"ph": "f", "th": "t", "rh": "r", "ch": "c", "k": "c", "qu": "c", "y": "i", "ae": "e"}
_SPELLINGS |= {"oe": "e", "sc": "c", "z": "s", "x": "s", "h": "", "w": "v", "j": "i"}
"""Spellings of Greek and Latin sounds, in one form."""

_NUMERALS = ("ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii")
_ROMAN = {numeral: value for value, numeral in enumerate(_NUMERALS, start=2)}
_SHORTEST_COGNATE = 4
_LEAST_ALIKE = 0.35


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it is compared.

    Attributes:
        form: without accents, Greek and Latin sounds in one spelling.
        number: its value where it is a number, in digits, in words or Roman, as text; else empty.
        meanings: concepts that it can stand for.
    """

    form: str
    number: str = ""
    meanings: frozenset[str] = frozenset()


def has_concepts(*languages: str) -> bool:
    """Return whether it is known of all languages which of their words mean the same."""
    return all(language_data(language).get("concepts") for language in languages)


def words_of(text: str, language: str) -> list[Word]:
    """Return the words of a text in their order."""
    return [_word(token, language) for token in _TOKEN.findall(plainer(text))]


@lru_cache(1 << 16)
def _word(token: str, language: str) -> Word:
    if token[0].isdigit():
        return Word(token, re.sub(r"[.,]0+$", "", token).replace(",", "."))
    if token in _ROMAN:
        return Word(token, str(_ROMAN[token]))
    values = number_words(language)
    value = values.get(token) or values.get(token[:-1])
    return Word(_folded(token), "" if value is None else str(value), _meanings(token, language))


def _folded(token: str) -> str:
    for spelling, plain in _SPELLINGS.items():
        token = token.replace(spelling, plain)
    return re.sub(r"(.)\1", r"\1", token)


@cache
def _concepts(language: str) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
    """Return the concepts of whole words, and of beginnings of words."""
    whole: dict[str, set[str]] = {}
    beginnings: dict[str, set[str]] = {}
    for concept, spellings in language_data(language).get("concepts", {}).items():
        for spelling in map(plainer, map(str, spellings)):
            known = beginnings if spelling.endswith("*") else whole
            known.setdefault(spelling.rstrip("*"), set()).add(str(concept))
    return (
        {word: frozenset(concepts) for word, concepts in whole.items()},
        {word: frozenset(concepts) for word, concepts in beginnings.items()},
    )


def _meanings(token: str, language: str) -> frozenset[str]:
    whole, beginnings = _concepts(language)
    concepts = whole.get(token, frozenset())
    for length in range(1, len(token) + 1):
        concepts |= beginnings.get(token[:length], frozenset())
    return concepts


@lru_cache(1 << 18)
def alike(word: Word, other: Word) -> float:
    """Return how much two words resemble each other, from 0 to 1."""
    if word.number or other.number:
        return float(word.number == other.number)
    if word.form == other.form or word.meanings & other.meanings:
        return 1.0
    if min(len(word.form), len(other.form)) < _SHORTEST_COGNATE:
        return 0.0
    same = 0
    for a, b in zip(word.form, other.form, strict=False):
        if a != b:
            break
        same += 1
    beginning = same / max(len(word.form), len(other.form)) if same >= _SHORTEST_COGNATE - 1 else 0.0
    alike = max(beginning, trigram_overlap(trigrams(word.form), trigrams(other.form)))
    return alike if alike >= _LEAST_ALIKE else 0.0


@lru_cache(1 << 16)
def trigrams(text: str) -> Counter[str]:
    """Return the letter trigrams of a text, its ends padded."""
    padded = f" {text} "
    return Counter(padded[start : start + 3] for start in range(len(padded) - 2))


def trigram_overlap(first: Counter[str], second: Counter[str]) -> float:
    """Return Dice's coefficient of two bags of trigrams."""
    return 2 * (first & second).total() / max(first.total() + second.total(), 1)


WEIGHTS = (11.24, 11.19, 3.21, 3.98)
INTERCEPT = -7.62
"""A logistic regression on questions of MMLU (English, Spanish) and CasiMedicos (English, Spanish, French; its part
`train`): with their own translation against with that of another item. Of the shares of letters in words that have a
counterpart, the larger and the smaller; the overlap of letter trigrams; the difference of lengths."""

_ENOUGH = 4
"""Words of content from which two texts can be said to speak of different things."""


def resemblance(source: str, translation: str, source_language: str, target_language: str) -> float | None:
    """Return the log-odds that a text is a translation of another rather than of some other text of the field.

    None where that cannot be said: texts of a few words, languages without concepts.
    """
    if not has_concepts(source_language, target_language):
        return None
    before, after = (
        [word for word in words_of(text, language) if len(word.form) > 4 or word.meanings or word.number]
        for text, language in ((source, source_language), (translation, target_language))
    )
    if min(len(before), len(after)) < _ENOUGH:
        return None
    table = np.array([[alike(word, counterpart) for counterpart in after] for word in before]) >= 0.5
    weights = [[len(word.form) for word in side] for side in (before, after)]
    shares = [float(np.average(table.any(1 - axis), weights=weights[axis])) for axis in (0, 1)]
    letters = [trigrams(" ".join(word.form for word in side)) for side in (before, after)]
    length = -abs(math.log((len(translation) + 10) / (len(source) + 10)))
    values = (max(shares), min(shares), trigram_overlap(*letters), length)
    return sum(weight * value for weight, value in zip(WEIGHTS, values, strict=True)) + INTERCEPT


UNTRANSLATED_FEATURES = (
    "others the same",
    "capitals and digits",
    "one word",
    "leaning",
    "words",
    "known words",
    "Latin name",
)

UNTRANSLATED_WEIGHTS = (-4.00, -3.26, -1.79, 0.23, 0.43, 0.53, -2.59)
UNTRANSLATED_INTERCEPT = 3.90
"""A logistic regression on the options of MMLU (English, Spanish) and CasiMedicos (English, Spanish, French; its part
`train`): those that are the same in both languages against originals that are not."""

UNTRANSLATED_LEAST = 3.5
"""Log-odds from which an option counts as untranslated."""

_OTHER_LANGUAGE = 12.0
"""Leaning from which a text of four words counts as one in the other language, whatever the original says. Of 1,000
translated options, about one has as much."""

_LATIN = re.compile(r"[A-Z][a-z]+(?:a|as|us|um|is|es) [a-z]+(?:us|um|is|ae|a|i|ile|or|ans|ens)\W*")
_WORD = re.compile(r"[^\W\d_]+")


def untranslated_options(
    source: Sequence[str], translation: Sequence[str], source_language: str, target_language: str
) -> list[int]:
    """Return the places of the options that stayed in the language of the original."""
    same = [_spelled(before) == _spelled(after) for before, after in zip(source, translation, strict=True)]
    places = []
    for place, option in enumerate(translation):
        if same[place]:
            others = (sum(same) - 1) / max(len(same) - 1, 1)
            untranslated = log_odds(option, others, source_language, target_language) >= UNTRANSLATED_LEAST
        else:
            untranslated = in_other_language(option, source_language, target_language)
        if untranslated:
            places.append(place)
    return places


def _spelled(text: str) -> list[str]:
    """Return the words of a text with their accents, which are all that a translation of `impulsion` changes."""
    return runs(unicodedata.normalize("NFC", text.casefold()))


def in_other_language(text: str, source_language: str, target_language: str) -> bool:
    """Return whether a text of four words or more is clearly in the language of the original."""
    return len(_WORD.findall(text)) > 3 and leaning(text, source_language, target_language) >= _OTHER_LANGUAGE


def log_odds(option: str, others: float, source_language: str, target_language: str) -> float:
    """Return the log-odds that an option, the same in both languages, should have been translated.

    Args:
        others: share of the item's other options that are the same in both languages.
    """
    if not _WORD.search(option):
        return -np.inf
    values = features(option, others, source_language, target_language)
    odds = float(values @ np.array(UNTRANSLATED_WEIGHTS) + UNTRANSLATED_INTERCEPT)
    count, known = values[UNTRANSLATED_FEATURES.index("words")], values[UNTRANSLATED_FEATURES.index("known words")]
    # `Liver` alone: a plain word of one language, and none of the other.
    return max(odds, UNTRANSLATED_LEAST) if others == 0 and 0 < count == known else odds


def features(option: str, others: float, source_language: str, target_language: str) -> np.ndarray:
    """Return `FEATURES` of an option."""
    tokens = [token for token in _WORD.findall(plainer(option)) if len(token) > 2]  # `1 g` is no word
    signs = [sign for sign in option if sign.isalnum()]
    capitals = sum(sign.isupper() or sign.isdigit() for sign in signs) / max(len(signs), 1)
    meanings = [
        (word.meanings, translated.meanings)
        for word, translated in zip(words_of(option, source_language), words_of(option, target_language), strict=True)
    ]
    known = sum(bool(concepts) and not translated_concepts for concepts, translated_concepts in meanings)
    return np.array(
        (
            others,
            capitals,
            len(tokens) == 1,
            leaning(" ".join(tokens), source_language, target_language) / max(len(tokens), 1) ** 0.5,
            min(len(tokens), 20),
            min(known, 3),
            bool(_LATIN.fullmatch(option)),
        ),
        dtype=float,
    )


def leaning(text: str, language: str, other: str) -> float:
    """Return by how much a text looks more like one language than like another, as a log-likelihood ratio.

    Positive towards `language`; 0 where the identifier does not know one of the two.
    """
    identifier = _identifier_of(*sorted((language, other)))
    if identifier is None:
        return 0.0
    ranked = dict(identifier.rank(text.lower()))
    return float(ranked[language] - ranked[other])


@cache
def _identifier_of(*languages: str) -> Any:
    if not set(languages) <= set(known_languages()):
        return None
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=False)
    identifier.set_languages(list(languages))
    return identifier


OPPOSITES = (
    ("most", "least"),
    ("increase", "decrease"),
    ("activate", "inhibit"),
    ("indicated", "contraindicated"),
    ("sensitivity", "specificity"),
    ("positive", "negative"),
    ("left", "right"),
    ("upper", "lower"),
    ("acute", "chronic"),
    ("benign", "malignant"),
)
"""Poles (`posologie.language.facts`) of which a text that mentions one and not the other may not become the reverse.

`true` and `false` are no pair here: "which is false" and "which is not true" ask the same, so `false` counts as a
negation."""


_CLAUSE = re.compile(r"[,;:.()?!]|\b(?:and|but|et|mais|y|e|pero|und|aber|ed|ma|mas|que|qui|which|that|who)\b")
_NUMERO = re.compile(r"\b[Nn][º°]")
"""An abbreviation that reads `no` without its sign."""


@dataclass(frozen=True, slots=True)
class Negations:
    """The negations of a text.

    Attributes:
        least: clauses with a negation, an exception or `false`, those that follow one another counted once: "no fever
            and no cough" is "no fever or cough" elsewhere.
        most: all of these clauses, and those of which the only negation is one that carries on (`ni`, `nor`).
        possible: further words that may translate a negation, such as `lacks` or `unable`.
    """

    least: int
    most: int
    possible: int


def polarity_problems(source: str, translation: str, source_language: str, target_language: str) -> list[str]:
    """Return where a translation may say the opposite; nothing where a language has no words for negation."""
    if not language_data(source_language).get("negation") or not language_data(target_language).get("negation"):
        return []
    messages: list[str] = []
    for before, after in aligned(sentences(source), sentences(translation)):
        original, translated = negations(before, source_language), negations(after, target_language)
        if original.least > translated.most + max(0, translated.possible - original.possible):
            messages.append(f"a negation of {_short(before)} is missing")
        elif translated.least > original.most + max(0, original.possible - translated.possible):
            messages.append(f"a negation was added: {_short(after)}")
        messages += _turned(before, after, source_language, target_language)
    return messages


def negations(text: str, language: str) -> Negations:
    """Return the negations of a text."""
    whole = plainer(_NUMERO.sub(" ", text))
    plain = _without_idioms(whole, language)
    least = most = 0
    before = False
    continued = _pattern(language, "negation_continued")
    for clause in filter(str.strip, _CLAUSE.split(plain)):
        most += _negative(clause, language)
        negative = _negative(continued.sub(" ", clause) if continued else clause, language)
        least += negative and not before
        before = negative
    like = _pattern(language, "negation_like")
    return Negations(least, most, len(like.findall(whole)) if like else 0)


def _without_idioms(plain: str, language: str) -> str:
    idioms = _pattern(language, "negation_idioms")
    return idioms.sub(lambda idiom: "_" * len(idiom.group()), plain) if idioms else plain


def _negative(clause: str, language: str) -> bool:
    known = facts(clause, language)
    return bool(known.negations or known.exception or "false" in known.polarity)


@cache
def _pattern(language: str, key: str) -> re.Pattern[str] | None:
    patterns: Sequence[str] = language_data(language).get(key, ())
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns)) if patterns else None


def _turned(before: str, after: str, source_language: str, target_language: str) -> Iterator[str]:
    source_poles, target_poles = (
        facts(_without_idioms(plainer(text), language), language).polarity
        for text, language in ((before, source_language), (after, target_language))
    )
    for pole, opposite in OPPOSITES:
        for a, b in ((pole, opposite), (opposite, pole)):
            if a in source_poles and b not in source_poles and b in target_poles and a not in target_poles:
                yield f"'{a}' became '{b}' in {_short(after)}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return f"'{text}'" if len(text) <= 60 else f"'{text[:59]}…'"
