"""The table of the ratings that a judge gives training items."""

from typing import TYPE_CHECKING

from posologie.generation.replies import reply_fields

if TYPE_CHECKING:
    import pyarrow


def rating_schema() -> "pyarrow.Schema":
    """Return the schema of `quality/{judge}/{source}.parquet`: one row per training item that is rated, in file order.

    `outcome` is `score`; `unparsable` (a reply without a score); `filtered` (withheld by the endpoint); or `failed` (no
    reply at all).
    """
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("item", pa.string(), nullable=False),
            pa.field("task", pa.string(), nullable=False),
            pa.field("score", pa.float64()),  # as the prompt's scale has it; null unless the outcome is "score"
            pa.field("outcome", pa.string(), nullable=False),
            *reply_fields(),
        ]
    )
