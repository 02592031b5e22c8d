"""From equal and similar texts to matches: which screened item matches which other item, and what must not stay."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from posologie.screening.population import Classes, Population

Place = Literal["test", "compared", "across", "within"]
Kind = Literal["exact", "near", "options", "containment", "lineage", "cross_lingual", "embedding", "case", "group"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""How a match was found, the closest first."""
TWINS: tuple[Kind, ...] = KINDS[:7]
"""Kinds of a match whose items ask the same; the others share a case or a group."""


@dataclass(frozen=True, slots=True)
class Match:
    """A screened item and another item, as positions in the population.

    Attributes:
        same_answer: whether their right answers agree; None where that was not compared.
        same_facts: whether their facts agree (`posologie.facts`); None where that was not compared.
    """

    item: int
    other: int
    place: Place
    kind: Kind
    similarity: float | None
    same_answer: bool | None = None
    same_facts: bool | None = None


@dataclass(frozen=True, slots=True)
class Similar:
    """Two classes of items, or of contexts, whose verified similarity reaches the threshold."""

    one: int
    other: int
    similarity: float


def place_of(whole: Population, position: int) -> Place:
    """Return where an item of the population comes from."""
    if position < whole.tested:
        return "test"
    if position < whole.targets.stop:
        return "compared"
    return "across" if position < whole.screened.start else "within"


def matches(
    whole: Population,
    same: Classes,
    similar: Iterable[Similar] = (),
    similar_contexts: Iterable[Similar] = (),
    scope: Sequence[str] = ("within", "across"),
    answers: Sequence[bytes] | None = None,
) -> tuple[list[Match], list[Match]]:
    """Return every exact and near match, and apart from them the pairs that only share a case.

    Those are matches of the screened items, and of the items that are only compared with tested ones.

    With targets (tested and only compared items) all matches are listed. Inside the source and with earlier sources, an
    item is matched with the first (by rank) of the items that have the same text and, if `answers` (digests of the
    right answers) are given, the same answer.
    """
    neighbours: dict[int, list[tuple[int, Kind, float]]] = defaultdict(list)
    for pair in similar:
        neighbours[pair.one].append((pair.other, "near", pair.similarity))
        neighbours[pair.other].append((pair.one, "near", pair.similarity))
    found: list[Match] = []
    for item in whole.queries:
        own = int(same.of_item[item])
        original = item < whole.screened.start
        for number, kind, similarity in [(own, "exact", 1.0), *neighbours[own]]:
            seen: set[tuple[Place, bytes]] = set()
            for other in same.members[number]:
                place = place_of(whole, other)
                if original and place != "test":
                    continue
                first_of = (place, answers[other] if answers is not None else b"")
                if place not in ("test", "compared") and (place not in scope or first_of in seen):
                    continue
                seen.add(first_of)
                if place == "within" and whole.rank[other] >= whole.rank[item]:
                    continue
                found.append(Match(item, other, place, kind, similarity))  # type: ignore[arg-type]
    return found, _cases(whole, same, similar_contexts, {(match.item, match.other) for match in found})


def _cases(whole: Population, same: Classes, similar: Iterable[Similar], known: set[tuple[int, int]]) -> list[Match]:
    """Return the pairs of screened items and targets that share a clinical case without being the same question."""
    tested: dict[int, list[int]] = defaultdict(list)
    for position in whole.targets:
        if same.of_context[position] >= 0:
            tested[int(same.of_context[position])].append(position)
    close: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for pair in similar:
        close[pair.one].append((pair.other, pair.similarity))
        close[pair.other].append((pair.one, pair.similarity))
    return [
        Match(item, other, place_of(whole, other), "case", similarity)
        for item in whole.screened
        if same.of_context[item] >= 0
        for context, similarity in [(int(same.of_context[item]), 1.0), *close[int(same.of_context[item])]]
        for other in tested[context]
        if (item, other) not in known
    ]


def with_originals(whole: Population, found: Sequence[Match]) -> list[Match]:
    """Return the matches of the screened items, and of each that matches the original of a tested item one with that.

    An original is an item that is only compared and that matches the tested item in any way.
    """
    tested: dict[int, list[int]] = defaultdict(list)
    for match in found:
        if match.item < whole.screened.start and match.kind in TWINS:
            tested[match.item].append(match.other)
    own = [match for match in found if match.item >= whole.screened.start]
    known = {(match.item, match.other) for match in own}
    for match in [match for match in own if match.place == "compared" and match.kind in TWINS]:
        for other in tested[match.other]:
            if (match.item, other) not in known:
                known.add((match.item, other))
                own.append(Match(match.item, other, "test", "lineage", None))
    return own


def leaking(found: Iterable[Match]) -> dict[int, Match]:
    """Return the first match with a tested item, or else with one that is only compared, by item."""
    first: dict[int, Match] = {}
    for place in ("test", "compared"):
        for match in found:
            if match.place == place:
                first.setdefault(match.item, match)
    return first


def group_matches(whole: Population, found: Sequence[Match]) -> list[Match]:
    """Return the items that match no tested item, but share a group with an item that does or with a tested item.

    Groups are compared inside a source, where they are defined.
    """
    keys = list(zip(whole.table["source"].to_pylist(), whole.table["group"].to_pylist(), strict=True))
    leaks = leaking(found)
    tainted: dict[tuple[str, str], int] = {}
    for position in sorted(whole.targets, key=lambda position: whole.rank[position]):
        tainted.setdefault(keys[position], position)
    for item, match in sorted(leaks.items(), key=lambda entry: whole.rank[entry[0]]):
        tainted.setdefault(keys[item], match.other)
    return [
        Match(item, tainted[keys[item]], place_of(whole, tainted[keys[item]]), "group", None)
        for item in whole.screened
        if item not in leaks and keys[item] in tainted
    ]


def is_duplicate(match: Match, same_answer: bool, same_facts: bool) -> bool:
    """Return whether a match of two training items is a duplicate: not where what must be the same differs."""
    return not (same_answer and match.same_answer is False) and not (same_facts and match.same_facts is False)


def unwanted(
    whole: Population,
    found: Sequence[Match],
    below: Collection[str] = (),
    *,
    same_answer: bool = True,
    same_facts: bool = True,
) -> set[int]:
    """Return the screened items that must go.

    Those are all that were rated too low, that match a target or share a group with one that does, that duplicate an
    item of an earlier source, and of duplicates inside the source all but the first (by rank) that stays: an item goes
    if it matches one that stays, so that of a chain of near-duplicates no two that stay are alike.

    Args:
        below: ids of the screened items that were rated too low.
        same_answer, same_facts: what duplicates in training must have in common.
    """
    found = [
        match for match in found if match.place in ("test", "compared") or is_duplicate(match, same_answer, same_facts)
    ]
    gone = {match.item for match in found if match.place != "within"}
    if below:
        ids = whole.table["id"].slice(whole.screened.start).to_pylist()
        gone |= {position for position, name in zip(whole.screened, ids, strict=True) if name in below}
    earlier: dict[int, list[int]] = defaultdict(list)
    for match in found:
        if match.place == "within":
            earlier[match.item].append(match.other)
    for item in sorted(earlier, key=lambda position: whole.rank[position]):
        if item not in gone and any(other not in gone for other in earlier[item]):
            gone.add(item)
    return gone


def kept(whole: Population, removed: set[int]) -> np.ndarray:
    """Return which of the screened items stay, in the order of their file."""
    return np.array([position not in removed for position in whole.screened], dtype=bool)
