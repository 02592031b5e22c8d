"""From equal and similar texts to matches: which screened item matches which other item, and what must not stay."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from posologie.screening.population import Classes, Population

Place = Literal["test", "across", "within"]
Kind = Literal["exact", "near", "case", "group"]


@dataclass(frozen=True, slots=True)
class Match:
    """A screened item and another item, as positions in the population."""

    item: int
    other: int
    place: Place
    kind: Kind
    similarity: float | None


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
    return "across" if position < whole.tested + whole.earlier else "within"


def matches(
    whole: Population,
    same: Classes,
    similar: Iterable[Similar] = (),
    similar_contexts: Iterable[Similar] = (),
    scope: Sequence[str] = ("within", "across"),
) -> list[Match]:
    """Return every match of the screened items.

    With tested items all matches are listed. Inside the source and with earlier sources, an item is matched with the
    first (by rank) of the items that have the same text. A `case` match is only listed where the item itself is none.
    """
    neighbours: dict[int, list[tuple[int, Kind, float]]] = defaultdict(list)
    for pair in similar:
        neighbours[pair.one].append((pair.other, "near", pair.similarity))
        neighbours[pair.other].append((pair.one, "near", pair.similarity))
    found: list[Match] = []
    for item in whole.screened:
        own = int(same.of_item[item])
        for number, kind, similarity in [(own, "exact", 1.0), *neighbours[own]]:
            places: set[Place] = set()
            for other in same.members[number]:
                place = place_of(whole, other)
                if place != "test" and (place not in scope or place in places):
                    continue
                places.add(place)
                if place == "within" and whole.rank[other] >= whole.rank[item]:
                    continue
                found.append(Match(item, other, place, kind, similarity))  # type: ignore[arg-type]
    return found + _cases(whole, same, similar_contexts, {(match.item, match.other) for match in found})


def _cases(whole: Population, same: Classes, similar: Iterable[Similar], known: set[tuple[int, int]]) -> list[Match]:
    """Return the pairs of screened and tested items that share a clinical case without being the same question."""
    tested: dict[int, list[int]] = defaultdict(list)
    for position in range(whole.tested):
        if same.of_context[position] >= 0:
            tested[int(same.of_context[position])].append(position)
    close: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for pair in similar:
        close[pair.one].append((pair.other, pair.similarity))
        close[pair.other].append((pair.one, pair.similarity))
    return [
        Match(item, other, "test", "case", similarity)
        for item in whole.screened
        if same.of_context[item] >= 0
        for context, similarity in [(int(same.of_context[item]), 1.0), *close[int(same.of_context[item])]]
        for other in tested[context]
        if (item, other) not in known
    ]


def leaking(found: Iterable[Match]) -> dict[int, Match]:
    """Return the first match with a tested item, by item."""
    first: dict[int, Match] = {}
    for match in found:
        if match.place == "test":
            first.setdefault(match.item, match)
    return first


def group_matches(whole: Population, found: Sequence[Match]) -> list[Match]:
    """Return the items that match no tested item, but share a group with an item that does or with a tested item.

    Groups are compared inside a source, where they are defined.
    """
    keys = list(zip(whole.table["source"].to_pylist(), whole.table["group"].to_pylist(), strict=True))
    leaks = leaking(found)
    tainted: dict[tuple[str, str], int] = {}
    for position in sorted(range(whole.tested), key=lambda position: whole.rank[position]):
        tainted.setdefault(keys[position], position)
    for item, match in sorted(leaks.items(), key=lambda entry: whole.rank[entry[0]]):
        tainted.setdefault(keys[item], match.other)
    return [
        Match(item, tainted[keys[item]], "test", "group", None)
        for item in whole.screened
        if item not in leaks and keys[item] in tainted
    ]


def unwanted(whole: Population, found: Sequence[Match], below: Collection[str] = ()) -> set[int]:
    """Return the screened items that must go.

    Those are all that were rated too low, that match a tested item or share a group with one that does, that match an
    item of an earlier source, and of items that match inside the source all but the first (by rank) that stays: an item
    goes if it matches one that stays, so that of a chain of near-duplicates no two that stay are alike.

    Args:
        below: ids of the screened items that were rated too low.
    """
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
