"""Lineage: the names of what an item was made from, and the names by which others may call it.

`meta.translated_from` holds an item's id. `meta.lineage` lists ancestors, each a name or a mapping with some of `id`,
`ids`, `text_hash` and `document`. A text hash (`text_hash`) is the same in every data set that holds the same question.
"""

import json
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


_NAMING_ORIGINS = ("MedMCQA",)
"""Origins whose records have ids of their own, which translations keep."""


def descent(meta: Mapping[str, Any], source: str, name: str, texts: tuple[str, str, Sequence[str]]) -> list[Any]:
    """Return the lineage of what is made from an item: the item's own, then the item itself.

    Args:
        meta: of the item.
        source: of the item.
        name: its id.
        texts: its question, context and options.
    """
    before = meta.get("lineage") or []
    return [*before, {"source": source, "id": name, "text_hash": text_hash(*texts)}]


QUOTED = "quoted_tests"
"""Key of a document's `meta`: the tested items that it quotes, each with its id and text hash."""


def document_descent(document: Mapping[str, Any]) -> list[Any]:
    """Return the lineage of what is made from a document: the tested items that it quotes, then the document."""
    texts = document["title"], document["text"], ()
    quoted = json.loads(document.get("meta") or "{}").get(QUOTED, [])
    return [*quoted, {"source": document["collection"], "document": document["id"], "text_hash": text_hash(*texts)}]


def published(meta: Mapping[str, Any]) -> list[Any]:
    """Return the lineage of a record of a published data set: its name there, whatever language it is in.

    A translation of the set that keeps the record's id has the same name, and so do all translations of that one.
    Empty where the origin is none of those that name their records, or the record has no id. MMLU has no ids; its
    reader names files and rows. MedQA has neither: text hashes stand for its questions.
    """
    origin, name = meta.get("origin"), meta.get("native_id")
    return [{"source": origin, "id": f"{origin}:{name}"}] if name and origin in _NAMING_ORIGINS else []
