"""What a mix holds: counts and lengths, whole and by component."""

import json
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from posologie.items import LABELS
from posologie.mixes.sampling import characters

QUANTILES = {"min": 0, "5%": 0.05, "25%": 0.25, "50%": 0.5, "75%": 0.75, "95%": 0.95, "max": 1}


def contents(table: pa.Table) -> dict[str, Any]:
    """Return what a table of items holds, with the same for each of its components under `by_provenance`.

    Counts are by value: provenance (which names the component), source, origin (from the record, where it names one),
    task, number of options. Gold labels are counted by task, since an item with several right answers has several.
    Lengths are in characters of question, context, options and reference answer. An item that stands there several
    times counts each time; `different_items` then says how many there are.
    """
    facts = _contents(table)
    facts["by_provenance"] = {
        provenance: _contents(table.filter(pc.equal(table["provenance"], provenance)))
        for provenance in sorted(facts["provenance"])
    }
    return facts


def _contents(table: pa.Table) -> dict[str, Any]:
    choices = table.filter(pc.greater(pc.list_value_length(table["options"]), 0))
    different = len(pc.unique(table["id"]))
    return {
        "items": table.num_rows,
        **({"different_items": different} if different < table.num_rows else {}),
        "groups": len(pc.unique(table["group"])),
        "provenance": _counts(table["provenance"]),
        "source": _counts(table["source"]),
        "origin": _origins(table["meta"]),
        "task": _counts(table["task"]),
        "options": _counts(pc.list_value_length(choices["options"])),
        "gold_labels": _gold_labels(choices),
        "characters": lengths(characters(table) + pc.utf8_length(table["answer"]).to_numpy()),
    }


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {str(entry["values"]): entry["counts"] for entry in pc.value_counts(column).to_pylist()}


def _origins(meta: pa.ChunkedArray) -> dict[str, int]:
    return dict(Counter(str(json.loads(text).get("origin") or "unknown") for text in meta.to_pylist()))


def _gold_labels(choices: pa.Table) -> dict[str, dict[str, int]]:
    balance = {}
    for task in sorted(pc.unique(choices["task"]).to_pylist()):
        gold = pc.list_flatten(choices.filter(pc.equal(choices["task"], task))["gold"]).to_numpy()
        counts = np.bincount(gold, minlength=1)
        balance[task] = {LABELS[index]: int(count) for index, count in enumerate(counts)}
    return balance


def lengths(values: np.ndarray) -> dict[str, Any]:
    """Return total, mean and quantiles of lengths (none for no items)."""
    if not len(values):
        return {"total": 0, "mean": None, "quantiles": {}}
    quantiles = np.quantile(values, list(QUANTILES.values()), method="inverted_cdf")
    return {
        "total": int(values.sum()),
        "mean": round(float(values.mean()), 3),
        "quantiles": {name: int(value) for name, value in zip(QUANTILES, quantiles, strict=True)},
    }
