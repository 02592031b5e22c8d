"""The facts of a question that one sign or word reverses: numbers, negation, exception, polarity.

Two texts that differ in a fact are different questions, however alike they are. The words are data of each language
(`resources/languages/{code}.yaml`); texts whose language is unknown are read with the words of all languages.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from posologie.language.languages import LIKE, described_languages, language_data, plainer
from posologie.language.numbers import Number, is_in_words, numbers
from posologie.running.errors import InputError

KINDS = ("numbers", "codes", "negation", "exception", "polarity")
"""What can differ, as `facts_differ` names it."""

_CODE = re.compile(r"[^\W_]+(?:[-+][^\W_]+)*")
_WORD = re.compile(r"\w+")
_IN_ONE_WORD = re.compile(r"\\b[^ '\-\[.]*")


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of one text.

    Attributes:
        numbers: in order of the text.
        codes: abbreviations and names with digits (`HDL`, `CD4`), without case and accents.
        words: all words, without case and accents.
        negations: number of negations.
        exception: whether the text asks for an exception.
        polarity: names of the poles that the text mentions (`true`, `false`, `increase` …), ascending, with repeats.
    """

    numbers: tuple[Number, ...]
    codes: frozenset[str]
    words: frozenset[str]
    negations: int
    exception: bool
    polarity: tuple[str, ...]


def facts(text: str, language: str | None = None) -> Facts:
    """Return the facts of a text; without a language, with the words of all languages that have data."""
    plain = plainer(text)
    words = _words_of(language)
    exception = bool(words.exception and words.exception.search(plain))
    return Facts(
        numbers=tuple(numbers(text, language)),
        codes=_codes(text, words),
        words=frozenset(_CODE.findall(plain)),
        negations=len(words.negation.findall(plain)) if words.negation else 0,
        exception=exception,
        polarity=_polarity(plain, language),
    )


def _polarity(plain: str, language: str | None) -> tuple[str, ...]:
    poles = [pole for word in _WORD.findall(plain) for pole in _poles_of(word, language)]
    poles += [pole for pole, pattern in _words_of(language).phrases for _ in pattern.findall(plain)]
    return tuple(sorted(poles))


@lru_cache(maxsize=1 << 17)
def _poles_of(word: str, language: str | None) -> tuple[str, ...]:
    """Return the poles that a word names; kept, because texts repeat their words."""
    return tuple(pole for pole, pattern in _words_of(language).single for _ in pattern.findall(word))


def facts_differ(text: str | Facts, other: str | Facts, language: str | None = None) -> tuple[str, ...]:
    """Return which facts of two texts in one language differ: some of `KINDS`, in that order."""
    a, b = (facts(side, language) if isinstance(side, str) else side for side in (text, other))
    numbers_differ = _numbers_left(a.numbers, b.numbers, with_units=True) != ([], [])
    differ = (
        numbers_differ,
        not (a.codes <= b.words and b.codes <= a.words),
        a.negations != b.negations,
        a.exception != b.exception,
        _told_apart(a.polarity) != _told_apart(b.polarity),
    )
    return tuple(kind for kind, different in zip(KINDS, differ, strict=True) if different)


def _told_apart(polarity: tuple[str, ...]) -> tuple[str, ...]:
    """Return the poles that distinguish texts: to ask for what is true is to ask."""
    return tuple(pole for pole in polarity if pole != "true")


def facts_differ_across(text: str, language: str, other: str, other_language: str) -> tuple[str, ...]:
    """Return which facts of a text and its translation differ: some of `numbers`, `negation`, `exception`, `polarity`.

    Numbers are compared by value alone, as units are translated too; a whole number up to 100 may be in words or Roman
    digits on either side. Negations are compared by parity, because languages double them; polarity by whether right
    or wrong statements are asked for. What a language has no data for is not compared.
    """
    a, b = facts(text, language), facts(other, other_language)
    lost, extra = _numbers_left(a.numbers, b.numbers, with_units=False)
    lost = [number for number in lost if not is_in_words(number.value, other, other_language)]
    extra = [number for number in extra if not is_in_words(number.value, text, language)]
    known = {key for key in ("negation", "exception", "polarity") if _have(key, language, other_language)}
    asked_a, asked_b = (sum(pole == "false" for pole in side.polarity) for side in (a, b))
    differ = {
        "numbers": bool(lost or extra),
        "negation": a.negations % 2 != b.negations % 2,
        "exception": a.exception != b.exception,
        "polarity": (asked_a > 0) != (asked_b > 0),
    }
    return tuple(kind for kind, different in differ.items() if different and (kind == "numbers" or kind in known))


