"""The table of predictions: one row per item and variant."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow


def prediction_schema() -> "pyarrow.Schema":
    """Return the schema of `predictions/{model}/{suite}.parquet`.

    Labels are displayed positions (0 is A), ascending. `option_order[p]` is the index into the item's options of what
    is displayed at position p; `gold` are displayed positions too, so that the gold follows the options (the gold that
    does not follow them is `sorted(option_order[p] for p in gold)`). Rows are ordered by benchmark, item and variant.
    For open questions the choice columns are empty lists or null.
    """
    import pyarrow as pa

    labels = pa.list_(pa.int32())
    return pa.schema(
        [
            pa.field("item", pa.string(), nullable=False),
            pa.field("benchmark", pa.string(), nullable=False),
            pa.field("variant", pa.string(), nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("provenance", pa.string(), nullable=False),
            pa.field("task", pa.string(), nullable=False),
            pa.field("group", pa.string(), nullable=False),
            pa.field("option_order", labels, nullable=False),
            pa.field("gold", labels, nullable=False),
            pa.field("position_dependent", pa.bool_()),  # an item whose options are never permuted
            pa.field("greedy_text", pa.string(), nullable=False),  # the answer, without thoughts
            pa.field("thoughts", pa.string()),  # null where the model wrote none
            pa.field("greedy_outcome", pa.string()),  # labels | none | ambiguous; null for open questions
            pa.field("greedy_labels", labels),  # null unless the outcome is "labels"
            pa.field("constrained_labels", labels),  # null for open questions, or where it could not be asked for
            # automaton | published masks | first_token | grammar | json_schema | likelihoods | text; null as the labels
            pa.field("constrained_by", pa.string()),
            pa.field("label_probabilities", pa.list_(pa.float32())),  # at the first step, over the labels; sums to 1
            pa.field("label_mass", pa.float32()),  # probability of all labels together under the full vocabulary
            pa.field("prompt_tokens", pa.int32(), nullable=False),
            pa.field("generated_tokens", pa.int32(), nullable=False),  # of the greedy text
            pa.field("thought_tokens", pa.int32()),  # of the thoughts; 0 where they are not counted
            pa.field("finish", pa.string(), nullable=False),  # stop | length | filtered (withheld by an endpoint)
        ]
    )
