"""One pass over the items: digests of what must be equal, and signatures of what may be similar."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from posologie.rows import TableRows
from posologie.screening.blocks import in_blocks
from posologie.screening.quoting import Quotable, quotes
from posologie.screening.shingles import Shape, signatures_of
from posologie.screening.text import digest, texts

_ITEMS_AT_ONCE = 2048


@dataclass(frozen=True, slots=True)
class Sketches:
    """What is kept of the texts of items, by position.

    Attributes:
        texts: digest of question, context and options.
        contexts: digest of the context; None where there is none.
        answers: digest of the right answer.
        options: digest of the set of options; empty where there are none.
        signatures: uint32 of shape (items, rows, bands); None where only equal texts count.
        quotes: item and n-gram of a tested question that it has, int64 of shape (hits, 2).
    """

    texts: list[bytes]
    contexts: list[bytes | None]
    answers: list[bytes]
    options: list[bytes]
    signatures: np.ndarray | None
    quotes: np.ndarray


def sketches(items: pa.Table, shape: Shape | None, processes: int, quotable: Quotable | None = None) -> Sketches:
    """Sketch all items. The number of processes changes no result.

    Args:
        items: the items.
        shape: how texts are signed; None: not at all.
        processes: number of processes.
        quotable: n-grams that are looked for; None: none are.
    """
    texts: list[bytes] = []
    contexts: list[bytes | None] = []
    answers: list[bytes] = []
    options: list[bytes] = []
    found = [np.empty((0, 2), dtype=np.int64)]
    values = None if shape is None else np.empty((items.num_rows, shape.rows, shape.bands), dtype=np.uint32)
    rows = TableRows(items.select(["id", "question", "context", "options", "gold", "answer"]))
    firsts = range(0, items.num_rows, _ITEMS_AT_ONCE)
    blocks = (rows.at(np.arange(first, min(first + _ITEMS_AT_ONCE, items.num_rows))) for first in firsts)
    for block in in_blocks(Sketcher(shape, quotable).sketch, blocks, len(firsts), processes):
        if values is not None:
            values[len(texts) : len(texts) + len(block.texts)] = block.signatures
        found.append(block.quotes + np.array([len(texts), 0]))
        texts += block.texts
        contexts += block.contexts
        answers += block.answers
        options += block.options
    return Sketches(texts, contexts, answers, options, values, np.concatenate(found))


@dataclass
class Sketcher:
    """What each block of items is sketched with.

    Attributes:
        shape: how texts are signed; None: not at all.
        quotable: n-grams that are looked for; None: none are.
    """

    shape: Shape | None
    quotable: Quotable | None

    @cached_property
    def table(self) -> np.ndarray | None:
        """Return the table of the n-grams; each process makes its own."""
        return None if self.quotable is None else self.quotable.table()

    def sketch(self, items: pa.Table) -> Sketches:
        """Sketch some items. An item without any letter, digit or symbol is like no other."""
        block = texts(items)
        quoted = np.empty((0, 2), dtype=np.int64)
        if self.quotable is not None and self.table is not None:
            lines = [" ".join(field for field in (*one.fields, *one.answer) if field) for one in block]
            quoted = quotes(lines, self.quotable, self.table)
        return Sketches(
            texts=[
                digest(one.fields if any(one.fields) else (name,))
                for one, name in zip(block, items["id"].to_pylist(), strict=True)
            ],
            contexts=[digest(one.fields[1:2]) if one.fields[1] else None for one in block],
            answers=[digest(one.answer) for one in block],
            options=[digest(one.fields[2:]) if one.fields[2:] else b"" for one in block],
            signatures=None if self.shape is None else signatures_of([one.fields for one in block], self.shape),
            quotes=quoted,
        )