def _numbers_left(
    first: Sequence[Number], second: Sequence[Number], with_units: bool
) -> tuple[list[Number], list[Number]]:
    """Return the numbers of each side that the other lacks."""
    remaining = list(second)
    lost = []
    for number in first:
        same = (
            candidate
            for candidate in remaining
            if number.same_value(candidate) and (not with_units or number.unit == candidate.unit)
        )
        match = next(same, None)
        if match is None:
            lost.append(number)
        else:
            remaining.remove(match)
    return lost, remaining


def _codes(text: str, words: "_Words") -> frozenset[str]:
    """Return abbreviations and names with digits; no abbreviations in a text without lower-case letters.

    A negation or another fact that is written in capitals (`NOT`, `SAUF`) is no abbreviation.
    """
    capitals = text.upper() == text
    patterns = [words.negation, words.exception, *(pattern for _, pattern in words.single)]
    codes = set()
    for match in _CODE.finditer(text.translate(LIKE)):
        token = match[0]
        if token.isdigit() or (token.islower() and token.isalpha()):
            continue
        named = token[0].isalpha() and any(sign.isdigit() for sign in token)
        abbreviation = not capitals and sum(sign.isupper() for sign in token) >= 2
        if named or abbreviation:
            plain = plainer(token)
            if not any(pattern.fullmatch(plain) for pattern in patterns if pattern):
                codes.add(plain)
    return frozenset(codes)


@dataclass(frozen=True)
class _Words:
    """Compiled patterns of a language, or of all.

    Attributes:
        single: pole and pattern of those that match inside one word.
        phrases: pole and pattern of the others.
    """

    negation: re.Pattern[str] | None
    exception: re.Pattern[str] | None
    single: tuple[tuple[str, re.Pattern[str]], ...]
    phrases: tuple[tuple[str, re.Pattern[str]], ...]


@cache
def _words_of(language: str | None) -> _Words:
    """Compile the patterns of a language, or of all languages.

    Raises:
        InputError: naming the language and the key whose pattern is no regular expression.
    """
    codes = described_languages() if language is None else (language,)
    poles: dict[str, list[str]] = {}
    for code in codes:
        for pole, patterns in language_data(code).get("polarity", {}).items():
            poles.setdefault(str(pole), []).extend(patterns)
    split: dict[bool, list[tuple[str, re.Pattern[str]]]] = {True: [], False: []}
    for pole, patterns in sorted(poles.items()):
        for inside in (True, False):
            pattern = _pattern(
                [text for text in patterns if bool(_IN_ONE_WORD.fullmatch(text)) is inside], language, "polarity"
            )
            if pattern is not None:
                split[inside].append((pole, pattern))
    negation, exception = (
        _pattern([text for code in codes for text in language_data(code).get(key, ())], language, key)
        for key in ("negation", "exception")
    )
    return _Words(negation, exception, tuple(split[True]), tuple(split[False]))


def _pattern(patterns: Sequence[str], language: str | None, key: str) -> re.Pattern[str] | None:
    """Compile alternatives, without accents as the text that they are matched with."""
    if not patterns:
        return None
    bare = [_without_accents(pattern) for pattern in patterns]
    try:
        return re.compile("|".join(f"(?:{pattern})" for pattern in bare))
    except re.error as error:
        raise InputError(
            f"resources/languages/{language or '*'}.yaml: {key}: not a regular expression ({error})"
        ) from error


def _without_accents(text: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))


def _have(key: str, *languages: str) -> bool:
    return all(language_data(language).get(key) for language in languages)
