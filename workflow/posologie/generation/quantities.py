"""Numbers and units in a text, and whether a translation still has them all."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache

import num2words

_DECIMAL_COMMA = re.compile("fr|de|es|it|pt|nl|pl|ru|cs|ro|ca|da|sv|no|nb|nn|fi|hu|el|tr|uk|bg|hr|sl|sk|lt|lv|et")
"""Languages that write a decimal comma."""

_SUPERSCRIPTS = {ord(raised): plain for raised, plain in zip("⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", "0123456789" * 2, strict=True)}
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹₀-₉]+")
_SPACES = re.compile("[\u00a0\u2000-\u200a\u202f]")
_NUMBER = re.compile(
    r"(?P<sign>(?<=[(=<>≤≥\[])\s?[-−–‐]|(?<=\S )[-−‐](?=\d))?"
    r"(?P<digits>(?<![\w.,])\.\d+|\d+(?:[.,]\d+| \d{3}(?!\d))*)"
)
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:[., ]\d{3})+")
_BETWEEN = re.compile(r" ?(?:[/x×±]|[-–—‐]|and|or|to|vs?\.?|versus|et|ou|à|und|oder|bis|y|o|a|e) ?", re.IGNORECASE)

_SPELLINGS = {
    "g": "g gram grams gramme grammes gr",
    "kg": "kg kgs kilogram kilograms kilogramme kilogrammes kilo kilos",
    "mg": "mg mgs milligram milligrams milligramme milligrammes",
    "µg": "µg μg ug mcg microgram micrograms microgramme microgrammes",
    "ng": "ng nanogram nanograms nanogramme nanogrammes",
    "pg": "pg picogram picograms picogramme picogrammes",
    "l": "l liter liters litre litres",
    "dl": "dl deciliter decilitre décilitre deciliters décilitres",
    "ml": "ml cc milliliter milliliters millilitre millilitres",
    "µl": "µl μl ul microliter microlitre microliters microlitres",
    "fl": "fl",
    "mol": "mol mole moles",
    "mmol": "mmol millimole millimoles mmole mmoles",
    "µmol": "µmol μmol umol micromole micromoles",
    "nmol": "nmol",
    "pmol": "pmol",
    "mosm": "mosm mosmol",
    "meq": "meq méq mval",
    "u": "u iu ui ie unit units unité unités i.u. u.i. iu. miu mui",
    "%": "% percent pct pourcent per_cent pour_cent",
    "°c": "°c ℃ °celsius",
    "°f": "°f ℉",
    "mmhg": "mmhg",
    "cmh2o": "cmh2o",
    "kpa": "kpa",
    "m": "m meter meters metre metres mètre mètres",
    "cm": "cm centimeter centimeters centimetre centimetres centimètre centimètres",
    "mm": "mm millimeter millimeters millimetre millimetres millimètre millimètres",
    "µm": "µm μm um micron microns",
    "nm": "nm nanometer nanomètre nanometers nanomètres",
    "km": "km",
    "gy": "gy",
    "msv": "msv",
    "hz": "hz",
    "mhz": "mhz",
    "kcal": "kcal",
    "kj": "kj",
    "ms": "ms",
    "s": "s sec secs second seconds seconde secondes",
    "min": "min mins mn minute minutes",
    "h": "h hr hrs hour hours heure heures",
    "d": "d j day days jour jours",
    "wk": "wk wks week weeks sem semaine semaines",
    "mo": "mo month months mois",
    "y": "y yr yrs year years an ans année années",
}
_UNITS = {
    spelling.replace("_", " "): unit for unit, spellings in _SPELLINGS.items() for spelling in spellings.split(" ")
}
_SPELLED_OUT_IN = frozenset(("en", "fr"))
"""Languages whose names of units are in the table: elsewhere a missing unit may be a name that it does not know."""

_ONE_UNIT = "|".join(re.escape(spelling) for spelling in sorted(_UNITS, key=len, reverse=True))
_UNIT = re.compile(
    rf"[ -]{{0,2}}(?P<unit>(?:{_ONE_UNIT})(?: ?/ ?(?:{_ONE_UNIT})| (?:per|par) (?:{_ONE_UNIT}))*)(?![^\W\d_])",
    re.IGNORECASE,
)
_ROMAN = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
_LARGEST_WORD = 100
_OTHER_WORDS = {
    "en": {
        "once": 1,
        "single": 1,
        "twice": 2,
        "double": 2,
        "both": 2,
        "pair": 2,
        "thrice": 3,
        "triple": 3,
        "dozen": 12,
    },
    "fr": {"une": 1, "seul": 1, "double": 2, "deuxième": 2, "second": 2, "seconde": 2, "triple": 3, "première": 1},
}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in a text.

    Attributes:
        readings: what it can mean: `1.000` is a thousand or one.
        unit: its unit in one spelling (`mg/kg/d`), or an empty text.
        end: where number and unit end in the text.
    """

    text: str
    readings: frozenset[Decimal]
    unit: str
    start: int
    end: int


