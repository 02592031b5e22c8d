"""The text by which items are compared: letters, digits and symbols, without case, accents, punctuation and spacing."""

import functools
import hashlib
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

_FIELD, _ITEM, _BLANK = "\x1f", "\x1e", ord(" ")


@functools.cache
def _simpler() -> np.ndarray:
    """Return for each code point the one that stands for it: itself, a blank, or 0 for combining marks.

    Punctuation, separators and control characters become blanks. Symbols stay (`<`, `+`, `µ`): they change what is
    asked.
    """
    simpler = np.arange(sys.maxunicode + 1, dtype=np.uint32)
    for code in (*range(0x20000), *range(0xE0000, 0xE0200)):  # the planes between hold ideographs
        category = unicodedata.category(chr(code))[0]
        if category == "M":
            simpler[code] = 0
        elif category in "PZC":
            simpler[code] = _BLANK
    simpler[ord(_ITEM)] = ord(_ITEM)
    return simpler


def normalised(texts: Sequence[str]) -> list[str]:
    """Return the texts without case, accents, punctuation and spacing (NFKD; one blank between words)."""
    if not texts:
        return []
    joined = _ITEM.join(text.replace(_ITEM, " ") if _ITEM in text else text for text in texts)
    decomposed = unicodedata.normalize("NFKD", joined.casefold().replace("œ", "oe").replace("æ", "ae"))
    codes = _simpler()[np.frombuffer(decomposed.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)]
    codes = codes[codes != 0]
    blank = codes == _BLANK
    repeated = np.zeros_like(blank)
    repeated[1:] = blank[1:] & blank[:-1]
    clean = codes[~repeated].tobytes().decode("utf-32-le", "surrogatepass")
    return [text.strip() for text in clean.split(_ITEM)]


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
    found = []
    start = 0
    for (*_, options), gold in zip(rows, table["gold"].to_pylist(), strict=True):
        question, context, answer, *own = clean[start : start + 3 + len(options)]
        start += 3 + len(options)
        right = sorted({own[index] for index in gold}) if gold else [answer]
        found.append(Text((question, context, *sorted(own)), tuple(right)))
    return found


def digest(texts: Sequence[str]) -> bytes:
    """Return 16 bytes that are equal for equal sequences of normalised texts."""
    return hashlib.blake2b(_FIELD.join(texts).encode("utf-8", "surrogatepass"), digest_size=16).digest()
