"""Twins: the same options with the same answer, or one origin; whether matched items agree, and their languages."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from posologie.language.facts import Facts, facts, facts_differ, facts_differ_across
from posologie.language.languages import language_of, macrolanguage
from posologie.records.items import ancestors, text_hash
from posologie.records.tables import TableRows
from posologie.screening.population import Match, Population, place_of
from posologie.screening.shingles import shingles
from posologie.screening.text import Text, texts

_LETTERS = 25
"""Letters in all options from which a set of options can identify a question: `yes, no` or `A, B, C` cannot."""
_OPTIONS = 3
_AGREEING = 0.75
"""Share of the items with one set of options that must have one right answer: a list of bacteria that different
questions share has different ones."""
_SAME_STEM = 0.3
"""Similarity of the stems from which a set of options need not identify the question alone."""
_ITEMS_AT_ONCE = 4096


def options_matches(whole: Population, options: Sequence[bytes], answers: Sequence[bytes], width: int) -> list[Match]:
    """Return the pairs of a query and a target with the same set of options and the same right answer.

    A pair counts if its stems are at least 0.3 similar, or if the options identify the question: three or more, not too
    short, and with the same right answer in nearly all items that have them.

    Args:
        whole: the population.
        options: digest of the set of options of each item, by position; empty where it has none.
        answers: digest of the right answer of each item.
        width: characters of a shingle.
    """
    sharing: dict[bytes, list[int]] = defaultdict(list)
    for position in whole.targets:
        if options[position]:
            sharing[options[position]].append(position)
    queries: dict[bytes, list[int]] = defaultdict(list)
    for position in whole.queries:
        if options[position] in sharing:
            queries[options[position]].append(position)
    rows = TableRows(whole.table.select(["question", "context", "answer", "options", "gold"]))
    matches: list[Match] = []
    keys = sorted(queries, key=lambda key: int(whole.rank[sharing[key][0]]))
    for block in _blocks(keys, {key: len(sharing[key]) + len(queries[key]) for key in keys}):
        positions = np.array(
            sorted({position for key in block for position in (*sharing[key], *queries[key])}), dtype=np.int64
        )
        normal = dict(zip(positions.tolist(), texts(rows.at(positions)), strict=True))
        stems = {position: set(shingles([text.fields[:2]], width)[0].tolist()) for position, text in normal.items()}
        for key in block:
            telling = _telling(normal[sharing[key][0]]) and _agreeing([*sharing[key], *queries[key]], answers)
            for item in queries[key]:
                for other in sharing[key]:
                    place = place_of(whole, other)
                    if answers[item] != answers[other] or other == item:
                        continue
                    if place != "test" and item < whole.screened.start:
                        continue
                    similarity = _jaccard(stems[item], stems[other])
                    if telling or similarity >= _SAME_STEM:
                        matches.append(Match(item, other, place, "options", similarity))
    return matches


def _blocks(keys: Sequence[bytes], sizes: dict[bytes, int]) -> list[list[bytes]]:
    blocks: list[list[bytes]] = [[]]
    held = 0
    for key in keys:
        if held > _ITEMS_AT_ONCE:
            blocks.append([])
            held = 0
        blocks[-1].append(key)
        held += sizes[key]
    return blocks


def _telling(text: Text) -> bool:
    options = text.fields[2:]
    return len(set(options)) >= _OPTIONS and sum(map(len, options)) >= _LETTERS


def _agreeing(positions: Sequence[int], answers: Sequence[bytes]) -> bool:
    counts: dict[bytes, int] = defaultdict(int)
    for position in positions:
        counts[answers[position]] += 1
    return max(counts.values()) >= _AGREEING * len(positions)


def _jaccard(a: set[int], b: set[int]) -> float:
    return len(a & b) / len(a | b) if a or b else 1.0


_MARKS = ('"translated_from"', '"lineage"')


def lineage_matches(whole: Population) -> list[Match]:
    """Return the pairs of a query and a target where one is the other's ancestor, or both share an ancestor."""
    rows = TableRows(whole.table.select(["id", "question", "context", "options", "meta"]))
    of_name: dict[str, list[int]] = defaultdict(list)
    for position, names in _names(rows, whole.targets):
        for name in names:
            of_name[name].append(position)
    matches = []
    for item, names in _names(rows, whole.queries):
        for other in sorted({other for name in names for other in of_name.get(name, ()) if other != item}):
            place = place_of(whole, other)
            if place == "test" or (place == "compared" and item >= whole.screened.start):
                matches.append(Match(item, other, place, "lineage", None))
    return matches


def _names(rows: TableRows, positions: Iterable[int]) -> Iterator[tuple[int, set[str]]]:
    """Yield each position with the names of its item: its id, its text hash, and those of its ancestors."""
    chosen = np.array(list(positions), dtype=np.int64)
    for first in range(0, len(chosen), _ITEMS_AT_ONCE):
        block = chosen[first : first + _ITEMS_AT_ONCE]
        table = rows.at(block)
        columns = [table[name].to_pylist() for name in ("id", "question", "context", "options", "meta")]
        for position, (name, question, context, options, meta) in zip(
            block.tolist(), zip(*columns, strict=True), strict=True
        ):
            names = {name, text_hash(question, context, options)}
            if any(mark in meta for mark in _MARKS):
                names |= ancestors(json.loads(meta))
            yield position, names


_MATCHES_AT_ONCE = 4096
_COMPARED = ("exact", "near", "options", "containment", "lineage", "cross_lingual", "embedding")
_ACROSS = ("lineage", "cross_lingual", "embedding")
_COLUMNS = ["question", "context", "answer", "options", "gold"]


