"""Texts of unknown origin, made safe to show; and what in them looks like a fault of reading."""

import re
import unicodedata
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_BIDI = "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
_UNSAFE = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_BIDI}\ud800-\udfff\ufffe\uffff]")

FAULTS = {
    "replacement character": "\ufffd",
    "mojibake": "Ã[\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac]"
    "|Â[\u00a0-\u00bf]|â€[\u0090-\u00bf\u0153\u02dc\u2122]|â\u0080",
    "markup": r"</?(?:p|br|b|i|u|em|strong|sub|sup|div|span|img|a|li|ul|ol|table|tr|td|font)(?:\s[^<>]*)?/?>"
    r"|&(?:[a-z]{2,8}|#\d{2,5});",
    "escape written out": r"\\u[0-9a-fA-F]{4}|\\n",
    "control character": "[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]",
}
"""What a text should not hold after cleaning, as regular expressions (RE2)."""

EMPTY_WORDS = ("nan", "<na>", "#n/a", "null", "undefined", "nat")
"""How programs write a value that is missing; alone in a field, it is hardly meant."""

_PREFIX = r"^(?P<prefix>\(?\p{L}{0,15}[ ]?[0-9]{0,6}[ ]?[:.)\]])\s"


def visible(text: str) -> str:
    """Return a text in which control characters and signs that turn the reading direction are written out."""
    return _UNSAFE.sub(lambda found: _written(found[0]), text)


def _written(sign: str) -> str:
    code = ord(sign)
    return chr(0x2400 + code) if code < 0x20 else f"\\u{code:04x}"


def all_visible(value: Any) -> Any:
    """Return a JSON value in which every text, keys included, is safe to show."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible(str(key)): all_visible(inside) for key, inside in value.items()}
    return [all_visible(inside) for inside in value] if isinstance(value, list | tuple) else value


def quoted(text: str, most: int = 80) -> str:
    """Return a text in quotation marks, cut, on one line, and isolated: its direction does not spread around it."""
    line = " ".join(text.split())
    return f"“\u2068{line if len(line) <= most else line[: most - 1] + '…'}\u2069”"


def letters(text: str) -> int:
    """Return how many letters a text has."""
    return sum(unicodedata.category(sign)[0] == "L" for sign in text)


def faulty_rows(texts: pa.ChunkedArray) -> dict[str, np.ndarray]:
    """Return, for each kind of fault, the positions of the texts that have it."""
    suspects = np.flatnonzero(pc.match_substring_regex(texts, "|".join(FAULTS.values())).to_numpy())
    if not len(suspects):
        return {}
    few = texts.take(pa.array(suspects))
    found = {kind: suspects[pc.match_substring_regex(few, form).to_numpy()] for kind, form in FAULTS.items()}
    return {kind: rows for kind, rows in found.items() if len(rows)}


def around(kind: str, text: str, before: int = 30, after: int = 45) -> str:
    """Return the part of a text in which a fault stands."""
    found = re.search(FAULTS[kind], text) if kind in FAULTS else None
    start = max(0, found.start() - before) if found else 0
    end = (found.end() if found else start + before) + after
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"


def prefixes(questions: pa.ChunkedArray) -> dict[str, int]:
    """Return how many questions begin with each numbering or heading (`Question 0:`; digits count as 0)."""
    starts = pc.utf8_slice_codeunits(questions, 0, 26)
    found = pc.struct_field(pc.extract_regex(starts, _PREFIX), "prefix").drop_null()
    plain = pc.replace_substring_regex(found, "[0-9]+", "0")
    counts = {entry["values"]: entry["counts"] for entry in pc.value_counts(plain).to_pylist()}
    return {prefix: count for prefix, count in counts.items() if len(prefix) > 1}
