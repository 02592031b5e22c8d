"""Lineage: the names of what an item was made from, and the names by which others may call it.

`meta.translated_from` holds an item's id. `meta.lineage` lists ancestors, each a name or a mapping with some of `id`,
`ids`, `text_hash` and `document`. A text hash (`text_hash`) is the same in every data set that holds the same question.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from posologie.items import stable_id

_NAMING = ("id", "ids", "text_hash", "document")


def text_hash(question: str, context: str, options: Sequence[str]) -> str:
    """Return a name for an item that depends on its texts alone; blanks count once, the order of options does not."""
    plain = (" ".join(text.split()) for text in (question, context, *sorted(options)))
    return f"text:{stable_id(*plain)}"


def ancestors(meta: Mapping[str, Any]) -> frozenset[str]:
    """Return the ids, document names and text hashes of everything that an item was made from, by its `meta`."""
    return frozenset([*_names(meta.get("translated_from")), *_names(meta.get("lineage"))])


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, Mapping):
        for key in _NAMING:
            yield from _names(value.get(key))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _names(one)
