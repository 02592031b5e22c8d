"""The table of scores: one row per item, variant, metric and decoding."""

import os
from typing import TYPE_CHECKING

from posologie.errors import InputError

if TYPE_CHECKING:
    import pyarrow


def score_schema() -> "pyarrow.Schema":
    """Return the schema of `scores/{model}/{suite}.parquet`.

    Rows are ordered by decoding, metric, benchmark, item and variant, in ascending order, so that one metric is one
    run of rows. Texts are dictionary-encoded. A value is null where the metric is undefined for the item; shares lie
    between 0 and 1. A metric with a colon in its name (`bleu:total_1`) is one of the sums behind a corpus score.
    """
    import pyarrow as pa

    text = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            pa.field("item", text, nullable=False),
            pa.field("benchmark", text, nullable=False),
            pa.field("variant", text, nullable=False),
            pa.field("provenance", text, nullable=False),
            pa.field("task", text, nullable=False),
            pa.field("group", text, nullable=False),
            pa.field("metric", text, nullable=False),
            pa.field("decoding", text, nullable=False),  # greedy | constrained | probabilities
            pa.field("signature", text, nullable=False),  # how the value was computed, libraries' versions included
            pa.field("value", pa.float64()),
        ]
    )


def read_scores(path: str | os.PathLike[str]) -> "pyarrow.Table":
    """Read a scores file.

    Raises:
        InputError: naming the first column that is missing.
    """
    from posologie.files import read_parquet

    table = read_parquet(path)
    for name in score_schema().names:
        if name not in table.column_names:
            raise InputError(f"{path}: column '{name}' is missing; expected a table of scores")
    return table.select(score_schema().names).cast(score_schema())
