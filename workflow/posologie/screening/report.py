"""What screening found in one shard, as counts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from posologie.screening.matching import Match
from posologie.screening.population import Classes, Population


def report(
    whole: Population, same: Classes, found: Sequence[Match], flagged: set[int], suites: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the counts of a screened shard.

    Items are counted once per line: an item that matches three items of a suite is one leaked item.
    """
    return {
        "read": len(whole.screened),
        "flagged": len(flagged),
        "within": _by_kind(match for match in found if match.place == "within"),
        "across": {
            source: _by_kind(
                match
                for match in found
                if match.place == "across" and whole.table["source"][match.other].as_py() == source
            )
            for source in sorted(set(whole.table["source"].slice(whole.tested, whole.earlier).to_pylist()))
        },
        "suites": {suite: _suite(whole, found, suite) for suite in sorted(suites)},
        "same_text_other_answer": sum(
            match.kind == "exact" and same.answers[match.item] != same.answers[match.other] for match in found
        ),
    }


def _suite(whole: Population, found: Sequence[Match], suite: str) -> dict[str, Any]:
    inside = [match for match in found if match.place == "test" and suite in whole.suites[match.other]]
    return {
        "tested": sum(suite in names for names in whole.suites),
        "leaked": len({match.item for match in inside}),
        "tested_leaked": len({match.other for match in inside if match.kind in ("exact", "near")}),
        **_by_kind(inside),
    }


def _by_kind(found: Any) -> dict[str, int]:
    items = {(match.kind, match.item) for match in found}
    return dict(Counter(kind for kind, _ in items))
