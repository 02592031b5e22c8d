"""Numbers and units in a text, and whether a translation still has them all."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache

from posologie.language.facts import plainer, spelled
from posologie.language.languages import decimal_mark, language_data

_SUPERSCRIPTS = {ord(raised): plain for raised, plain in zip("⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", "0123456789" * 2, strict=True)}
_AFTERNOON = re.compile(
    r"(?::\d\d)? ?(?:h|heures|horas|o'clock)?,? ?(?:p\.? ?m\b|(?:de|du|in|de l)[ '’](?:the |la |l['’])?"
    r"(?:tarde|noche|soir|apres-midi|afternoon|evening))",
    re.IGNORECASE,
)
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹₀-₉]+")
_SPACES = re.compile("[\u00a0\u2000-\u200a\u202f]")
_NUMBER = re.compile(
    r"(?P<sign>(?<=[(=<>≤≥\[])\s?[-−–‐]|(?<=\S )[-−‐](?=\d)|^[-−‐](?=\d))?"
    r"(?P<digits>(?<![\w.,])\.\d+|\d+(?:[.,]\d+|(?<![^\W\d_]\d) \d{3}(?!\d))*)"
)
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:[., ]\d{3})+")
_LISTED = re.compile(r"\d{1,2}(?:,\d{1,2}){2,}(?![\d.])|\d{1,2}(?:,\d{1,2})+(?=(?:['’′]|-[A-Za-z]|-?\())")
"""Numbers in a row, as in names of substances: `inositol 1,4,5-trisphosphate`."""
_BETWEEN = re.compile(r" ?(?:[/x×±]|[-–—‐]|and|or|to|vs?\.?|versus|et|ou|à|und|oder|bis|y|o|a|e) ?", re.IGNORECASE)

_SPELLINGS = {
    "g": "g gram grams gramme grammes gr gramo gramos grammo grammi grama gramas gramm",
    "kg": "kg kgs kgrs kilogram kilograms kilogramme kilogrammes kilo kilos kilogramo kilogramos",
    "mg": "mg mgs milligram milligrams milligramme milligrammes miligramo miligramos",
    "µg": "µg μg ug mcg microgram micrograms microgramme microgrammes microgramo microgramos",
    "ng": "ng nanogram nanograms nanogramme nanogrammes",
    "pg": "pg picogram picograms picogramme picogrammes",
    "l": "l liter liters litre litres litro litros litri",
    "dl": "dl deciliter decilitre deciliters decilitres decilitro decilitros",
    "ml": "ml cc milliliter milliliters millilitre millilitres mililitro mililitros",
    "µl": "µl μl ul microliter microlitre microliters microlitres",
    "fl": "fl",
    "sd": "sd ds",
    "mol": "mol mole moles",
    "mmol": "mmol millimole millimoles mmole mmoles",
    "µmol": "µmol μmol umol micromole micromoles",
    "nmol": "nmol",
    "pmol": "pmol",
    "mosm": "mosm mosmol",
    "meq": "meq mval",
    "u": "u iu ui ie unit units unite unites unidad unidades i.u. u.i. iu. miu mui",
    "%": "% percent pct pourcent per_cent pour_cent por_ciento prozent",
    "°c": "°c ℃ °celsius",
    "°f": "°f ℉ °fahrenheit",
    "mmhg": "mmhg",
    "cmh2o": "cmh2o",
    "kpa": "kpa",
    "m": "m meter meters metre metres metro metros",
    "cm": "cm cms centimeter centimeters centimetre centimetres centimetro centimetros",
    "mm": "mm millimeter millimeters millimetre millimetres milimetro milimetros",
    "µm": "µm μm um micron microns",
    "nm": "nm nanometer nanometre nanometers nanometres",
    "km": "km",
    "gy": "gy",
    "msv": "msv",
    "hz": "hz",
    "mhz": "mhz",
    "kcal": "kcal",
    "kj": "kj",
    "ms": "ms",
    "lb": "lb lbs pound pounds livres libras",
    "in": "inch inches pouces pulgadas",
    "ft": "ft feet foot pieds pies",
    "oz": "oz ounce ounces onces onzas",
}
_UNITS = {
    spelling.replace("_", " "): unit for unit, spellings in _SPELLINGS.items() for spelling in spellings.split(" ")
}
_NO_UNITS = frozenset("DYSJ")
"""What is no unit of time where it touches a number: `C282Y`, `25-OH 2D`."""

_TIMES = {"h": "h", "min": "min", "s": "s", "d": "d", "wk": "wk", "mo": "mo", "y": "y"}
"""Units of time in a language without data: `resources/languages/{code}.yaml` has their names under `units`."""

_IMPERIAL = {"°f": {"°c"}, "lb": {"kg", "g"}, "oz": {"g", "kg"}, "in": {"cm", "m"}, "ft": {"cm", "m"}}
"""Units that a translator drops where the same measure stands beside them in one of those they map to."""

_ADVERBS = {
    "d": ("daily", "quotidien", "diari", "taglich", "quotidian"),
    "wk": ("weekly", "hebdomadaire", "wochentlich"),
}
"""Beginnings of words that stand for "a day", "a week"."""

_PER = r" ?/ ?| (?:per|par|por|pro|al|every|each|cada|chaque|je|a(?= (?:day|week|month|la s))) (?:(?:el|la) )?"

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
    "es": {"un": 1, "una": 1, "doble": 2, "ambos": 2, "ambas": 2, "triple": 3, "docena": 12, "vez": 1, "solo": 1},
    "fr": {
        "un": 1,
        "une": 1,
        "seul": 1,
        "double": 2,
        "deuxième": 2,
        "second": 2,
        "seconde": 2,
        "triple": 3,
        "première": 1,
    },
}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in a text.

    Attributes:
        readings: what it can mean: `1.000` is a thousand or one.
        unit: its unit in one spelling (`mg/kg/d`), or an empty text.
        borrowed: whether the unit stands behind a later number only.
        end: where number and unit end in the text.
    """

    text: str
    readings: frozenset[Decimal]
    unit: str
    start: int
    end: int
    borrowed: bool = False


