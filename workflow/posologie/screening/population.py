"""The items that are compared, and which of them match: from equal and similar texts to what must not stay."""

import json
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from posologie.records.items import item_schema, read_item_table
from posologie.running.errors import InputError
from posologie.screening.spec import Tested


@dataclass(frozen=True)
class Population:
    """All items that are compared, in one table: tested, only compared, of earlier sources, screened.

    Attributes:
        table: the items.
        tested: number of tested items; they come first.
        compared: number of items that are only compared, such as the originals of the tests; they come next.
        earlier: number of items of earlier sources; they come next.
        rank: place of each item in an order that does not depend on the order of rows: by these sections, sources as
            given, and by id inside each.
        suites: for each tested item, the suites that test on it.
    """

    table: pa.Table
    tested: int
    compared: int
    earlier: int
    rank: np.ndarray
    suites: list[tuple[str, ...]]

    @property
    def targets(self) -> range:
        """Return the positions of the items that no training item may repeat: tested and only compared."""
        return range(self.tested + self.compared)

    @property
    def queries(self) -> list[int]:
        """Return the positions of the items that may repeat a target: only compared and screened."""
        return [*range(self.tested, self.tested + self.compared), *self.screened]

    @property
    def screened(self) -> range:
        """Return the positions of the screened items."""
        return range(self.tested + self.compared + self.earlier, self.table.num_rows)


def population(
    items: pa.Table,
    earlier: Sequence[tuple[str, str | os.PathLike[str]]],
    tests: Sequence[tuple[str, str | os.PathLike[str]]],
    suites: Mapping[str, Sequence[Tested]],
    compared: Sequence[tuple[str, str | os.PathLike[str]]] = (),
) -> Population:
    """Gather the items that are compared.

    Args:
        items: the items that are screened.
        earlier: source and file of shards of earlier sources.
        tests: source and file of the shards that suites test on.
        suites: what each suite tests on.
        compared: source and file of shards that are only compared.

    Raises:
        InputError: if no shard of a source and split that a suite tests on is given, or two screened items have one id.
    """
    tested = pa.concat_tables([item_schema().empty_table(), *(_of_source(source, path) for source, path in tests)])
    shards = {(row["source"], row["split"]) for row in tested.select(["source", "split"]).to_pylist()}
    for suite, parts in sorted(suites.items()):
        for part in parts:
            if part.source not in {source for source, _ in tests}:
                raise InputError(f"suite {suite}: no shard of its source {part.source} is given")
            if (part.source, part.split) not in shards:
                raise InputError(f"suite {suite}: the shards of {part.source} hold no item of split {part.split}")
    of_item = suites_of(tested, suites)
    inside = np.array([bool(names) for names in of_item], dtype=bool)
    tested = tested.filter(pa.array(inside))
    originals = pa.concat_tables(
        [item_schema().empty_table(), *(_of_source(source, path) for source, path in compared)]
    )
    before = [_of_source(source, path) for source, path in earlier]
    table = pa.concat_tables([tested, originals, *before, items])
    if len(pc.unique(items["id"])) < items.num_rows:
        twice = max(pc.value_counts(items["id"]).to_pylist(), key=lambda entry: entry["counts"])["values"]
        raise InputError(f"two screened items with the id {twice}; expected different ids")
    sections = [tested.num_rows, originals.num_rows, *(part.num_rows for part in before), items.num_rows]
    section = np.repeat(np.arange(len(sections)), sections)
    rank = np.empty(table.num_rows, dtype=np.int64)
    rank[np.lexsort((np.array(table["id"].to_pylist(), dtype=str), section))] = np.arange(table.num_rows)
    names = [own for own in of_item if own]
    return Population(table, tested.num_rows, originals.num_rows, sum(sections[2:-1]), rank, names)


def _of_source(source: str, path: str | os.PathLike[str]) -> pa.Table:
    table = read_item_table(path)
    foreign = set(pc.unique(table["source"]).to_pylist()) - {source}
    if foreign:
        raise InputError(f"{path}: items of source {min(foreign)}; expected {source} alone")
    return table


def suites_of(tested: pa.Table, suites: Mapping[str, Sequence[Tested]]) -> list[tuple[str, ...]]:
    """Return for each item the suites that test on it, in alphabetical order."""
    of_item: list[tuple[str, ...]] = [()] * tested.num_rows
    for name, parts in sorted(suites.items()):
        inside = np.zeros(tested.num_rows, dtype=bool)
        for part in parts:
            mask = pc.and_(pc.equal(tested["source"], part.source), pc.equal(tested["split"], part.split))
            mask = pc.and_(mask, pc.is_in(tested["task"], value_set=pa.array(part.tasks, pa.string()))).to_numpy()
            if part.origins is not None:
                origins = [json.loads(text).get("origin") for text in tested["meta"].to_pylist()]
                mask = mask & np.array([origin in part.origins for origin in origins], dtype=bool)
            inside |= mask
        of_item = [(*names, name) if chosen else names for names, chosen in zip(of_item, inside, strict=True)]
    return of_item


@dataclass(frozen=True)
class Classes:
    """Which items have the same normalised text.

    Attributes:
        of_item: class of each item by question, context and options; numbered in the order of rank.
        members: positions of each class, in the order of rank.
        of_context: class of each item's context, or -1 where it has none.
    """

    of_item: np.ndarray
    members: list[list[int]]
    of_context: np.ndarray