def quantities(text: str, language: str) -> list[Quantity]:
    """Return the numbers of a text with their units, in order; of `5 or 10 mg` both have the unit."""
    text = _plain(text)
    found = list(_quantities(text, language))
    for position in range(len(found) - 2, -1, -1):
        this, following = found[position], found[position + 1]
        if not this.unit and following.unit and _BETWEEN.fullmatch(text, this.end, following.start):
            found[position] = replace(this, unit=following.unit)
    return found


def _plain(text: str) -> str:
    """Return the text with ordinary spaces, raised digits apart from those before them, and units in one word."""
    text = _RAISED.sub(lambda raised: f" {raised.group().translate(_SUPERSCRIPTS)}", _SPACES.sub(" ", text))
    return text.replace("mm Hg", "mmHg").replace("° C", "°C").replace("cm H2O", "cmH2O")


def _quantities(text: str, language: str) -> Iterator[Quantity]:
    for number in _NUMBER.finditer(text):
        unit = _UNIT.match(text, number.end())
        spelled = _canonical(unit["unit"]) if unit else ""
        readings = _readings(number["digits"], language)
        if number["sign"]:
            readings = frozenset(-reading for reading in readings)
        end = unit.end() if unit else number.end()
        yield Quantity(text[number.start() : end].strip(), readings, spelled, number.start(), end)


def _readings(digits: str, language: str) -> frozenset[Decimal]:
    """Return what a number can mean in a language: which mark is the decimal one, and which parts thousands."""
    mark, other = (",", ".") if _DECIMAL_COMMA.fullmatch(language) else (".", ",")
    if digits.startswith("."):
        digits = f"0{digits}"
    plain = re.sub(r"[^\d.,]", "", digits)
    readings = set()
    if _THOUSANDS.fullmatch(digits) and mark not in digits:
        readings.add(Decimal(re.sub(r"\D", "", digits)))
    whole, _, fraction = plain.rpartition(mark) if mark in plain else (plain, "", "")
    if mark in plain:
        readings.add(Decimal(f"{re.sub(r'[.,]', '', whole)}.{fraction}"))
    elif plain.count(other) == 1 and (mark == "," or not readings):  # the other language's mark, left as it was
        readings.add(Decimal(plain.replace(",", ".")))
    elif not readings:
        readings.add(Decimal(re.sub(r"\D", "", digits)))
    return frozenset(reading.normalize() for reading in readings)


def _canonical(unit: str) -> str:
    parts = re.split(r" ?/ ?| (?:per|par) ", unit)
    return "/".join(_UNITS[part.lower()] for part in parts)


def problems(source: str, translation: str, source_language: str, target_language: str) -> list[str]:
    """Return what happened to the numbers of a text in its translation: lost, added, another unit.

    A whole number up to 100 may be written in words or in Roman digits on either side.
    """
    translation = _plain(translation)
    left = quantities(translation, target_language)
    found: list[str] = []
    lost: list[Quantity] = []
    for quantity in quantities(source, source_language):
        same = [other for other in left if other.readings & quantity.readings]
        if not same:
            lost.append(quantity)
            continue
        other = next((other for other in same if other.unit == quantity.unit), same[0])
        left.remove(other)
        if (
            quantity.unit
            and other.unit != quantity.unit
            and not _apart(quantity.unit, other, translation, target_language)
        ):
            found.append(f"unit of {quantity.text} is now {other.unit or 'missing'}")
    found += [
        f"{quantity.text} is missing" for quantity in lost if not _in_words(quantity, translation, target_language)
    ]
    found += [f"{quantity.text} was added" for quantity in left if not _in_words(quantity, source, source_language)]
    return found


def _apart(unit: str, other: Quantity, text: str, language: str) -> bool:
    """Return whether a unit may stand apart from its number, as in `50 dernières années`."""
    if other.unit:
        return False
    if language not in _SPELLED_OUT_IN:
        return True
    following = re.findall(r"[^\W\d_]+|%", text[other.end : other.end + 40])[:3]
    return any(_UNITS.get(word.lower()) == unit for word in following)


def _in_words(quantity: Quantity, text: str, language: str) -> bool:
    """Return whether a text has a small whole number in words or in Roman digits."""
    for reading in quantity.readings:
        number = int(reading) if reading == reading.to_integral_value() and 0 <= reading <= _LARGEST_WORD else None
        if number is None:
            continue
        if 0 < number < len(_ROMAN) and re.search(rf"\b{_ROMAN[number]}\b", text):
            return True
        if any(re.search(rf"\b{re.escape(word)}", text, re.IGNORECASE) for word in _words(number, language)):
            return True
    return False


@cache
def _words(number: int, language: str) -> frozenset[str]:
    words = {word for word, value in _OTHER_WORDS.get(language, {}).items() if value == number}
    with contextlib.suppress(NotImplementedError):  # a language whose number words nobody wrote down: digits only
        words |= {num2words.num2words(number, lang=language), num2words.num2words(number, lang=language, to="ordinal")}
    return frozenset(words)
