"""The text by which items are compared: letters, digits, signs and symbols, without case, accents and punctuation.

Invisible characters go, and letters of another script that look like Latin ones are read as those inside a Latin word,
so that a copy cannot hide behind them. The text is for comparison only; no item is changed.
"""

import functools
import hashlib
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import regex

from posologie.language.languages import is_accent

_FIELD, _ITEM, _BLANK = "\x1f", "\x1e", ord(" ")
_MINUS, _HYPHEN = 0x2212, 0x2D
_DASHES = np.array([_HYPHEN, 0x2010, 0x2012, 0x2013, _MINUS], dtype=np.uint32)
_OPENING = np.array([ord(sign) for sign in "([=<>≤≥:;,/±~≈" + _ITEM], dtype=np.uint32)
_UNSEEN = regex.compile(r"\p{Default_Ignorable_Code_Point}|\p{Me}")
_FOREIGN = (0x370, 0x530)
"""Greek and Cyrillic."""
_LOOKALIKES = str.maketrans(
    "аеорсухіјѕһԁԛԝАВЕКМНОРСТУХІЈЅԚԜονιραυκΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aeopcyxijshdqwABEKMHOPCTYXIJSQWovipaukABEZHIKMNOPTYX",
)
"""Letters that Unicode lists as confusable with a Latin one (UTS 39)."""


@functools.cache
def _simpler() -> np.ndarray:
    """Return for each code point the one that stands for it: itself, a blank, or 0 for accents.

    Vowel signs of Indic and South-East Asian scripts stay: without them a word is another. Punctuation, separators and
    control characters become blanks; invisible ones (soft hyphen, zero-width) go. Symbols stay (`<`, `+`, `µ`, `%`):
    they change what is asked.
    """
    simpler = np.arange(sys.maxunicode + 1, dtype=np.uint32)
    for code in (*range(0x20000), *range(0xE0000, 0xE0200)):  # the planes between hold ideographs
        category = unicodedata.category(chr(code))
        if category == "Cf" or (category[0] == "M" and (is_accent(chr(code)) or _UNSEEN.fullmatch(chr(code)))):
            simpler[code] = 0
        elif category[0] in "PZC":
            simpler[code] = _BLANK
    for sign in (_ITEM, "%", "‰"):
        simpler[ord(sign)] = ord(sign)
    return simpler


def normalised(texts: Sequence[str]) -> list[str]:
    """Return the texts without case, accents, punctuation and spacing (NFKD; one blank between words).

    The sign of a number stays: −2.5 is not 2.5.
    """
    if not texts:
        return []
    joined = _ITEM.join(text.replace(_ITEM, " ") if _ITEM in text else text for text in texts)
    folded = _in_one_script(joined).casefold()
    spelled = folded.replace("œ", "oe").replace("æ", "ae").replace("%", " % ")
    decomposed = unicodedata.normalize("NFKD", spelled)
    codes = _simpler()[_with_signs(_codes(decomposed))]
    codes = codes[codes != 0]
    blank = codes == _BLANK
    repeated = np.zeros_like(blank)
    repeated[1:] = blank[1:] & blank[:-1]
    clean = codes[~repeated].tobytes().decode("utf-32-le", "surrogatepass")
    return [text.strip() for text in clean.split(_ITEM)]


def _codes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _with_signs(codes: np.ndarray) -> np.ndarray:
    """Return the code points with one form for the sign of a number and another for all other dashes.

    A sign touches its number, and follows an opening mark, nothing, or a blank without a number before it (a range).
    """
    places = np.flatnonzero(np.isin(codes, _DASHES))
    if not len(places):
        return codes
    around = np.concatenate([np.full(2, ord(_ITEM), np.uint32), codes, np.full(1, ord(_ITEM), np.uint32)])
    following, before, earlier = around[places + 3], around[places + 1], around[places]
    blank = (before == _BLANK) | (before == 0xA)
    number = _is_digit(earlier) | (earlier == ord("%")) | (earlier == ord("°"))
    sign = _is_digit(following) & (np.isin(before, _OPENING) | (blank & ~number))
    changed = codes.copy()
    changed[places] = np.where(sign, np.uint32(_MINUS), np.uint32(_HYPHEN))
    return changed


def _is_digit(codes: np.ndarray) -> np.ndarray:
    digit: np.ndarray = (codes >= ord("0")) & (codes <= ord("9"))
    return digit


def _in_one_script(text: str) -> str:
    """Return the text with Latin letters for those that look like them, in words that also have real Latin letters."""
    if text.isascii():
        return text
    codes = _codes(text)
    foreign = (codes >= _FOREIGN[0]) & (codes < _FOREIGN[1])
    if not foreign.any():
        return text
    lower = codes | 0x20
    latin = ((lower >= ord("a")) & (lower <= ord("z")) & (codes < 0x80)) | ((codes >= 0xC0) & (codes < 0x250))
    word = np.cumsum(~(latin | foreign))
    mixed = np.flatnonzero(foreign & (np.bincount(word, weights=latin)[word] > 0))
    if not len(mixed):
        return text
    changed = codes.copy()
    changed[mixed] = [ord(letter) for letter in "".join(map(chr, codes[mixed])).translate(_LOOKALIKES)]
    return changed.tobytes().decode("utf-32-le", "surrogatepass")


@dataclass(frozen=True, slots=True)
class Text:
    """The normalised texts of an item.

    Attributes:
        fields: question, context, then the options in alphabetical order: an item is the same whatever their order.
        answer: the right options in alphabetical order, or the reference text.
    """

    fields: tuple[str, ...]
    answer: tuple[str, ...]


def texts(table: pa.Table) -> list[Text]:
    """Return the normalised texts of each item."""
    rows = list(zip(*(table[name].to_pylist() for name in ("question", "context", "answer", "options")), strict=True))
    clean = normalised([text for *fields, options in rows for text in (*fields, *options)])
    normalised_texts = []
    start = 0
    for (*_, options), gold in zip(rows, table["gold"].to_pylist(), strict=True):
        question, context, answer, *own = clean[start : start + 3 + len(options)]
        start += 3 + len(options)
        right = sorted({own[index] for index in gold}) if gold else [answer]
        normalised_texts.append(Text((question, context, *sorted(own)), tuple(right)))
    return normalised_texts


def digest(texts: Sequence[str]) -> bytes:
    """Return 16 bytes that are equal for equal sequences of normalised texts."""
    return hashlib.blake2b(_FIELD.join(texts).encode("utf-8", "surrogatepass"), digest_size=16).digest()
