"""Numbers and units in a text, and whether a translation still has them all."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache

import regex

from posologie.language.languages import LIKE, decimal_mark, language_data, plainer
from posologie.language.numbers import UNSPACED, is_in_words

_SUPERSCRIPTS = {ord(raised): plain for raised, plain in zip("⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", "0123456789" * 2, strict=True)}
_AFTERNOON = re.compile(
    r"(?::\d\d)? ?(?:h|heures|horas|o'clock)?,? ?(?:p\.? ?m\b|(?:de|du|in|de l)[ '’](?:the |la |l['’])?"
    r"(?:tarde|noche|soir|apres-midi|afternoon|evening))",
    re.IGNORECASE,
)
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹₀-₉]+")
_SIGNS = {sign: plain for sign, plain in LIKE.items() if sign >= 0x3000 or chr(sign) in "٫٬٪"}
_UNSPACED = re.compile(f"[{UNSPACED}]")
_NEAR = regex.compile(r"\p{L}[\p{L}\p{M}]*|%")
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
    "d": ("daily", "quotidien", "diari", "taglich", "quotidian", "giornalier"),
    "wk": ("weekly", "hebdomadaire", "wochentlich"),
}
"""Beginnings of words that stand for "a day", "a week"."""

_PER = r" ?/ ?| (?:per|par|por|pro|al|every|each|cada|chaque|je|a(?= (?:day|week|month|la s))) (?:(?:el|la) )?"


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
def _units(language: str) -> tuple[dict[str, str], re.Pattern[str], str]:
    """Return a language's spellings of units in plain letters, the pattern of a unit after a number, and of `per`."""
    own = language_data(language).get("units") or {unit: [spelling] for unit, spelling in _TIMES.items()}
    known = _UNITS | {plainer(str(spelling)): str(unit) for unit, spellings in own.items() for spelling in spellings}
    per = "|".join((_PER, *(f" {re.escape(plainer(str(word)))} " for word in language_data(language).get("per", ()))))
    names = "|".join(re.escape(spelling) for spelling in sorted(known, key=len, reverse=True))
    pattern = rf"(?!s(?!\w))[ -]{{0,2}}(?P<unit>(?:{names})(?:(?:{per})(?:{names}))*)(?![^\W\d_{UNSPACED}])"
    return known, re.compile(pattern, re.IGNORECASE), per


@dataclass(frozen=True, slots=True)
class _Side:
    quantity: Quantity
    text: str
    language: str


def quantities(text: str, language: str) -> list[Quantity]:
    """Return the numbers of a text with their units, in order; of `5 or 10 mg` both have the unit."""
    text = _plain(text)
    numbers = list(_quantities(text, language))
    for position in range(len(numbers) - 2, -1, -1):
        this, following = numbers[position], numbers[position + 1]
        if not this.unit and following.unit and _BETWEEN.fullmatch(text, this.end, following.start):
            numbers[position] = replace(this, unit=following.unit, borrowed=True)
    return numbers


def _plain(text: str) -> str:
    """Return the text with ordinary spaces, raised digits apart from those before them, and units in one word."""
    text = _RAISED.sub(
        lambda raised: f" {raised.group().translate(_SUPERSCRIPTS)}", _SPACES.sub(" ", text.translate(_SIGNS))
    )
    text = re.sub(r"(?<=\d) ?º ?(?=[CF]\b)", "°", text).replace("cm H2O", "cmH2O")
    text = re.sub(r"\bmm (?:de )?(?=Hg\b)", "mm", text)
    text = re.sub(r"° (?=[CF]\b)", "°", re.sub(r"(?<=\d) in(?=[).])", " inch", text))
    if text.isascii():
        return text
    return "".join(sign for sign in unicodedata.normalize("NFD", text) if not unicodedata.combining(sign))


def _quantities(text: str, language: str) -> Iterator[Quantity]:
    known, pattern, per = _units(language)
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
        spelled = _canonical(unit["unit"], known, per) if unit else ""
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


def _canonical(unit: str, known: Mapping[str, str], per: str) -> str:
    parts = re.split(per, unit.lower())
    return "/".join(known[part] for part in parts)


