"""The values of a published record: by a path inside it, as clean text, or the reason why the record is rejected.

Clean text is Unicode NFC with ordinary spaces, without markup and without invisible characters. Every repair is named.
"""

import html
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from posologie.records.reasons import check_reason


class Rejected(Exception):  # noqa: N818 - a verdict on a record, not an error of the program
    """Raised for a record that does not fit.

    Attributes:
        reason: one of `posologie.records.reasons`, by which rejections are counted.
        detail: what was found.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        check_reason(reason)
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class Elsewhere(Exception):  # noqa: N818
    """Raised for a record of another split in the same file: it is neither kept nor rejected."""


# What needs no second look: printable Latin, Greek, general punctuation, arrows and mathematical operators, all of them
# unchanged by NFC, without '&' and '<'. One pass with this pattern spares ordinary text all the others.
_USUAL = "\n\x20-\x25\x27-\x3b\x3d-\x7e\xa1-\xac\xae-\u02ff\u0391-\u03c9\u2010-\u2027\u2030-\u205e\u20ac\u2190-\u22ff"
_UNUSUAL = re.compile(f"[^{_USUAL}]")
NOT_PLAIN = f"[^{_USUAL}]|  | \n|\n |\n\n\n"
"""Pattern of everything that cleaning might change, blanks around the text apart; RE2 can run it over a column."""

_BREAKS = re.compile("\r\n?|[\u2028\u2029\x85\x0b\x0c]")
_SPACES = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_INVISIBLE = re.compile("[\xad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
_DAMAGE = re.compile("[\ufffd\ud800-\udfff]")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_BLOCK_TAG = re.compile(r"<(?:br\s*/?|/(?:p|div|li|tr|h[1-6]|ul|ol|table))\s*>", re.IGNORECASE)
_SUPERSCRIPT = re.compile(r"<sup>([0-9+\-−n]+)</sup>", re.IGNORECASE)
_TAG = re.compile(
    r"</?(?:a|abbr|b|big|blockquote|body|center|code|div|em|font|h[1-6]|head|hr|html|i|img|li|ol|p|pre|q|s|small|span|"
    r"strike|strong|sub|sup|table|tbody|td|tfoot|th|thead|tr|tt|u|ul)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_BLANKS = re.compile(r"[ \t]{2,}|\t")
_LINE_BLANKS = re.compile(r" *\n *")
_EMPTY_LINES = re.compile(r"\n{3,}")
_SUPERSCRIPTS = str.maketrans("0123456789+-−n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻ⁿ")


def clean_text(text: str, repairs: set[str]) -> str:
    """Return the text in its clean form.

    Args:
        text: as published.
        repairs: receives the name of each repair that changed something; blanks around the text do not count.

    Raises:
        Rejected: if the text holds replacement characters or bytes that were not UTF-8: what stood there is lost.
    """
    if _UNUSUAL.search(text):
        text = _repaired(text, repairs)
    text = text.strip()
    if "  " in text or ("\n" in text and (" \n" in text or "\n " in text or "\n\n\n" in text)) or "\t" in text:
        repairs.add("blanks")
        text = _EMPTY_LINES.sub("\n\n", _LINE_BLANKS.sub("\n", _BLANKS.sub(" ", text)))
    return text


def as_text(value: Any, field: str, repairs: set[str]) -> str:
    """Return a published value as clean text; None and NaN are empty text, a number is its digits.

    Raises:
        Rejected: if the value is none of these, or its text is damaged.
    """
    if type(value) is str:
        return clean_text(value, repairs)
    if value is None or value != value:  # not a number is how pandas writes that nothing is there
        return ""
    if isinstance(value, float) and math.isinf(value):
        raise Rejected("field is not text", f"{field}: an infinite number")
    if isinstance(value, int | float) and not isinstance(value, bool):
        repairs.add("number for text")
        try:
            return str(value)
        except ValueError as error:  # an integer beyond Python's limit of digits
            raise Rejected("field is not text", f"{field}: a number of too many digits") from error
    raise Rejected("field is not text", f"{field}: {type(value).__name__}; expected text")


def plain_text(value: Any, field: str, repairs: set[str]) -> str:
    """Return what `as_text` does, for a value in which `NOT_PLAIN` matches nothing."""
    return value.strip() if type(value) is str else as_text(value, field, repairs)


def _repaired(text: str, repairs: set[str]) -> str:
    if damage := _DAMAGE.search(text):
        around = text[max(damage.start() - 20, 0) : damage.end() + 20]
        raise Rejected("damaged characters", f"near {around!a}")
    text = _unescaped(text, repairs)
    for name, pattern, replacement in (
        ("line breaks", _BREAKS, "\n"),
        ("no-break and typographic spaces", _SPACES, " "),
        ("invisible characters", _INVISIBLE, ""),
        ("control characters", _CONTROL, ""),
    ):
        text, count = pattern.subn(replacement, text)
        if count:
            repairs.add(name)
    if "<" in text:
        text = _without_markup(text, repairs)
    if not unicodedata.is_normalized("NFC", text):
        repairs.add("not NFC")
        text = unicodedata.normalize("NFC", text)
    return text


def _unescaped(text: str, repairs: set[str]) -> str:
    # Twice, because `&amp;lt;` is what exports of exports hold.
    for _ in range(2):
        if "&" not in text:
            break
        plain = _ENTITY.sub(lambda entity: html.unescape(entity.group()), text)
        if plain == text:
            break
        repairs.add("HTML entities")
        text = plain
    if _DAMAGE.search(text):
        raise Rejected("damaged characters", "an HTML entity of no character")
    return text


def _without_markup(text: str, repairs: set[str]) -> str:
    """Remove the tags of HTML, and nothing else between angle brackets: `<5 mg/L` and `p<0,05` are text."""
    plain = _SUPERSCRIPT.sub(lambda match: match.group(1).translate(_SUPERSCRIPTS), text)
    plain = _TAG.sub("", _BLOCK_TAG.sub("\n", plain))
    if plain != text:
        repairs.add("HTML markup")
    return plain


@dataclass(frozen=True, slots=True)
class Malformed:
    """Stands in for a record that could not be read.

    Attributes:
        detail: what was found.
        raw: the text as it stands in the file.
    """

    detail: str
    raw: str


_SEGMENT = re.compile(r"((?:[^.\[\]]|\[(?![^\]]*\]))*)((?:\[[^\[\]]*\])*)")
_SELECTOR = re.compile(r"\[([^\[\]]*)\]")


class Inner(dict[str, Any]):
    """A record inside another one, with that one (`^` in a path) and its key in it (`@key`)."""

    holder: Any = None
    key: Any = None


def inner_records(records: Iterable[Any], path: str) -> Iterator[Any]:
    """Yield the records that lie at a path inside records; one without the path is malformed."""
    parts = path.split(".")
    for record in records:
        if isinstance(record, Malformed):
            yield record
        else:
            yield from _inside(record, parts, path, record)


def _inside(record: Any, parts: list[str], path: str, holder: Any) -> Iterator[Any]:
    if not parts:
        yield record
        return
    first, *rest = parts
    if first != "*":
        if not isinstance(record, dict) or first not in record:
            content = ", ".join(map(str, record)) if isinstance(record, dict) else type(record).__name__
            yield Malformed(f"no '{first}' on the path {path}; there is {content[:120]}", "")
            return
        yield from _inside(record[first], rest, path, holder)
        return
    if not isinstance(record, dict | list):
        yield Malformed(f"{type(record).__name__} on the path {path}; expected a list or map", str(record)[:200])
        return
    for key, member in record.items() if isinstance(record, dict) else enumerate(record):
        if isinstance(member, dict):
            inner = Inner(member)
            inner.holder, inner.key = holder, key
            yield from _inside(inner, rest, path, inner)
        else:
            yield from _inside(member, rest, path, holder)


def value_at(record: Any, name: str) -> Any:
    """Return a field by its name or path.

    A path is names with dots between them; a number is a place in a list (-1 is the last), `*` all members of a list,
    `[role=user]` the one member of a list whose field has that value, `^` what holds the record, `@key` its key there.

    Raises:
        KeyError: if it is not there.
        Rejected: if several members of a list fit.
    """
    if isinstance(record, dict) and name in record:
        return record[name]
    return _at(record, path_of(name), name)


@lru_cache(maxsize=1024)
def path_of(name: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the segments of a path: a name each, and its selectors."""
    parts: list[tuple[str, tuple[str, ...]]] = []
    for piece in re.split(r"\.(?![^\[]*\])", name):
        match = _SEGMENT.fullmatch(piece)
        bare, selectors = (piece, "") if match is None else match.groups()
        parts.append((bare, tuple(_SELECTOR.findall(selectors))))
    return tuple(parts)


