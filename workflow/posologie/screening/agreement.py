"""Whether two matched items have the same right answer and the same facts: alike is not the same."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from posologie.facts import Facts, facts, facts_differ, facts_differ_across
from posologie.rows import TableRows
from posologie.screening.matching import Match
from posologie.screening.population import Population
from posologie.screening.shingles import shingles
from posologie.screening.text import Text, texts

_MATCHES_AT_ONCE = 4096
_COMPARED = ("exact", "near", "options", "containment", "lineage", "cross_lingual", "embedding")
_ACROSS = ("lineage", "cross_lingual", "embedding")
_COLUMNS = ["question", "context", "answer", "options", "gold"]


def with_agreement(
    whole: Population, found: Sequence[Match], languages: Sequence[str], threshold: float, width: int
) -> list[Match]:
    """Return the matches with what agrees in them.

    Answers of two languages are not compared, except by a search that verified them; facts of two languages are
    compared as those of a translation.

    Args:
        whole: the population.
        found: its matches.
        languages: code of each item's language, by position; an empty text where it is unknown.
        threshold: Jaccard similarity of the shingles from which two answers in other words are the same.
        width: characters of a shingle.
    """
    rows = TableRows(whole.table.select(_COLUMNS))
    done: list[Match] = []
    for first in range(0, len(found), _MATCHES_AT_ONCE):
        done += _agreeing(rows, found[first : first + _MATCHES_AT_ONCE], languages, threshold, width)
    return done


def _agreeing(
    rows: TableRows, found: Sequence[Match], languages: Sequence[str], threshold: float, width: int
) -> Iterator[Match]:
    wanted = [match for match in found if match.kind in _COMPARED]
    positions = np.unique(np.array([side for match in wanted for side in (match.item, match.other)], dtype=np.int64))
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

    for match in found:
        if match.kind not in _COMPARED:
            yield match
            continue
        one, other = place[match.item], place[match.other]
        languages_of = languages[match.item], languages[match.other]
        foreign = languages_of[0] != languages_of[1] and all(languages_of) and match.kind in _ACROSS
        if foreign:
            left, right = _joined(*raw[one]), _joined(*raw[other])
            same_facts = not facts_differ_across(left, languages_of[0], right, languages_of[1])
            same_answer = match.same_answer
        else:
            same_facts = raw[one] == raw[other] or not facts_differ(facts_of(match.item), facts_of(match.other))
            same_answer = answers_agree(normal[one], normal[other], threshold, width)
        yield replace(match, same_answer=same_answer, same_facts=None if match.kind == "containment" else same_facts)


def _joined(question: str, context: str, options: Sequence[str]) -> str:
    return " \n".join([question, context, *options])


def answers_agree(one: Text, other: Text, threshold: float, width: int) -> bool:
    """Return whether two items have the same right answer, perhaps in slightly other words.

    They have not where the right answer of one is a wrong option of the other, or where their numbers of right answers
    differ.
    """
    if one.answer == other.answer:
        return True
    wrong_of_one, wrong_of_other = (set(side.fields[2:]) - set(side.answer) for side in (one, other))
    if len(one.answer) != len(other.answer) or wrong_of_other & set(one.answer) or wrong_of_one & set(other.answer):
        return False
    left, right = (set(shingles([side.answer], width)[0].tolist()) for side in (one, other))
    return len(left & right) >= threshold * len(left | right) > 0
