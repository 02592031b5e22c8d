"""The optional quality screen: training items that a judge rated below a threshold."""

import os
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from posologie.errors import InputError
from posologie.files import read_parquet
from posologie.screening.spec import Quality


def below_threshold(
    items: pa.Table, ratings: str | os.PathLike[str], quality: Quality
) -> tuple[set[str], dict[str, Any]]:
    """Return the ids of the items whose score is below the threshold, and the counts for the report.

    An item without a score (null: the judge's reply held none) stays, and so does one whose task is not rated.

    Args:
        ratings: `quality/{judge}/{source}.parquet`, with the columns `item` and `score`, one row per item.

    Raises:
        InputError: if the file lacks a column or an item of the shard that is to be rated, or rates an item twice.
    """
    table = read_parquet(ratings)
    for name in ("item", "score"):
        if name not in table.column_names:
            raise InputError(f"{ratings}: column '{name}' is missing; expected item and score")
    if len(pc.unique(table["item"])) < table.num_rows:
        raise InputError(f"{ratings}: an item is rated twice; expected one row per item")
    scores = dict(zip(table["item"].to_pylist(), table["score"].to_pylist(), strict=True))
    rated = items.filter(pc.is_in(items["task"], value_set=pa.array(quality.tasks, pa.string())))
    ids = rated["id"].to_pylist()
    if missing := [name for name in ids if name not in scores]:
        raise InputError(f"{ratings}: no rating of {len(missing)} of {len(ids)} items, the first is {min(missing)}")
    below = {name for name in ids if scores[name] is not None and scores[name] < quality.threshold}
    unrated = sum(scores[name] is None for name in ids)
    counts = {"judge": quality.judge, "threshold": quality.threshold, "rated": len(ids) - unrated}
    counts |= {"unrated": unrated, "of_other_tasks": items.num_rows - len(ids), "below": len(below)}
    return below, counts
