"""The tables of translated parallel text and of its COMET scores."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow


def sentence_schema() -> "pyarrow.Schema":
    """Return the schema of `translation_quality/{translator}.parquet`: one row per segment, by test set and id.

    A segment without translation (withheld, or failed where that is tolerated) has an empty one: it counts against the
    translator.
    """
    import pyarrow as pa

    texts = ("test_set", "id", "group", "source", "reference", "translation")
    return pa.schema(
        [
            *(pa.field(name, pa.string(), nullable=False) for name in texts),
            pa.field("finish", pa.string(), nullable=False),  # stop | length | filtered | failed
            pa.field("prompt_tokens", pa.int32(), nullable=False),
            pa.field("generated_tokens", pa.int32(), nullable=False),
        ]
    )


def comet_schema() -> "pyarrow.Schema":
    """Return the schema of `translation_quality/{translator}.comet.parquet`: one row per segment, same order.

    Without the package or the checkpoint there are no rows, and the file beside it (`.json`) says why.
    """
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("test_set", pa.string(), nullable=False),
            pa.field("id", pa.string(), nullable=False),
            pa.field("comet", pa.float64(), nullable=False),
        ]
    )