def with_agreement(
    whole: Population, matches: Sequence[Match], languages: Sequence[str], threshold: float, width: int
) -> list[Match]:
    """Return the matches with what agrees in them.

    Answers of two languages are not compared, except by a search that verified them; facts of two languages are
    compared as those of a translation.

    Args:
        whole: the population.
        matches: of the population.
        languages: code of each item's language, by position; an empty text where it is unknown.
        threshold: Jaccard similarity of the shingles from which two answers in other words are the same.
        width: characters of a shingle.
    """
    rows = TableRows(whole.table.select(_COLUMNS))
    done: list[Match] = []
    for first in range(0, len(matches), _MATCHES_AT_ONCE):
        done += _agreeing_pairs(rows, matches[first : first + _MATCHES_AT_ONCE], languages, threshold, width)
    return done


def _agreeing_pairs(
    rows: TableRows, matches: Sequence[Match], languages: Sequence[str], threshold: float, width: int
) -> Iterator[Match]:
    compared = [match for match in matches if match.kind in _COMPARED]
    positions = np.unique(np.array([side for match in compared for side in (match.item, match.other)], dtype=np.int64))
    table = rows.at(positions)
    place = {position: number for number, position in enumerate(positions.tolist())}
    normal = texts(table)
    raw = list(zip(*(table[name].to_pylist() for name in ("question", "context", "options")), strict=True))
    known: dict[int, Facts] = {}

    def facts_of(position: int) -> Facts:
        if position not in known:
            question, context, options = raw[place[position]]
            known[position] = facts(_joined(question, context, options), languages[position] or None)
        return known[position]

    for match in matches:
        if match.kind not in _COMPARED:
            yield match
            continue
        item, other = place[match.item], place[match.other]
        languages_of = languages[match.item], languages[match.other]
        foreign = languages_of[0] != languages_of[1] and all(languages_of) and match.kind in _ACROSS
        if foreign:
            left, right = _joined(*raw[item]), _joined(*raw[other])
            same_facts = not facts_differ_across(left, languages_of[0], right, languages_of[1])
            same_answer = match.same_answer
        else:
            same_facts = raw[item] == raw[other] or not facts_differ(facts_of(match.item), facts_of(match.other))
            same_answer = answers_agree(normal[item], normal[other], threshold, width)
        yield replace(match, same_answer=same_answer, same_facts=None if match.kind == "containment" else same_facts)


def _joined(question: str, context: str, options: Sequence[str]) -> str:
    return " \n".join([question, context, *options])


def answers_agree(text: Text, other: Text, threshold: float, width: int) -> bool:
    """Return whether two items have the same right answer, perhaps in slightly other words.

    They have not where the right answer of one is a wrong option of the other, or where their numbers of right answers
    differ.
    """
    if text.answer == other.answer:
        return True
    wrong_of_one, wrong_of_other = (set(side.fields[2:]) - set(side.answer) for side in (text, other))
    if len(text.answer) != len(other.answer) or wrong_of_other & set(text.answer) or wrong_of_one & set(other.answer):
        return False
    left, right = (set(shingles([side.answer], width)[0].tolist()) for side in (text, other))
    return len(left & right) >= threshold * len(left | right) > 0


_SAMPLE = 100
"""Items from which the language of a source is identified."""
_ONE_LANGUAGE = 0.97
_LETTERS_ENOUGH = 20


def languages(whole: Population, declared: Mapping[str, str]) -> list[str]:
    """Return the code of each item's language by position, without a region; an empty text where it is unknown.

    The items of a source that declares a language are in it. Of the others, a hundred items of each source and split
    are read. Where nearly all look like one language, all items count as being in it: the identifier errs that often.
    Elsewhere, each item is read, and one with too few letters is unknown.

    Args:
        whole: the population.
        declared: language of each source that declares one, by its name.
    """
    rows = TableRows(whole.table.select(["question", "context", "options"]))
    parts: dict[tuple[str, str], list[int]] = defaultdict(list)
    names = zip(*(whole.table[name].to_pylist() for name in ("source", "split")), strict=True)
    for position, name in enumerate(names):
        parts[name].append(position)
    codes = [""] * whole.table.num_rows
    for (source, _), positions in parts.items():
        guessed: dict[int, str] = {}
        common = base_code(declared.get(source, ""))
        if not common:
            chosen = sorted(positions, key=lambda position: int(whole.rank[position]))[:_SAMPLE]  # ids are hashes
            guessed = dict(zip(chosen, _languages_at(rows, chosen), strict=True))
            known = [language for language in guessed.values() if language]
            common = max(sorted(set(known)), key=known.count, default="")
            if known.count(common) < _ONE_LANGUAGE * len(known):
                guessed |= dict(zip(positions, _languages_at(rows, positions), strict=True))
                common = ""
        for position in positions:
            codes[position] = common or guessed[position]
    return codes


def base_code(code: str) -> str:
    """Return a language's code without its region or script (`pt` of `pt-BR`), or that of its macrolanguage."""
    return macrolanguage(code.lower().replace("_", "-").partition("-")[0])


def _languages_at(rows: TableRows, positions: list[int]) -> list[str]:
    table = rows.at(np.array(positions, dtype=np.int64))
    columns = (table[name].to_pylist() for name in ("question", "context", "options"))
    return [
        language_of(" \n".join([question, context, *options]), _LETTERS_ENOUGH) or ""
        for question, context, options in zip(*columns, strict=True)
    ]
