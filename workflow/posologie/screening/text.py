"""The text by which items are compared: letters, digits and symbols, without case, accents, punctuation and spacing."""

import functools
import hashlib
import sys
import unicodedata
from collections.abc import Sequence

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
    decomposed = unicodedata.normalize("NFKD", joined.casefold())
    codes = _simpler()[np.frombuffer(decomposed.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)]
    codes = codes[codes != 0]
    blank = codes == _BLANK
    repeated = np.zeros_like(blank)
    repeated[1:] = blank[1:] & blank[:-1]
    clean = codes[~repeated].tobytes().decode("utf-32-le", "surrogatepass")
    return [text.strip() for text in clean.split(_ITEM)]


def fields(table: pa.Table) -> list[tuple[str, ...]]:
    """Return the normalised texts of each item: question, context, then the options in alphabetical order.

    Options are sorted so that an item is the same whatever the order of its options.
    """
    columns = [table[name].to_pylist() for name in ("question", "context", "options")]
    flat = [text for question, context, options in zip(*columns, strict=True) for text in (question, context, *options)]
    clean = iter(normalised(flat))
    return [(next(clean), next(clean), *sorted(next(clean) for _ in range(len(options)))) for options in columns[2]]


def digest(texts: Sequence[str]) -> bytes:
    """Return 16 bytes that are equal for equal sequences of normalised texts."""
    return hashlib.blake2b(_FIELD.join(texts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def answer_digests(table: pa.Table) -> list[bytes]:
    """Return 16 bytes for each item, equal for equal right answers: gold options as a set, or reference text."""
    columns = [table[name].to_pylist() for name in ("options", "gold", "answer")]
    answers = [
        [options[index] for index in gold] if gold else [answer] for options, gold, answer in zip(*columns, strict=True)
    ]
    clean = iter(normalised([text for texts in answers for text in texts]))
    return [digest(sorted({next(clean) for _ in texts})) for texts in answers]
