"""The table of scores: one row per item, variant, metric and decoding."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from posologie.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """One metric over all rows of a table: `values[row]`, NaN where the metric is undefined."""

    metric: str
    decoding: str
    signature: str
    values: "NDArray[np.float64]"


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


def read_scores(
    path: str | os.PathLike[str], wanted: Callable[[str, str], bool] = lambda metric, decoding: True
) -> "pyarrow.Table":
    """Read a scores file.

    Args:
        wanted: says of a metric and decoding whether its rows are needed. Row groups that hold one metric alone, and
            one that is not wanted, are skipped; rows of other metrics may remain.

    Raises:
        InputError: if the file is missing, is not whole, or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a whole Parquet file ({str(error).splitlines()[0]})") from error
    with file:
        names = file.schema_arrow.names
        if missing := [name for name in score_schema().names if name not in names]:
            raise InputError(f"{path}: column '{missing[0]}' is missing; expected a table of scores")
        groups = []
        for group in range(file.metadata.num_row_groups):
            held = file.metadata.row_group(group)
            found = [held.column(names.index(name)).statistics for name in ("metric", "decoding")]
            single = all(one is not None and one.has_min_max and one.min == one.max for one in found)
            if not single or wanted(*(one.min for one in found)):
                groups.append(group)
        return file.read_row_groups(groups, columns=score_schema().names).cast(score_schema())
