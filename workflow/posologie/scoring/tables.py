"""Predictions in, scores out: the two tables between which every scoring command stands."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from posologie.errors import InputError
from posologie.files import read_parquet
from posologie.items import Item
from posologie.prediction.schema import prediction_schema
from posologie.prediction.spec import Suite
from posologie.running.seals import check_seal
from posologie.scoring.schema import Scores, score_schema

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
    parts = [(one, keys) for rows, scores in blocks if len(rows) for keys in [_keys(rows)] for one in scores]
    parts.sort(key=lambda part: (part[0].decoding, part[0].metric))
    if not parts:
        return score_schema().empty_table()
    return pa.concat_tables([_block(one, keys) for one, keys in parts]).unify_dictionaries().combine_chunks()


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
