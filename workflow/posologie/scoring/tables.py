"""From predictions to tables of scores: which answers there must be, and the labels that they name."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from posologie.prediction.spec import Benchmark, Suite, prediction_schema
from posologie.records.files import read_parquet
from posologie.records.items import Item
from posologie.records.prompting import variants
from posologie.running.errors import InputError
from posologie.running.seals import check_seal
from posologie.scoring.spec import Scores, score_schema

KEYS = ("item", "benchmark", "variant", "provenance", "task", "group")


def read_predictions(path: str | os.PathLike[str]) -> pa.Table:
    """Read a predictions file, ordered by benchmark, item and variant.

    Raises:
        InputError: naming the first column that is missing; or if the file is not as its run record says.
    """
    check_seal(path)
    table = read_parquet(path)
    if "constrained_by" not in table.column_names:  # predictions of an earlier version do not say it
        table = table.append_column("constrained_by", pa.nulls(table.num_rows, pa.string()))
    if missing := [name for name in prediction_schema().names if name not in table.column_names]:
        raise InputError(f"{path}: column '{missing[0]}' is missing; expected a table of predictions")
    return table.sort_by([("benchmark", "ascending"), ("item", "ascending"), ("variant", "ascending")])


def reference_texts(suite: Suite, items: Mapping[str, Mapping[str, Item]]) -> dict[tuple[str, str], str]:
    """Return the reference text of each open question, by benchmark and item."""
    return {
        (name, item.id): item.answer
        for name, benchmark in suite.benchmarks.items()
        for item in items[benchmark.source].values()
        if item.task == "oeq"
    }


def table_of(blocks: Sequence[tuple[pa.Table, Sequence[Scores]]]) -> pa.Table:
    """Return a table with `score_schema` from metrics over rows of predictions that are in order."""
    parts = [(score, keys) for rows, scores in blocks if len(rows) for keys in [_keys(rows)] for score in scores]
    parts.sort(key=lambda part: (part[0].decoding, part[0].metric))
    if not parts:
        return score_schema().empty_table()
    return pa.concat_tables([_block(score, keys) for score, keys in parts]).unify_dictionaries().combine_chunks()


def _keys(table: pa.Table) -> dict[str, pa.Array]:
    return {name: table[name].combine_chunks().dictionary_encode() for name in KEYS}


def _block(scores: Scores, keys: Mapping[str, pa.Array]) -> pa.Table:
    rows = len(scores.values)
    columns = dict(keys)
    for name in ("metric", "decoding", "signature"):
        value = pa.array([getattr(scores, name)])
        columns[name] = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int32)), value)
    columns["value"] = pa.array(scores.values, mask=np.isnan(scores.values))
    return pa.table(columns, schema=score_schema())


def label_sets(column: pa.ChunkedArray | pa.Array) -> NDArray[np.uint32]:
    """Return each row's labels as bits; null and empty lists are 0."""
    rows, labels = flat(column)
    sets = np.zeros(len(column), dtype=np.uint32)
    np.bitwise_or.at(sets, rows, np.uint32(1) << labels.astype(np.uint32))
    return sets


def original_sets(displayed: pa.ChunkedArray | pa.Array, order: pa.ChunkedArray | pa.Array) -> NDArray[np.uint32]:
    """Return the options at displayed positions as bits over the item's own order: bit i is the item's option i."""
    starts = _starts(order)
    _, options = flat(order)
    rows, positions = flat(displayed)
    sets = np.zeros(len(displayed), dtype=np.uint32)
    np.bitwise_or.at(sets, rows, np.uint32(1) << options[starts[rows] + positions].astype(np.uint32))
    return sets


def _lengths(column: pa.ChunkedArray | pa.Array) -> NDArray[np.int64]:
    lengths: NDArray[np.int64] = pc.fill_null(pc.list_value_length(column), 0).to_numpy().astype(np.int64)
    return lengths


def _starts(column: pa.ChunkedArray | pa.Array) -> NDArray[np.int64]:
    lengths = _lengths(column)
    return np.cumsum(lengths) - lengths


