"""The table of scores: one row per item, variant and metric."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow


def score_schema() -> "pyarrow.Schema":
    """Return the schema of `scores/{model}/{suite}.parquet`; a value is null where the metric is undefined for the item."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("item", pa.string(), nullable=False),
            pa.field("benchmark", pa.string(), nullable=False),
            pa.field("variant", pa.string(), nullable=False),
            pa.field("provenance", pa.string(), nullable=False),
            pa.field("task", pa.string(), nullable=False),
            pa.field("group", pa.string(), nullable=False),
            pa.field("metric", pa.string(), nullable=False),
            pa.field("value", pa.float64()),
        ]
    )
