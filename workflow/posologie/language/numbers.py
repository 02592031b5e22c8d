"""Numbers of a text: their value, sign and unit in figures, and whether they stand in words.

The words are data of each language (`resources/languages/{code}.yaml`) and of the package num2words.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache

import num2words
import regex

from posologie.language.languages import LIKE, described_languages, general_data, language_data, plainer
from posologie.running.errors import InputError

LARGEST_WORD = 100
"""The largest whole number that is looked for in words."""

UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
"""Letters of scripts without spaces between words, as a part of a character class."""

_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_NUMBER = re.compile(
    rf"(?<![^\W_{UNSPACED}])(?<![^\W\d_{UNSPACED}]-)(?<!\d[.,])\d+(?:[.,]\d+)*(?:[ \u00a0\u202f]\d{{3}}(?!\d))*"
)
_SYMBOL = re.compile(
    r"[ -]?(?P<unit>[%‰]|°[cf]?|(?:da|[kmµμucdnp])?(?:g|l|mol|m|pa|hz|gy|sv|eq|osm|j|w|v)"
    rf"|mmhg|cmh2o|k?cal|u\.?i\.?|i\.?u\.?|ppm)(?![^\W\d_{UNSPACED}])",
    re.IGNORECASE,
)
_WORD_AFTER = regex.compile(r"[ -]?(?P<word>\p{L}[\p{L}\p{M}]*)")
_UNSPACED_LETTER = re.compile(f"[{UNSPACED}]")
_ROMAN = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
_CJK_DIGITS = "〇零一二三四五六七八九十百千万萬亿億两兩"
_INSIDE_WORD = r"[\p{L}\p{M}\p{N}]"
_LONG_ENOUGH = 4
"""Letters from which a number word may have an ending: `three` is in `threefold`, `un` is not in `under`."""


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


def numbers(text: str, language: str | None = None) -> Iterator[Number]:
    """Yield the numbers of a text, with sign and unit; without a language, units of all languages that have data.

    A minus counts as a sign where it touches its number and follows neither a letter nor another number (`5–10` is a
    range). Digits behind a letter (`B12`) are part of a name, except in scripts without spaces between words.
    """
    text = _RAISED.sub(lambda raised: " " + unicodedata.normalize("NFKC", raised[0]), text).translate(LIKE)
    units = _units(language)
    for match in _NUMBER.finditer(text):
        sign = -1 if _is_negative(text[max(0, match.start() - 8) : match.start()]) else 1
        unit = _unit(text, match.end(), units)
        for value, thousands in _values(match[0]):
            yield Number(sign * value, None if thousands is None else sign * thousands, unit)


@cache
def _units(language: str | None) -> Mapping[str, str]:
    """Return the unit of each spelling, in plain letters."""
    codes = described_languages() if language is None else (language,)
    units: dict[str, str] = {}
    for code in codes:
        for unit, spellings in language_data(code).get("units", {}).items():
            units |= {plainer(str(spelling)): str(unit) for spelling in spellings}
    return units


def _is_negative(before: str) -> bool:
    """Return whether the text before a number ends in its sign."""
    if not before.endswith("-"):
        return False
    stripped = before[:-1].rstrip()
    if not stripped or stripped != before[:-1]:
        return not stripped or not (stripped[-1].isdigit() or stripped[-1] in "%°")
    return stripped[-1] in "([=<>≤≥:;,/±~≈"


def _unit(text: str, end: int, units: Mapping[str, str]) -> str:
    """Return the unit that follows a number, in one spelling; an empty text where none does."""
    if symbol := _SYMBOL.match(text, end):
        return symbol["unit"].casefold().replace("μ", "µ").replace(".", "").replace("ui", "iu")
    match = _WORD_AFTER.match(text, end)
    if match is None:
        return ""
    word = plainer(match["word"])
    if _UNSPACED_LETTER.match(word):
        return next((units[word[:long]] for long in range(len(word), 0, -1) if word[:long] in units), "")
    return units.get(word, "")


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


def is_in_words(value: Decimal, text: str, language: str) -> bool:
    """Return whether a text has a whole number up to 100 in words or in Roman digits."""
    if value != value.to_integral_value() or not 0 <= value <= LARGEST_WORD:
        return False
    number = int(value)
    roman = 0 < number < len(_ROMAN) and re.search(rf"\b{_ROMAN[number]}\b", text)
    return bool(roman) or number in values_in_words(text, language)


@lru_cache(maxsize=1 << 10)
def values_in_words(text: str, language: str) -> frozenset[int]:
    """Return the whole numbers up to 100 that a text has in words, each read as long as it goes (`twenty-one` is 21).

    A word of four letters and more may have an ending (`threefold`, `dreimal`). In Chinese and Japanese, the signs
    beside a number must be none of a larger one.
    """
    values, pattern = _words_of(language)
    if pattern is None:
        return frozenset()
    words = (_one_space(match["word"]) for match in pattern.finditer(plainer(text)))
    return frozenset(value for word in words for value in values[word])


def _one_space(word: str) -> str:
    return re.sub(r"[\s-]+", " ", word)


@cache
def spelled(number: int, language: str) -> frozenset[str]:
    """Return a number up to 100 in words, in plain letters; nothing for a language whose words nobody wrote down.

    They are the cardinal and the ordinal of num2words, or the `cardinals` of the language's file, and the other forms
    under its `number_words`.

    Raises:
        InputError: if the file lists not one cardinal for each number from 0 to 100.
    """
    forms = [str(word) for word in language_data(language).get("number_words", {}).get(number, ())]
    for word in _cardinal_and_ordinal(number, language):
        forms += [word, word.replace(" و ", " و")]  # Arabic writes `and` in one word with what follows it
    return frozenset(plainer(word) for word in forms if word)


def _cardinal_and_ordinal(number: int, language: str) -> tuple[str, str]:
    """Return the cardinal and the ordinal of a number up to 100 in words; an empty text for one that is not known."""
    if cardinals := language_data(language).get("cardinals"):
        if len(cardinals) != LARGEST_WORD + 1:
            raise InputError(
                f"resources/languages/{language}.yaml: cardinals has {len(cardinals)} words; expected "
                f"{LARGEST_WORD + 1}, of the numbers from 0 to {LARGEST_WORD}"
            )
        return str(cardinals[number]), ""
    words = ["", ""]
    for place, form in enumerate(("cardinal", "ordinal")):
        try:
            words[place] = num2words.num2words(number, lang=language, to=form)
        except NotImplementedError:  # num2words lacks this form or language
            break
    return words[0], words[1]


@cache
def number_words(language: str) -> Mapping[str, int]:
    """Return the value of each word that stands for a number from 1 to 100 by itself, in plain letters.

    Ordinals count without their last letter too, which is an ending in many languages. The cardinal of 1 is left out,
    because it is often an article, and so are the ordinals of fewer than four letters.
    """
    values: dict[str, int] = {}
    for number in range(LARGEST_WORD, 0, -1):
        cardinal, ordinal = map(plainer, _cardinal_and_ordinal(number, language))
        values |= {form: number for form in (ordinal, ordinal[:-1]) if form.isalpha() and len(form) > 3}
        if cardinal and number > 1:
            values[cardinal] = number
    return values


@cache
def _words_of(language: str) -> tuple[Mapping[str, set[int]], regex.Pattern[str] | None]:
    """Return the values of each number word, and the pattern that finds the words in plain text, longest first."""
    values: dict[str, set[int]] = {}
    for number in range(LARGEST_WORD + 1):
        for word in spelled(number, language):
            values.setdefault(_one_space(word), set()).add(number)
    if not values:
        return {}, None
    unspaced = language in general_data()["without_spaces"]
    joined = {
        word: regex.escape(word, literal_spaces=True).replace(" ", r"[\s-]+")
        + ("" if unspaced or len(word) >= _LONG_ENOUGH else f"(?!{_INSIDE_WORD})")
        for word in values
    }
    words = "|".join(joined[word] for word in sorted(values, key=lambda word: (-len(word), word)))
    if unspaced:
        digits = f"[{_CJK_DIGITS}]"
        return values, regex.compile(rf"(?<!{digits})(?P<word>{words})(?!{digits})")
    prefix = language_data(language).get("number_prefix", "")
    return values, regex.compile(rf"(?<!{_INSIDE_WORD})(?:{prefix})(?P<word>{words})")
