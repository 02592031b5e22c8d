"""What screening found in one shard, as a table of matches and as counts."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from posologie.screening.comparison import Compared
from posologie.screening.matching import TWINS, Match, is_duplicate
from posologie.screening.population import Population
from posologie.screening.schema import match_schema
from posologie.screening.spec import Screening


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
        "language_guessed": compared.guessed,
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