def _at(value: Any, path: tuple[tuple[str, tuple[str, ...]], ...], name: str) -> Any:
    for place, (part, selectors) in enumerate(path):
        if part == "^":
            value = getattr(value, "holder", None)
        elif part == "@key":
            value = getattr(value, "key", None)
        elif part == "*":
            members = list(value.values()) if isinstance(value, dict) else value
            if not isinstance(members, list):
                raise KeyError(name)
            rest = path[place + 1 :]
            return [_at(member, rest, name) for member in members] if rest else members
        elif isinstance(value, dict):
            if part not in value:
                raise KeyError(name)
            value = value[part]
        elif isinstance(value, list) and re.fullmatch(r"-?\d+", part):
            if not -len(value) <= int(part) < len(value):
                raise KeyError(name)
            value = value[int(part)]
        else:
            raise KeyError(name)
        for selector in selectors:
            value = _selected(value, selector, name)
    return value


def _selected(value: Any, selector: str, name: str) -> Any:
    if not isinstance(value, list):
        raise KeyError(name)
    key, equals, field_value = selector.partition("=")
    if not equals:
        if not re.fullmatch(r"-?\d+", key) or not -len(value) <= int(key) < len(value):
            raise KeyError(name)
        return value[int(key)]
    fitting = [member for member in value if isinstance(member, dict) and str(member.get(key)) == field_value]
    if not fitting:
        raise KeyError(name)
    if len(fitting) > 1:
        raise Rejected("ambiguous field", f"{name}: {len(fitting)} members have {selector}; expected one")
    return fitting[0]
