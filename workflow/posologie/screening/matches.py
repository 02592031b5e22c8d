"""The table of matches: what it says of each, and how it is made."""

import pyarrow as pa

from posologie.screening.comparison import Compared
from posologie.screening.population import Population


def match_schema() -> pa.Schema:
    """Return the schema of `screened/**/*.matches.parquet` and of `leakage/{mix}/{suite}.parquet`.

    One row per item, matched item and suite; ordered by item, place, suite, kind and matched item. Columns:
        item, source, split: the training or validation item.
        place: `test` (a tested item), `compared` (an item that is only compared, such as the original of a test),
            `across` (an item of an earlier source) or `within` (an item of the same source).
        kind: how the match was found, the closest first. `exact` (the same normalised question, context and options),
            `near` (their verified similarity reaches the threshold), `options` (the same options and right answer),
            `containment` (the item quotes the other), `lineage` (both come from one item), `cross_lingual` (the same
            question in another language), `embedding` (the same, found by a sentence encoder), `case` (the same
            clinical case, another question), `group` (the item shares its group with an item that leaks).
        suite: the suite that tests on the matched item; null elsewhere.
        matched, matched_source, matched_split: the other item. For `group`, the one that the leaking item matches.
        similarity: Jaccard similarity of the shingles (of the contexts, for `case`; of the stems, for `options`); 1 for
            `exact`; share of the words that are quoted, for `containment`; cosine of the n-grams, for `cross_lingual`,
            and of the vectors, for `embedding`; null for `lineage` and `group`.
        same_answer: whether the right answers agree; null for `case` and `group`, and for `lineage` across languages.
        same_facts: whether numbers, negations, exceptions and polarity agree; null for `containment`, `case`, `group`.
        removed: whether the item is missing from the screened shard.
    """
    text = [pa.field(name, pa.string(), nullable=False) for name in ("item", "source", "split", "place", "kind")]
    return pa.schema(
        [
            *text,
            pa.field("suite", pa.string()),
            pa.field("matched", pa.string(), nullable=False),
            pa.field("matched_source", pa.string(), nullable=False),
            pa.field("matched_split", pa.string(), nullable=False),
            pa.field("similarity", pa.float64()),
            pa.field("same_answer", pa.bool_()),
            pa.field("same_facts", pa.bool_()),
            pa.field("removed", pa.bool_(), nullable=False),
        ]
    )


def match_table(whole: Population, compared: Compared, removed: set[int]) -> pa.Table:
    """Return the matches as a table with `match_schema`."""
    ids, sources, splits = (whole.table[name].to_pylist() for name in ("id", "source", "split"))
    rows = [
        (
            *(ids[match.item], sources[match.item], splits[match.item], match.place, match.kind, suite),
            *(ids[match.other], sources[match.other], splits[match.other]),
            match.similarity,
            match.same_answer,
            match.same_facts,
            match.item in removed,
        )
        for match in compared.matches
        for suite in (whole.suites[match.other] if match.place == "test" else (None,))
    ]
    rows.sort(key=lambda row: (row[0], row[3], row[5] or "", row[4], row[6]))
    schema = match_schema()
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )
