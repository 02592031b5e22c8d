"""Records inside records, and fields by a path: `exams.*.data.*`, `choices.text`, `messages[role=user].content`."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from posologie.sources.malformed import Malformed
from posologie.sources.rejection import Rejected

_SEGMENT = re.compile(r"((?:[^.\[\]]|\[(?![^\]]*\]))*)((?:\[[^\[\]]*\])*)")
_SELECTOR = re.compile(r"\[([^\[\]]*)\]")


class Inner(dict[str, Any]):
    """A record out of another one, which it knows (`^` in a path), and its key there (`@key`)."""

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
            there = ", ".join(map(str, record)) if isinstance(record, dict) else type(record).__name__
            yield Malformed(f"no '{first}' on the path {path}; there is {there[:120]}", "")
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


def field(record: Any, name: str) -> Any:
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
        found = _SEGMENT.fullmatch(piece)
        bare, selectors = (piece, "") if found is None else found.groups()
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
    key, equals, wanted = selector.partition("=")
    if not equals:
        if not re.fullmatch(r"-?\d+", key) or not -len(value) <= int(key) < len(value):
            raise KeyError(name)
        return value[int(key)]
    fitting = [one for one in value if isinstance(one, dict) and str(one.get(key)) == wanted]
    if not fitting:
        raise KeyError(name)
    if len(fitting) > 1:
        raise Rejected("ambiguous field", f"{name}: {len(fitting)} members have {selector}; expected one")
    return fitting[0]
