"""The choice answers of all models on one suite, as sets of labels over models, items and variants."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from posologie.records import layout
from posologie.records.files import parquet_schema, read_parquet
from posologie.running.errors import InputError
from posologie.scoring.tables import label_sets, original_sets
from posologie.statistics.spec import EvaluatedModel

DECODINGS = ("greedy", "constrained")
_KEYS = ("benchmark", "item", "provenance", "task", "group")
_COLUMNS = (*_KEYS, "variant", "option_order", "gold", "greedy_labels", "constrained_labels")
_DEPENDENT = "position_dependent"


@dataclass(frozen=True)
class ChoiceAnswers:
    """Answers as bits: bit p of a displayed set is the label at position p, bit i of a chosen set the item's option i.

    Attributes:
        benchmark, item, provenance, task, group: one text per item, in order of benchmark and item.
        variants: names of the variants, `original` first.
        gold: [item, variant], displayed gold labels.
        letters: [item], labels of the gold options before permutation.
        dependent: [item], whether its options depend on their place, so that they are never permuted.
        displayed: decoding → [model, item, variant], displayed labels of the answer; 0 where none were read.
        chosen: decoding → [model, item, variant], the chosen options, whatever their place.
    """

    suite: str
    benchmark: NDArray[np.str_]
    item: NDArray[np.str_]
    provenance: NDArray[np.str_]
    task: NDArray[np.str_]
    group: NDArray[np.str_]
    variants: tuple[str, ...]
    gold: NDArray[np.uint32]
    letters: NDArray[np.uint32]
    dependent: NDArray[np.bool_]
    displayed: dict[str, NDArray[np.uint32]]
    chosen: dict[str, NDArray[np.uint32]]


def read_answers(root: str | os.PathLike[str], suite: str, models: Sequence[EvaluatedModel]) -> ChoiceAnswers | None:
    """Read the models' answers to the choice questions of a suite; None if it has none.

    Raises:
        InputError: if a model did not answer the same items, in the same option orders, as the first.
    """
    first: ChoiceAnswers | None = None
    displayed: dict[str, list[NDArray[np.uint32]]] = {name: [] for name in DECODINGS}
    chosen: dict[str, list[NDArray[np.uint32]]] = {name: [] for name in DECODINGS}
    for model in models:
        file = Path(root) / layout.predictions(model.name, suite)
        one = _read_one(file, suite)
        if one is None:
            return None
        first = first or one
        same = one.variants == first.variants and all(
            np.array_equal(getattr(one, name), getattr(first, name))
            for name in (*_KEYS, "gold", "letters", "dependent")
        )
        if not same:
            raise InputError(f"{file}: items, variants or option orders differ from those of {models[0].name}")
        for name in DECODINGS:
            displayed[name].append(one.displayed[name])
            chosen[name].append(one.chosen[name])
    if first is None:
        return None
    pa.default_memory_pool().release_unused()  # the draws need the room
    keys = {name: getattr(first, name) for name in (*_KEYS, "variants", "gold", "letters", "dependent")}
    joined = ({name: np.concatenate(parts) for name, parts in sets.items()} for sets in (displayed, chosen))
    return ChoiceAnswers(suite, **keys, displayed=next(joined), chosen=next(joined))


def _read_one(file: Path, suite: str) -> ChoiceAnswers | None:
    known = _DEPENDENT in parquet_schema(file).names
    table = read_parquet(file, columns=[*_COLUMNS, *([_DEPENDENT] if known else [])])
    table = table.filter(pc.not_equal(table["task"], "oeq"))
    if not len(table):
        return None
    table = table.sort_by([(name, "ascending") for name in ("benchmark", "item", "variant")])
    variants = tuple(sorted(pc.unique(table["variant"]).to_pylist()))
    whole = len(table) % len(variants) == 0 and all(
        pc.all(pc.equal(table["variant"].take(pa.array(range(place, len(table), len(variants)))), name)).as_py()
        for place, name in enumerate(variants)
    )
    if not whole:
        raise InputError(f"{file}: not every item is answered in each of the variants {', '.join(variants)}")

    def grid(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
        return values.reshape(-1, len(variants))

    dependent = table[_DEPENDENT].fill_null(False) if known else pa.array([False] * len(table))
    keys = {name: table[name].to_numpy()[:: len(variants)].astype(np.str_) for name in _KEYS}
    return ChoiceAnswers(
        suite,
        **keys,
        variants=variants,
        gold=grid(label_sets(table["gold"])),
        letters=grid(original_sets(table["gold"], table["option_order"]))[:, 0],
        dependent=np.asarray(dependent)[:: len(variants)].astype(bool),
        displayed={name: grid(label_sets(table[f"{name}_labels"]))[None] for name in DECODINGS},
        chosen={name: grid(original_sets(table[f"{name}_labels"], table["option_order"]))[None] for name in DECODINGS},
    )
