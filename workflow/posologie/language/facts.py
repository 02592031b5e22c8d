"""The facts of a question that one sign or word reverses: numbers, negation, exception, polarity.

Two texts that differ in a fact are different questions, however alike they are. The words are data of each language
(`resources/languages/{code}.yaml`); texts whose language is unknown are read with the words of all languages.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache

import num2words

from posologie.language.languages import described_languages, language_data
from posologie.running.errors import InputError

KINDS = ("numbers", "codes", "negation", "exception", "polarity")
"""What can differ, as `facts_differ` names it."""

_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_LIKE = str.maketrans({"’": "'", "ʼ": "'", "٫": ".", "٬": ",", "‐": "-", "‑": "-", "–": "-", "−": "-", "－": "-"})
_NUMBER = re.compile(r"(?<![^\W_])(?<![^\W\d_]-)(?<!\d[.,])\d+(?:[.,]\d+)*(?:[ \u00a0\u202f]\d{3}(?!\d))*")
_SYMBOL = re.compile(
    r"[ -]?(?P<unit>[%‰]|°[cf]?|(?:da|[kmµμucdnp])?(?:g|l|mol|m|pa|hz|gy|sv|eq|osm|j|w|v)"
    r"|mmhg|cmh2o|k?cal|u\.?i\.?|i\.?u\.?|ppm)(?![^\W\d_])",
    re.IGNORECASE,
)
_WORD_AFTER = re.compile(r"[ -]?(?P<word>[^\W\d_]+)")
_CODE = re.compile(r"[^\W_]+(?:[-+][^\W_]+)*")
_ROMAN = dict(
    zip(["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"], range(1, 13), strict=True)
)
_LARGEST_WORD = 100
_WORD = re.compile(r"\w+")
_IN_ONE_WORD = re.compile(r"\\b[^ '\-\[.]*")
_OTHER_NUMBER_WORDS = {"en": {"once": 1, "twice": 2, "both": 2, "single": 1}, "fr": {"une": 1, "seul": 1, "seule": 1}}


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a text.

    Attributes:
        value: its value with its sign.
        thousands: what it is if its one mark parts thousands (`1.500`, `1,500`); None where the mark has one reading.
        unit: its unit in one spelling (`mg`, `%`, `d` for days), or an empty text.
    """

    value: Decimal
    thousands: Decimal | None
    unit: str

    def same_value(self, other: "Number") -> bool:
        """Return whether two numbers share a reading."""
        return bool({self.value, self.thousands} & {other.value, other.thousands} - {None})


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
    found = [pole for word in _WORD.findall(plain) for pole in _poles_of(word, language)]
    found += [pole for pole, pattern in _words_of(language).phrases for _ in pattern.findall(plain)]
    return tuple(sorted(found))


@lru_cache(maxsize=1 << 17)
def _poles_of(word: str, language: str | None) -> tuple[str, ...]:
    """Return the poles that a word names; kept, because texts repeat their words."""
    return tuple(pole for pole, pattern in _words_of(language).single for _ in pattern.findall(word))


def facts_differ(one: str | Facts, other: str | Facts, language: str | None = None) -> tuple[str, ...]:
    """Return which facts of two texts in one language differ: some of `KINDS`, in that order."""
    a, b = (facts(side, language) if isinstance(side, str) else side for side in (one, other))
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
    """Return the poles that tell texts apart: to ask for what is true is to ask."""
    return tuple(pole for pole in polarity if pole != "true")


def facts_agree(one: str | Facts, other: str | Facts, language: str | None = None) -> bool:
    """Return whether two texts in one language have the same facts."""
    return not facts_differ(one, other, language)


def facts_differ_across(one: str, language: str, other: str, other_language: str) -> tuple[str, ...]:
    """Return which facts of a text and its translation differ: some of `numbers`, `negation`, `exception`, `polarity`.

    Numbers are compared by value alone, as units are translated too; a whole number up to 100 may be in words or Roman
    digits on either side. Negations are compared by parity, because languages double them; polarity by whether right
    or wrong statements are asked for. What a language has no data for is not compared.
    """
    a, b = facts(one, language), facts(other, other_language)
    lost, added = _numbers_left(a.numbers, b.numbers, with_units=False)
    lost = [number for number in lost if not _in_words(number, other, other_language)]
    added = [number for number in added if not _in_words(number, one, language)]
    known = {key for key in ("negation", "exception", "polarity") if _have(key, language, other_language)}
    asked_a, asked_b = (sum(pole == "false" for pole in side.polarity) for side in (a, b))
    differ = {
        "numbers": bool(lost or added),
        "negation": a.negations % 2 != b.negations % 2,
        "exception": a.exception != b.exception,
        "polarity": (asked_a > 0) != (asked_b > 0),
    }
    return tuple(kind for kind, different in differ.items() if different and (kind == "numbers" or kind in known))


def plainer(text: str) -> str:
    """Return the text that patterns are matched with: lower case, no accents, plain apostrophes and hyphens."""
    folded = text.translate(_LIKE).casefold()
    if folded.isascii():
        return folded
    return "".join(sign for sign in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(sign))


def numbers(text: str, language: str | None = None) -> Iterator[Number]:
    """Yield the numbers of a text, with sign and unit.

    A minus counts as a sign where it touches its number and follows neither a letter nor another number (`5–10` is a
    range). Digits behind a letter (`B12`) are part of a name.
    """
    text = _RAISED.sub(lambda raised: " " + unicodedata.normalize("NFKC", raised[0]), text).translate(_LIKE)
    units = _words_of(language).units
    for match in _NUMBER.finditer(text):
        sign = -1 if _is_negative(text[max(0, match.start() - 8) : match.start()]) else 1
        unit = _unit(text, match.end(), units)
        for value, thousands in _values(match[0]):
            yield Number(sign * value, None if thousands is None else sign * thousands, unit)