def problems(source: str, translation: str, source_language: str, target_language: str) -> list[str]:
    """Return what happened to the numbers of a text in its translation: lost, added, another unit.

    A whole number up to 100 may be written in words or in Roman digits on either side.
    """
    source, translation = _plain(source), _plain(translation)
    unmatched, remaining = quantities(source, source_language), quantities(translation, target_language)
    everything = [*unmatched, *remaining]
    messages: list[str] = []
    # Numbers with the same unit first: of "3 weeks" and "3 times", neither may take the other's counterpart.
    for unit_too in (True, False):
        lost: list[Quantity] = []
        for quantity in unmatched:
            same = (candidate for candidate in remaining if candidate.readings & quantity.readings)
            other = next((candidate for candidate in same if candidate.unit == quantity.unit or not unit_too), None)
            if other is None:
                lost.append(quantity)
                continue
            remaining.remove(other)
            sides = _Side(quantity, source, source_language), _Side(other, translation, target_language)
            if quantity.unit and not _same_unit(*sides):
                messages.append(f"unit of {quantity.text} is now {other.unit or 'missing'}")
        unmatched = lost
    messages += [
        f"{quantity.text} is missing"
        for quantity in lost
        if not (_in_words(quantity, translation, target_language) or _each(quantity, translation, target_language))
        and not _repeated(quantity, everything)
    ]
    messages += [
        f"{quantity.text} was added"
        for quantity in remaining
        if not (_in_words(quantity, source, source_language) or _each(quantity, source, source_language))
        and not _repeated(quantity, everything)
    ]
    return messages


def _same_unit(source: _Side, translation: _Side) -> bool:
    """Return whether a number kept its unit; a part may stand apart, as in `50 dernières années`, `2 mg daily`."""
    parts = [side.quantity.unit.split("/") if side.quantity.unit else [] for side in (source, translation)]
    if not parts[1] and (source.quantity.borrowed or not language_data(translation.language).get("units")):
        return True  # the name of the unit may be one that nobody wrote down
    only = [[part for part in parts[this] if part not in parts[1 - this]] for this in (0, 1)]
    return all(_stands_apart(part, translation) for part in only[0]) and all(
        _stands_apart(part, source) for part in only[1]
    )


def _stands_apart(unit: str, side: _Side) -> bool:
    """Return whether one of the words around a number is a name of a unit, or begins with one."""
    known, _, _ = _units(side.language)
    around = side.text[max(0, side.quantity.start - 30) : side.quantity.start], side.text[side.quantity.end :][:40]
    near = _NEAR.findall(plainer(around[0]))[-3:] + _NEAR.findall(plainer(around[1]))[:5]
    names = [name for name, meant in known.items() if meant == unit]
    names += _ADVERBS.get(unit, ())
    return any(_is_word_of(word, name) for word in near for name in names)


def _is_word_of(word: str, name: str) -> bool:
    """Return whether a word is the name of a unit, begins with it, or has it inside, as other scripts join words."""
    if _UNSPACED.search(name):
        return name in word
    return word == name or (len(name) > 2 and (word.startswith(name) or (not name.isascii() and name in word)))


def _repeated(quantity: Quantity, others: Sequence[Quantity]) -> bool:
    """Return whether a measure in another system of units stands beside the same one: `38 °C (100.4 °F)`."""
    return any(other.unit in _IMPERIAL.get(quantity.unit, ()) for other in others)


def _each(quantity: Quantity, text: str, language: str) -> bool:
    """Return whether a text says of one day or week that it is each (`1日2回`, `twice daily`)."""
    if quantity.unit not in _ADVERBS or quantity.readings != {Decimal(1)}:
        return False
    return any(word.startswith(_ADVERBS[quantity.unit]) for word in _NEAR.findall(plainer(text)))


def _in_words(quantity: Quantity, text: str, language: str) -> bool:
    """Return whether a text has a small whole number in words or in Roman digits."""
    return any(is_in_words(reading, text, language) for reading in quantity.readings)
