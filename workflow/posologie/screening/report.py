"""What screening found in one shard: the table of matches, the counts, and what a judge rated below the threshold."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from posologie.records.files import read_parquet
from posologie.running.errors import InputError
from posologie.screening.comparison import Compared
from posologie.screening.population import TWINS, Match, Population, is_duplicate
from posologie.screening.spec import Quality, Screening

if TYPE_CHECKING:
    import pyarrow


def match_schema() -> "pyarrow.Schema":
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
    import pyarrow as pa

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
        for match in compared.found
        for suite in (whole.suites[match.other] if match.place == "test" else (None,))
    ]
    rows.sort(key=lambda row: (row[0], row[3], row[5] or "", row[4], row[6]))
    schema = match_schema()
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def report(
    whole: Population, compared: Compared, flagged: set[int], suites: Mapping[str, Any], screening: Screening
) -> dict[str, Any]:
    """Return the counts of a screened shard.

    Items are counted once per line: an item that matches three items of a suite is one leaked item.
    """
    found = compared.found
    sources = whole.table["source"].to_pylist()
    originals: dict[str, list[Match]] = {name: [] for name in sources[whole.tested : whole.targets.stop]}
    across: dict[str, list[Match]] = {name: [] for name in sources[whole.targets.stop : whole.screened.start]}
    for match in found:
        if match.place == "across":
            across[sources[match.other]].append(match)
        elif match.place == "compared":
            originals[sources[match.other]].append(match)
    training = [match for match in found if match.place in ("within", "across")]
    alike = [match for match in training if not is_duplicate(match, screening.same_answer, screening.same_facts)]
    return {
        "read": len(whole.screened),
        "flagged": len(flagged),
        "within": _by_kind(match for match in found if match.place == "within"),
        "across": {source: _by_kind(inside) for source, inside in across.items()},
        "suites": {suite: _suite(whole, found, suite) for suite in sorted(suites)},
        "compared": {source: _by_kind(inside) for source, inside in originals.items()},
        "same_text_other_answer": sum(match.kind == "exact" and match.same_answer is False for match in found),
        "alike_but_different": {
            "items": len({match.item for match in alike}),
            "other_answer": len({match.item for match in alike if match.same_answer is False}),
            "other_facts": len({match.item for match in alike if match.same_facts is False}),
        },
        "crowded": compared.crowded,
        "languages": compared.languages,
    }


def _suite(whole: Population, found: Sequence[Match], suite: str) -> dict[str, Any]:
    inside = [match for match in found if match.place == "test" and suite in whole.suites[match.other]]
    return {
        "tested": sum(suite in names for names in whole.suites),
        "tested_matched": len({match.other for match in inside if match.kind in TWINS}),
        **_by_kind(inside),
    }


def _by_kind(found: Iterable[Match]) -> dict[str, int]:
    """Count the items that match, whole and by kind."""
    items = {(match.kind, match.item) for match in found}
    return {"items": len({item for _, item in items}), **Counter(kind for kind, _ in items)}


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