def _is_negative(before: str) -> bool:
    """Return whether the text before a number ends in its sign."""
    if not before.endswith("-"):
        return False
    left = before[:-1].rstrip()
    if not left or left != before[:-1]:
        return not left or not (left[-1].isdigit() or left[-1] in "%°")
    return left[-1] in "([=<>≤≥:;,/±~≈"


def _unit(text: str, end: int, units: dict[str, str]) -> str:
    """Return the unit that follows a number, in one spelling; an empty text where none does."""
    if symbol := _SYMBOL.match(text, end):
        return symbol["unit"].casefold().replace("μ", "µ").replace(".", "").replace("ui", "iu")
    word = _WORD_AFTER.match(text, end)
    return units.get(plainer(word["word"]), "") if word else ""


def _values(digits: str) -> Iterator[tuple[Decimal, Decimal | None]]:
    """Yield what digits with marks mean: one number, or several where commas list them (`1,4,5`)."""
    plain = re.sub(r"[ \u00a0\u202f]", "", digits)
    marks = re.findall(r"[.,]", plain)
    parts = re.split(r"[.,]", plain)
    if not marks:
        yield Decimal(plain), None
    elif len(marks) == 1:
        thousands = (
            Decimal("".join(parts)) if len(parts[1]) == 3 and 1 <= len(parts[0]) <= 3 and parts[0] != "0" else None
        )
        yield Decimal(".".join(parts)), thousands
    elif len(parts[0]) <= 3 and len(set(marks[:-1])) == 1 and all(len(part) == 3 for part in parts[1:-1]):
        whole = "".join(parts[:-1])
        if marks[-1] != marks[0]:
            yield Decimal(f"{whole}.{parts[-1]}"), None
        elif len(parts[-1]) == 3:
            yield Decimal(whole + parts[-1]), None
        else:
            yield from ((Decimal(part), None) for part in parts)
    else:
        yield from ((Decimal(part), None) for part in parts)


def _numbers_left(
    one: Sequence[Number], other: Sequence[Number], with_units: bool
) -> tuple[list[Number], list[Number]]:
    """Return the numbers of each side that the other lacks."""
    left = list(other)
    lost = []
    for number in one:
        same = (found for found in left if number.same_value(found) and (not with_units or number.unit == found.unit))
        match = next(same, None)
        if match is None:
            lost.append(number)
        else:
            left.remove(match)
    return lost, left


def _codes(text: str, words: "_Words") -> frozenset[str]:
    """Return abbreviations and names with digits; no abbreviations in a text without lower-case letters.

    A negation or another fact that is written in capitals (`NOT`, `SAUF`) is no abbreviation.
    """
    capitals = text.upper() == text
    patterns = [words.negation, words.exception, *(pattern for _, pattern in words.single)]
    found = set()
    for match in _CODE.finditer(text.translate(_LIKE)):
        token = match[0]
        if token.isdigit() or (token.islower() and token.isalpha()):
            continue
        named = token[0].isalpha() and any(sign.isdigit() for sign in token)
        abbreviation = not capitals and sum(sign.isupper() for sign in token) >= 2
        if named or abbreviation:
            plain = plainer(token)
            if not any(pattern.fullmatch(plain) for pattern in patterns if pattern):
                found.add(plain)
    return frozenset(found)


def _in_words(number: Number, text: str, language: str) -> bool:
    """Return whether a text has a small whole number in words or in Roman digits."""
    value = number.value
    if value != value.to_integral_value() or not 0 <= value <= _LARGEST_WORD:
        return False
    if any(_ROMAN.get(word) == value for word in re.findall(r"\b[IVX]+\b", text)):
        return True
    plain = plainer(text)
    return any(re.search(rf"\b{re.escape(word)}", plain) for word in _number_words(int(value), language))


@cache
def spelled(number: int, language: str) -> frozenset[str]:
    """Return a number in words, cardinal and ordinal, in plain letters; nothing for a language that num2words lacks."""
    try:
        words = (num2words.num2words(number, lang=language, to=form) for form in ("cardinal", "ordinal"))
        return frozenset(plainer(word) for word in words)
    except NotImplementedError:
        return frozenset()


@cache
def _number_words(number: int, language: str) -> frozenset[str]:
    others = {word for word, value in _OTHER_NUMBER_WORDS.get(language, {}).items() if value == number}
    return spelled(number, language) | {plainer(word) for word in others}


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
    units: dict[str, str]


@cache
def _words_of(language: str | None) -> _Words:
    """Compile the patterns of a language, or of all languages.

    Raises:
        InputError: naming the language and the key whose pattern is no regular expression.
    """
    codes = described_languages() if language is None else (language,)
    poles: dict[str, list[str]] = {}
    units: dict[str, str] = {}
    for code in codes:
        for pole, patterns in language_data(code).get("polarity", {}).items():
            poles.setdefault(str(pole), []).extend(patterns)
        for unit, spellings in language_data(code).get("units", {}).items():
            units |= {plainer(str(spelling)): str(unit) for spelling in spellings}
    split: dict[bool, list[tuple[str, re.Pattern[str]]]] = {True: [], False: []}
    for pole, patterns in sorted(poles.items()):
        for inside in (True, False):
            pattern = _pattern(
                [one for one in patterns if bool(_IN_ONE_WORD.fullmatch(one)) is inside], language, "polarity"
            )
            if pattern is not None:
                split[inside].append((pole, pattern))
    negation, exception = (
        _pattern([one for code in codes for one in language_data(code).get(key, ())], language, key)
        for key in ("negation", "exception")
    )
    return _Words(negation, exception, tuple(split[True]), tuple(split[False]), units)


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
