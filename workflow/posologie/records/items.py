"""Items: the one record from shards to scores, and the lineage by which items of one origin are found.

`meta.translated_from` holds an item's id. `meta.lineage` lists ancestors, each a name or a mapping with some of `id`,
`ids`, `text_hash` and `document`. A text hash (`text_hash`) is the same in every data set that holds the same question.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, get_args

from posologie.running.errors import InputError

if TYPE_CHECKING:
    import pyarrow

Split = Literal["train", "validation", "test"]
Task = Literal["mcqu", "mcq", "oeq", "preference"]
"""mcqu: one right answer; mcq: several right answers; oeq: an open-ended question; preference: a question and two
answers, the first of which is preferred. Pairs are trained on and never tested."""

SPLITS: tuple[Split, ...] = get_args(Split)
TASKS: tuple[Task, ...] = get_args(Task)

_LETTER = re.compile(r"[^\W\d_]")

LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""The label of an option is the letter at its position; an item has 2 to 26 options."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question with its options and its gold answer.

    Attributes:
        id: stable hash of source and native key, or of source and content (`stable_id`).
        provenance: name of the component of the study that the item belongs to (`posologie.records.components`).
        options: texts of the options, 2 to 26 of them for mcqu and mcq, none for oeq; chosen and rejected answer for
            preference.
        gold: indices into `options`, ascending: one for mcqu, one or more for mcq, none for oeq, (0,) for preference.
        answer: the reference text, for oeq; empty otherwise.
        group: what items that share a clinical case have in common; the item's own id when it shares none.
        meta: everything else (origin, subject, the original text where cleaning changed it), kept as JSON.
    """

    id: str
    source: str
    provenance: str
    split: Split
    task: Task
    question: str
    context: str
    options: tuple[str, ...]
    gold: tuple[int, ...]
    answer: str
    group: str
    meta: dict[str, Any] = field(default_factory=dict)

    def problem(self) -> str | None:
        """Return why this is not a valid item, or None if it is one."""
        if not self.question.strip():
            return "empty question"
        if not _LETTER.search(self.question):
            return "no letters in the question"
        if self.task == "oeq":
            if self.options or self.gold:
                return "options on an open question"
            return None if self.answer.strip() else "empty answer"
        if self.task == "preference":
            if len(self.options) != 2 or self.gold != (0,):
                return "no pair of answers, the chosen one first"
            if not all(option.strip() for option in self.options):
                return "empty answer"
            return "both answers are the same" if self.options[0] == self.options[1] else None
        if not 2 <= len(self.options) <= len(LABELS):
            return "fewer than two options" if len(self.options) < 2 else "more than 26 options"
        if not self.gold:
            return "no gold label"
        if min(self.gold) < 0 or max(self.gold) >= len(self.options):
            return "gold outside the options"
        if list(self.gold) != sorted(set(self.gold)):
            return "gold labels repeated or out of order"
        if self.task == "mcqu" and len(self.gold) != 1:
            return "several gold labels on a single-answer question"
        return None


def stable_id(*parts: str) -> str:
    """Return 20 hexadecimal digits that depend on the parts alone (80 bits of BLAKE2b over length-prefixed UTF-8)."""
    digest = hashlib.blake2b(digest_size=10)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.hexdigest()


def item_schema() -> "pyarrow.Schema":
    """Return the schema of every table of items: shards, screened shards, mixes."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("provenance", pa.string(), nullable=False),
            pa.field("split", pa.string(), nullable=False),
            pa.field("task", pa.string(), nullable=False),
            pa.field("question", pa.string(), nullable=False),
            pa.field("context", pa.string(), nullable=False),
            pa.field("options", pa.list_(pa.string()), nullable=False),
            pa.field("gold", pa.list_(pa.int32()), nullable=False),
            pa.field("answer", pa.string(), nullable=False),
            pa.field("group", pa.string(), nullable=False),
            pa.field("meta", pa.string(), nullable=False),
        ]
    )


_META = json.JSONEncoder(sort_keys=True, ensure_ascii=False)


def meta_json(meta: dict[str, Any]) -> str:
    """Return an item's meta as JSON with sorted keys."""
    return _META.encode(meta)


def items_to_table(items: Iterable[Item]) -> "pyarrow.Table":
    """Return the items as a table with `item_schema`, in the order given."""
    import pyarrow as pa

    schema = item_schema()
    rows = list(items)
    columns: dict[str, list[Any]] = {name: list(map(attrgetter(name), rows)) for name in schema.names}
    columns["meta"] = list(map(meta_json, columns["meta"]))
    return pa.table(columns, schema=schema)


def table_to_items(table: "pyarrow.Table") -> Iterator[Item]:
    """Yield the items of a table with `item_schema`."""
    for row in table.to_pylist():
        row["options"], row["gold"] = tuple(row["options"]), tuple(row["gold"])
        row["meta"] = json.loads(row["meta"])
        yield Item(**row)


def read_item_table(path: str | os.PathLike[str], columns: list[str] | None = None) -> "pyarrow.Table":
    """Read a table of items, or some of its columns.

    Raises:
        InputError: naming the file and the first column that is missing or of another type; or if the file is not as
            the report beside it says.
    """
    import pyarrow

    from posologie.records.files import parquet_schema, read_parquet
    from posologie.running.seals import check_seal

    check_seal(path)
    stored = parquet_schema(path)
    schema = item_schema()
    for expected in schema:
        if expected.name not in stored.names:
            raise InputError(f"{path}: column '{expected.name}' is missing; expected a table of items")
        kind = stored.field(expected.name).type
        if kind != expected.type:
            raise InputError(f"{path}: column '{expected.name}' is {kind}; expected {expected.type}")
    read_schema = schema if columns is None else pyarrow.schema([schema.field(name) for name in columns])
    return read_parquet(path, read_schema.names).cast(read_schema)


def read_items(path: str | os.PathLike[str]) -> list[Item]:
    """Read the items of a file written by `items_to_table`, in file order."""
    return list(table_to_items(read_item_table(path)))


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
        for element in value:
            yield from _names(element)


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
    """Return the lineage of a record of a published data set: its name there, in any language.

    A translation of the set that keeps the record's id has the same name, and so do all translations of that one.
    Empty where the origin is none of those that name their records, or the record has no id. MMLU has no ids; its
    reader names files and rows. MedQA has neither: text hashes stand for its questions.
    """
    origin, name = meta.get("origin"), meta.get("native_id")
    return [{"source": origin, "id": f"{origin}:{name}"}] if name and origin in _NAMING_ORIGINS else []