def classes(whole: Population, texts: Sequence[bytes], contexts: Sequence[bytes | None]) -> Classes:
    """Number the different texts and contexts of a population, given their digests by position."""
    of_item = np.empty(len(texts), dtype=np.int64)
    of_context = np.full(len(texts), -1, dtype=np.int64)
    numbers: dict[bytes, int] = {}
    context_numbers: dict[bytes, int] = {}
    members: list[list[int]] = []
    for position in np.argsort(whole.rank).tolist():
        number = of_item[position] = numbers.setdefault(texts[position], len(numbers))
        if number == len(members):
            members.append([])
        members[number].append(position)
        context = contexts[position]
        if context is not None:
            of_context[position] = context_numbers.setdefault(context, len(context_numbers))
    return Classes(of_item, members, of_context)


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
        same_facts: whether their facts agree (`posologie.language.facts`); None where that was not compared.
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

    first: int
    second: int
    similarity: float


def place_of(whole: Population, position: int) -> Place:
    """Return where an item of the population comes from."""
    if position < whole.tested:
        return "test"
    if position < whole.targets.stop:
        return "compared"
    return "across" if position < whole.screened.start else "within"


def text_matches(
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
        neighbours[pair.first].append((pair.second, "near", pair.similarity))
        neighbours[pair.second].append((pair.first, "near", pair.similarity))
    matches: list[Match] = []
    for item in whole.queries:
        own = int(same.of_item[item])
        original = item < whole.screened.start
        for number, kind, similarity in [(own, "exact", 1.0), *neighbours[own]]:
            first_of_each: set[tuple[Place, bytes]] = set()
            for other in same.members[number]:
                place = place_of(whole, other)
                if original and place != "test":
                    continue
                first_of = (place, answers[other] if answers is not None else b"")
                if place not in ("test", "compared") and (place not in scope or first_of in first_of_each):
                    continue
                first_of_each.add(first_of)
                if place == "within" and whole.rank[other] >= whole.rank[item]:
                    continue
                matches.append(Match(item, other, place, kind, similarity))  # type: ignore[arg-type]
    return matches, _cases(whole, same, similar_contexts, {(match.item, match.other) for match in matches})


def _cases(whole: Population, same: Classes, similar: Iterable[Similar], known: set[tuple[int, int]]) -> list[Match]:
    """Return the pairs of screened items and targets that share a clinical case without being the same question."""
    tested: dict[int, list[int]] = defaultdict(list)
    for position in whole.targets:
        if same.of_context[position] >= 0:
            tested[int(same.of_context[position])].append(position)
    close: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for pair in similar:
        close[pair.first].append((pair.second, pair.similarity))
        close[pair.second].append((pair.first, pair.similarity))
    return [
        Match(item, other, place_of(whole, other), "case", similarity)
        for item in whole.screened
        if same.of_context[item] >= 0
        for context, similarity in [(int(same.of_context[item]), 1.0), *close[int(same.of_context[item])]]
        for other in tested[context]
        if (item, other) not in known
    ]


def with_originals(whole: Population, matches: Sequence[Match]) -> list[Match]:
    """Return the matches of the screened items, and of each that matches the original of a tested item one with that.

    An original is an item that is only compared and that matches the tested item in any way.
    """
    tested: dict[int, list[int]] = defaultdict(list)
    for match in matches:
        if match.item < whole.screened.start and match.kind in TWINS:
            tested[match.item].append(match.other)
    own = [match for match in matches if match.item >= whole.screened.start]
    known = {(match.item, match.other) for match in own}
    for match in [match for match in own if match.place == "compared" and match.kind in TWINS]:
        for other in tested[match.other]:
            if (match.item, other) not in known:
                known.add((match.item, other))
                own.append(Match(match.item, other, "test", "lineage", None))
    return own


def leaking(matches: Iterable[Match]) -> dict[int, Match]:
    """Return the first match with a tested item, or else with one that is only compared, by item."""
    first: dict[int, Match] = {}
    for place in ("test", "compared"):
        for match in matches:
            if match.place == place:
                first.setdefault(match.item, match)
    return first


def group_matches(whole: Population, matches: Sequence[Match]) -> list[Match]:
    """Return the items that match no tested item, but share a group with an item that does or with a tested item.

    Groups are compared inside a source, where they are defined.
    """
    keys = list(zip(whole.table["source"].to_pylist(), whole.table["group"].to_pylist(), strict=True))
    leaks = leaking(matches)
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
    matches: Sequence[Match],
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
    matches = [
        match
        for match in matches
        if match.place in ("test", "compared") or is_duplicate(match, same_answer, same_facts)
    ]
    gone = {match.item for match in matches if match.place != "within"}
    if below:
        ids = whole.table["id"].slice(whole.screened.start).to_pylist()
        gone |= {position for position, name in zip(whole.screened, ids, strict=True) if name in below}
    earlier: dict[int, list[int]] = defaultdict(list)
    for match in matches:
        if match.place == "within":
            earlier[match.item].append(match.other)
    for item in sorted(earlier, key=lambda position: whole.rank[position]):
        if item not in gone and any(other not in gone for other in earlier[item]):
            gone.add(item)
    return gone


def staying(whole: Population, removed: set[int]) -> np.ndarray:
    """Return which of the screened items stay, in the order of their file."""
    return np.array([position not in removed for position in whole.screened], dtype=bool)
