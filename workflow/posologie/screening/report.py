"""What screening found in one shard, as a table of matches and as counts."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from posologie.screening.comparison import Compared
from posologie.screening.matching import Match
from posologie.screening.population import Population
from posologie.screening.schema import match_schema


def match_table(whole: Population, compared: Compared, removed: set[int]) -> pa.Table:
    """Return the matches as a table with `match_schema`."""
    ids, sources, splits = (whole.table[name].to_pylist() for name in ("id", "source", "split"))
    answers = compared.answers
    rows = [
        (
            *(ids[match.item], sources[match.item], splits[match.item], match.place, match.kind, suite),
            *(ids[match.other], sources[match.other], splits[match.other]),
            match.similarity,
            answers[match.item] == answers[match.other] if match.kind in ("exact", "near") else None,
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


def report(whole: Population, compared: Compared, flagged: set[int], suites: Mapping[str, Any]) -> dict[str, Any]:
    """Return the counts of a screened shard.

    Items are counted once per line: an item that matches three items of a suite is one leaked item.
    """
    found, answers = compared.found, compared.answers
    sources = whole.table["source"].to_pylist()
    across: dict[str, list[Match]] = {name: [] for name in sources[whole.tested : whole.screened.start]}
    for match in found:
        if match.place == "across":
            across[sources[match.other]].append(match)
    return {
        "read": len(whole.screened),
        "flagged": len(flagged),
        "within": _by_kind(match for match in found if match.place == "within"),
        "across": {source: _by_kind(inside) for source, inside in across.items()},
        "suites": {suite: _suite(whole, found, suite) for suite in sorted(suites)},
        "same_text_other_answer": sum(
            match.kind == "exact" and answers[match.item] != answers[match.other] for match in found
        ),
        "crowded": compared.crowded,
    }


def _suite(whole: Population, found: Sequence[Match], suite: str) -> dict[str, Any]:
    inside = [match for match in found if match.place == "test" and suite in whole.suites[match.other]]
    return {
        "tested": sum(suite in names for names in whole.suites),
        "tested_matched": len({match.other for match in inside if match.kind in ("exact", "near")}),
        **_by_kind(inside),
    }


def _by_kind(found: Iterable[Match]) -> dict[str, int]:
    """Count the items that match, whole and by kind."""
    items = {(match.kind, match.item) for match in found}
    return {"items": len({item for _, item in items}), **Counter(kind for kind, _ in items)}