def flat(column: pa.ChunkedArray | pa.Array) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the row of every list element, and the elements."""
    return np.repeat(np.arange(len(column)), _lengths(column)), pc.list_flatten(column).to_numpy()


_SHOWN = 5


def check_complete(predictions: pa.Table, items: Mapping[str, Mapping[str, Item]], suite: Suite, file: str) -> None:
    """Check that every item of every benchmark was answered in every variant, once, with the gold of the shard.

    Args:
        items: the items of each source, by id.

    Raises:
        InputError: listing the ids that are missing, repeated, unknown, or whose gold differs.
    """
    predicted: dict[str, dict[str, list[str]]] = {}
    rows = zip(*(predictions[name].to_pylist() for name in ("benchmark", "item", "variant")), strict=True)
    for benchmark, item, variant in rows:
        if variant in (item_variants := predicted.setdefault(benchmark, {}).setdefault(item, [])):
            raise InputError(f"{file}: {benchmark}, item {item}: two predictions of variant '{variant}'; expected one")
        item_variants.append(variant)
    if unknown := sorted(predicted.keys() - suite.benchmarks.keys()):
        raise InputError(f"{file}: benchmark '{unknown[0]}': expected one of {', '.join(sorted(suite.benchmarks))}")
    for name, benchmark in suite.benchmarks.items():
        if benchmark.source not in items:
            raise InputError(f"--items: source '{benchmark.source}' of benchmark '{name}' is missing")
        _check_benchmark(name, benchmark, predicted.get(name, {}), items[benchmark.source], suite.permutations, file)
    _check_gold(predictions, items, suite, file)


def _check_benchmark(
    name: str,
    benchmark: Benchmark,
    predicted: Mapping[str, list[str]],
    items: Mapping[str, Item],
    permutations: int,
    file: str,
) -> None:
    expected = {
        item.id
        for item in items.values()
        if item.split == benchmark.split
        and item.task in benchmark.tasks
        and (benchmark.origins is None or item.meta.get("origin") in benchmark.origins)
    }
    if strange := sorted(predicted.keys() - expected):
        raise InputError(f"{file}: {name}: {_listed(strange)} not of this benchmark; expected items of its source")
    missing = sorted(expected - predicted.keys())
    if benchmark.limit is None and missing:
        raise InputError(f"{file}: {name}: no prediction for {_listed(missing)}; expected {len(expected)} items")
    if benchmark.limit is not None and len(predicted) != min(benchmark.limit, len(expected)):
        expected_count = min(benchmark.limit, len(expected))
        raise InputError(f"{file}: {name}: predictions for {len(predicted)} items; expected {expected_count}")
    for item, item_variants in predicted.items():
        wanted_variants = {"original"} if items[item].task == "oeq" else set(variants(permutations))
        if lacking := sorted(wanted_variants - set(item_variants)):
            raise InputError(f"{file}: {name}, item {item}: no prediction of variant {', '.join(lacking)}")


def _check_gold(predictions: pa.Table, items: Mapping[str, Mapping[str, Item]], suite: Suite, file: str) -> None:
    choice = pc.not_equal(predictions["task"], "oeq")
    table = predictions.filter(choice)
    if not len(table):
        return
    predicted = original_sets(table["gold"], table["option_order"])
    source_of = {name: benchmark.source for name, benchmark in suite.benchmarks.items()}
    keys = zip(table["benchmark"].to_pylist(), table["item"].to_pylist(), strict=True)
    gold = [items[source_of[benchmark]][item].gold for benchmark, item in keys]
    wrong = np.flatnonzero(predicted != label_sets(pa.array(gold, type=pa.list_(pa.int32()))))
    if len(wrong):
        ids = sorted({table["item"][int(row)].as_py() for row in wrong})
        raise InputError(f"{file}: gold of {_listed(ids)} differs from the shard's; predict again on the present shard")


def _listed(ids: list[str]) -> str:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return f"item{'s' if len(ids) > 1 else ''} {', '.join(ids[:_SHOWN])}{more}"
