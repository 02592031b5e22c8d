"""Validation items that a mix's training part has seen: a twin of theirs, or another item of their group, is in it."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from posologie.screening.comparison import compare
from posologie.screening.embeddings import Vectors
from posologie.screening.matching import TWINS
from posologie.screening.population import Population
from posologie.screening.spec import Comparing


@dataclass(frozen=True)
class Seen:
    """Which validation items were seen.

    Attributes:
        rows: one truth value for each row of the validation table.
        kinds: number of seen items by the closest way in which they were found: a kind of match, or `group`.
    """

    rows: np.ndarray
    kinds: dict[str, int]


def seen_in_training(
    train: pa.Table, validation: pa.Table, comparing: Comparing, vectors: Vectors | None = None
) -> Seen:
    """Return which validation items ask what a training item asks, or share a case or a group with one.

    Groups are compared inside a source, where they are defined.

    Args:
        train: the training items of a mix.
        validation: its validation items.
        comparing: what makes two items alike.
        vectors: the sentence encoder that `comparing` names.
    """
    table = pa.concat_tables([validation, train])
    held = validation.num_rows
    if not held or not train.num_rows:
        return Seen(np.zeros(held, dtype=bool), {})
    rank = np.empty(table.num_rows, dtype=np.int64)
    rank[np.lexsort((np.array(table["id"].to_pylist(), dtype=str), np.arange(table.num_rows) >= held))] = np.arange(
        table.num_rows
    )
    whole = Population(table, held, 0, 0, rank, [("validation",)] * held)
    kind_of: dict[int, str] = {}
    for match in compare(whole, comparing, scope=(), vectors=vectors).found:
        kind = match.kind if match.kind in TWINS else "group"
        if match.kind != "group" and (match.other not in kind_of or _closer(kind, kind_of[match.other])):
            kind_of[match.other] = kind
    groups = set(zip(train["source"].to_pylist(), train["group"].to_pylist(), strict=True))
    for row, group in enumerate(zip(validation["source"].to_pylist(), validation["group"].to_pylist(), strict=True)):
        if group in groups:
            kind_of.setdefault(row, "group")
    rows = np.zeros(held, dtype=bool)
    rows[list(kind_of)] = True
    return Seen(rows, dict(sorted(Counter(kind_of.values()).items())))


def _closer(kind: str, other: str) -> bool:
    order: list[str] = [*TWINS, "group"]
    return order.index(kind) < order.index(other)