@cache
def _units(language: str) -> tuple[dict[str, str], re.Pattern[str]]:
    """Return the spellings of units in a language, without accents, and the pattern of a unit after a number."""
    times = language_data(language).get("units") or {unit: [spelling] for unit, spelling in _TIMES.items()}
    known = _UNITS | {str(spelling): str(unit) for unit, spellings in times.items() for spelling in spellings}
    one = "|".join(re.escape(spelling) for spelling in sorted(known, key=len, reverse=True))
    pattern = rf"(?!s(?!\w))[ -]{{0,2}}(?P<unit>(?:{one})(?:(?:{_PER})(?:{one}))*)(?![^\W\d_])"
    return known, re.compile(pattern, re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Side:
    quantity: Quantity
    text: str
    language: str


def quantities(text: str, language: str) -> list[Quantity]:
    """Return the numbers of a text with their units, in order; of `5 or 10 mg` both have the unit."""
    text = _plain(text)
    found = list(_quantities(text, language))
    for position in range(len(found) - 2, -1, -1):
        this, following = found[position], found[position + 1]
        if not this.unit and following.unit and _BETWEEN.fullmatch(text, this.end, following.start):
            found[position] = replace(this, unit=following.unit, borrowed=True)
    return found


def _plain(text: str) -> str:
    """Return the text with ordinary spaces, raised digits apart from those before them, and units in one word."""
    text = _RAISED.sub(lambda raised: f" {raised.group().translate(_SUPERSCRIPTS)}", _SPACES.sub(" ", text))
    text = re.sub(r"(?<=\d) ?º ?(?=[CF]\b)", "°", text).replace("cm H2O", "cmH2O")
    text = re.sub(r"\bmm (?:de )?(?=Hg\b)", "mm", text)
    text = re.sub(r"° (?=[CF]\b)", "°", re.sub(r"(?<=\d) in(?=[).])", " inch", text))
    if text.isascii():
        return text
    return "".join(sign for sign in unicodedata.normalize("NFD", text) if not unicodedata.combining(sign))


def _quantities(text: str, language: str) -> Iterator[Quantity]:
    known, pattern = _units(language)
    for number in _NUMBER.finditer(text):
        listed = _LISTED.match(text, number.start("digits"))
        if listed:
            for part in re.finditer(r"\d+", listed.group()):
                place = listed.start() + part.start()
                yield Quantity(part.group(), frozenset((Decimal(part.group()),)), "", place, place + len(part.group()))
            continue
        unit = pattern.match(text, number.end())
        if unit and unit["unit"] in _NO_UNITS and unit.start("unit") == number.end():
            unit = None
        spelled = _canonical(unit["unit"], known) if unit else ""
        readings = _readings(number["digits"], language, bool(unit))
        if _AFTERNOON.match(text, number.end()):
            readings |= {reading + 12 for reading in readings if reading < 12}
        if number["sign"]:
            readings = frozenset(-reading for reading in readings)
        end = unit.end() if unit else number.end()
        yield Quantity(text[number.start() : end].strip(), readings, spelled, number.start(), end)


@cache
def _mark(language: str) -> str:
    return decimal_mark(language)


def _readings(digits: str, language: str, measured: bool) -> frozenset[Decimal]:
    """Return what a number can mean in a language: which mark is the decimal one, and which parts thousands.

    A count such as `10,000` stays as it was in many a translation into a language with a decimal comma; of a measure
    (`1,000 mL`) this would be another dose.
    """
    mark, other = (",", ".") if _mark(language) == "," else (".", ",")
    if digits.startswith("."):
        digits = f"0{digits}"
    plain = re.sub(r"[^\d.,]", "", digits)
    readings = set()
    if _THOUSANDS.fullmatch(digits) and (mark not in digits or (mark == "," and "." not in digits and not measured)):
        readings.add(Decimal(re.sub(r"\D", "", digits)))
    whole, _, fraction = plain.rpartition(mark) if mark in plain else (plain, "", "")
    if mark in plain:
        readings.add(Decimal(f"{re.sub(r'[.,]', '', whole)}.{fraction}"))
    elif plain.count(other) == 1 and (mark == "," or not readings):  # the other language's mark, left as it was
        readings.add(Decimal(plain.replace(",", ".")))
    elif not readings:
        readings.add(Decimal(re.sub(r"\D", "", digits)))
    return frozenset(reading.normalize() for reading in readings)


def _canonical(unit: str, known: Mapping[str, str]) -> str:
    parts = re.split(_PER, unit.lower())
    return "/".join(known[part] for part in parts)


def problems(source: str, translation: str, source_language: str, target_language: str) -> list[str]:
    """Return what happened to the numbers of a text in its translation: lost, added, another unit.

    A whole number up to 100 may be written in words or in Roman digits on either side.
    """
    source, translation = _plain(source), _plain(translation)
    given, left = quantities(source, source_language), quantities(translation, target_language)
    everything = [*given, *left]
    found: list[str] = []
    # Numbers with the same unit first: of "3 weeks" and "3 times", neither may take the other's counterpart.
    for unit_too in (True, False):
        lost: list[Quantity] = []
        for quantity in given:
            same = (one for one in left if one.readings & quantity.readings)
            other = next((one for one in same if one.unit == quantity.unit or not unit_too), None)
            if other is None:
                lost.append(quantity)
                continue
            left.remove(other)
            sides = _Side(quantity, source, source_language), _Side(other, translation, target_language)
            if quantity.unit and not _same_unit(*sides):
                found.append(f"unit of {quantity.text} is now {other.unit or 'missing'}")
        given = lost
    found += [
        f"{quantity.text} is missing"
        for quantity in lost
        if not _in_words(quantity, translation, target_language) and not _repeated(quantity, everything)
    ]
    found += [
        f"{quantity.text} was added"
        for quantity in left
        if not _in_words(quantity, source, source_language) and not _repeated(quantity, everything)
    ]
    return found


def _same_unit(one: _Side, other: _Side) -> bool:
    """Return whether a number kept its unit; a part may stand apart, as in `50 dernières années`, `2 mg daily`."""
    parts = [side.quantity.unit.split("/") if side.quantity.unit else [] for side in (one, other)]
    if not parts[1] and (one.quantity.borrowed or not language_data(other.language).get("units")):
        return True  # the name of the unit may be one that nobody wrote down
    only = [[part for part in parts[this] if part not in parts[1 - this]] for this in (0, 1)]
    return all(_stands_apart(part, other) for part in only[0]) and all(_stands_apart(part, one) for part in only[1])


def _stands_apart(unit: str, side: _Side) -> bool:
    """Return whether one of the words around a number is a name of a unit, or begins with one."""
    known, _ = _units(side.language)
    around = side.text[max(0, side.quantity.start - 30) : side.quantity.start], side.text[side.quantity.end :][:40]
    near = re.findall(r"[^\W\d_]+|%", plainer(around[0]))[-3:] + re.findall(r"[^\W\d_]+|%", plainer(around[1]))[:5]
    names = [name for name, meant in known.items() if meant == unit]
    names += _ADVERBS.get(unit, ())
    return any(word == name or (len(name) > 2 and word.startswith(name)) for word in near for name in names)


def _repeated(quantity: Quantity, others: Sequence[Quantity]) -> bool:
    """Return whether a measure in another system of units stands beside the same one: `38 °C (100.4 °F)`."""
    return any(other.unit in _IMPERIAL.get(quantity.unit, ()) for other in others)


def _in_words(quantity: Quantity, text: str, language: str) -> bool:
    """Return whether a text has a small whole number in words or in Roman digits."""
    for reading in quantity.readings:
        number = int(reading) if reading == reading.to_integral_value() and 0 <= reading <= _LARGEST_WORD else None
        if number is None:
            continue
        if 0 < number < len(_ROMAN) and re.search(rf"\b{_ROMAN[number]}\b", text):
            return True
        plain = plainer(text)
        if any(
            re.search(rf"\b{re.escape(word)}" + r"\b" * (len(word) < 4), plain) for word in _words(number, language)
        ):
            return True
    return False


@cache
def _words(number: int, language: str) -> frozenset[str]:
    others = {word for word, value in _OTHER_WORDS.get(language, {}).items() if value == number}
    return spelled(number, language) | {plainer(word) for word in others}
