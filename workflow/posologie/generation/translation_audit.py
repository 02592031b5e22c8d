"""Audit of a parallel benchmark: the same items in two languages, and those pairs that do not say the same.

The checks are those that a model's translations pass (`posologie.generation.translation_checks`); here all findings
of a pair are kept, and the gold is compared too.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from posologie.backends.texts import Problem
from posologie.generation.translation_checks import Languages, fields_of, problems_of, problems_of_whole
from posologie.records.items import LABELS, Item, ancestors
from posologie.running.errors import InputError

By = Literal["auto", "id", "order"]

SEVERITY = {
    "gold differs": "reversed",
    "number of options": "reversed",
    "options changed places": "reversed",
    "says the opposite": "reversed",
    "another question": "reversed",
    "options became equal": "changed",
    "numbers and units": "changed",
    "text missing": "changed",
    "text added": "changed",
    "untranslated": "changed",
    "another language": "doubtful",
    "length": "doubtful",
}
"""Reason → what it does to an item: `reversed`, the gold may be another option; `changed`, a fact or a text is another;
`doubtful`, worth a look."""

_ORDER = list(SEVERITY)

_MOST_STRANGERS = 0.03
_FEW = 20
"""Share of pairs by row that may be of different questions, where there are more than so many pairs: beyond it, one
side has rows that the other lacks."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An item of one side.

    Attributes:
        place: where it stands, for reading: file and row, or id.
        row: its number among the rows of its file, rejected ones counted, from 1.
    """

    item: Item
    place: str
    row: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a pair."""

    a: str
    b: str
    severity: str
    reason: str
    detail: str
    question_a: str
    question_b: str


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        by: how the items were paired.
        only_a: places of items of A without a counterpart.
        findings: the worst first, those of a pair together.
    """

    by: str
    pairs: int
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    findings: tuple[Finding, ...]

    def damaged(self) -> dict[str, int]:
        """Return the number of damaged pairs by their worst severity."""
        worst: dict[tuple[str, str], str] = {}
        for finding in self.findings:
            worst.setdefault((finding.a, finding.b), finding.severity)
        counts = Counter(worst.values())
        return {severity: counts[severity] for severity in dict.fromkeys(SEVERITY.values())}


def audited(
    a: Sequence[Entry],
    b: Sequence[Entry],
    languages: Languages,
    by: By = "auto",
    id_pattern: re.Pattern[str] | None = None,
) -> Audit:
    """Compare the items of two sides pair by pair.

    Args:
        a: the original.
        b: the translation.
        languages: of A and B.
        by: `id`, `order` (the same rows), or `auto`: by id where at least half of the smaller side share one.
        id_pattern: its one group is the part of a published id that both sides share.

    Raises:
        InputError: if the items cannot be paired, or pairs by row speak of different things too often.
    """
    how, pairs = _paired(a, b, by, id_pattern)
    findings = [finding for original, translation in pairs for finding in _findings(original, translation, languages)]
    strangers = sum(finding.reason == "another question" for finding in findings)
    if how == "order" and strangers > _MOST_STRANGERS * len(pairs) and len(pairs) > _FEW:
        first = next(finding for finding in findings if finding.reason == "another question")
        raise InputError(
            f"{strangers:,} of {len(pairs):,} pairs by row are of different questions, such as {first.a} and"
            f" {first.b}; expected the same rows in A and B, or ids that both have (--by id, --id-pattern)"
        )
    worst: dict[tuple[str, str], tuple[int, int]] = {}
    for finding in findings:
        key = finding.a, finding.b
        rank, count = worst.get(key, (len(_ORDER), 0))
        worst[key] = min(rank, _ORDER.index(finding.reason)), count - 1
    findings.sort(key=lambda finding: (worst[finding.a, finding.b], finding.a, _ORDER.index(finding.reason)))
    paired = {original.place for original, _ in pairs}, {translation.place for _, translation in pairs}
    only = [
        tuple(entry.place for entry in side if entry.place not in known)
        for side, known in ((a, paired[0]), (b, paired[1]))
    ]
    return Audit(how, len(pairs), only[0], only[1], tuple(findings))


def _findings(original: Entry, translation: Entry, languages: Languages) -> Iterator[Finding]:
    before, after = fields_of(original.item), fields_of(translation.item)
    problems = list(problems_of(before, after, languages))
    if len(before.options) == len(after.options):
        problems += problems_of_whole(before, after, languages)
        if original.item.gold != translation.item.gold:
            gold = [", ".join(LABELS[index] for index in side.item.gold) or "none" for side in (original, translation)]
            problems.append(Problem("gold differs", f"{gold[0]} in A, {gold[1]} in B"))
    problems.sort(key=lambda problem: _ORDER.index(problem.reason))
    for problem in problems:
        yield Finding(
            original.place,
            translation.place,
            SEVERITY[problem.reason],
            reason=problem.reason,
            detail=problem.detail,
            question_a=original.item.question,
            question_b=translation.item.question,
        )


def _paired(
    a: Sequence[Entry], b: Sequence[Entry], by: By, id_pattern: re.Pattern[str] | None
) -> tuple[str, list[tuple[Entry, Entry]]]:
    if by in ("auto", "id"):
        pairs = _by_name(a, b, id_pattern)
        if by == "id" or 2 * len(pairs) > min(len(a), len(b)):
            if not pairs:
                raise InputError("--by id: no item of A and B has the same id; expected --by order, or ids in both")
            return "id", pairs
    of_row = {entry.row: entry for entry in b}
    rows = [max((entry.row for entry in side), default=0) for side in (a, b)]
    if by == "auto" and rows[0] != rows[1]:
        raise InputError(
            f"A has {rows[0]:,} rows, B has {rows[1]:,}, and their items share no ids; expected files row by row, or"
            " --by order where the first rows correspond"
        )
    return "order", [(entry, of_row[entry.row]) for entry in a if entry.row in of_row]


def _by_name(a: Sequence[Entry], b: Sequence[Entry], id_pattern: re.Pattern[str] | None) -> list[tuple[Entry, Entry]]:
    """Pair the items that share a name no other item of their side has."""
    known = [_unique(side, id_pattern) for side in (a, b)]
    pairs: dict[str, tuple[Entry, Entry]] = {}
    for name in sorted(known[0].keys() & known[1].keys()):
        pairs.setdefault(known[0][name].place, (known[0][name], known[1][name]))
    return [pairs[entry.place] for entry in a if entry.place in pairs]


def _unique(side: Sequence[Entry], id_pattern: re.Pattern[str] | None) -> dict[str, Entry]:
    by_name: dict[str, list[Entry]] = {}
    for entry in side:
        for name in _names(entry.item, id_pattern):
            by_name.setdefault(name, []).append(entry)
    return {name: entries[0] for name, entries in by_name.items() if len(entries) == 1}


def _names(item: Item, id_pattern: re.Pattern[str] | None) -> frozenset[str]:
    """Return what an item may be called in its translation: its ids, those of its ancestors, its published id."""
    names = {item.id, *ancestors(item.meta)}
    if "native_id" in item.meta:
        name = str(item.meta["native_id"])
        part = id_pattern.search(name) if id_pattern is not None else None
        names.add(f"native:{name if part is None else part.group(1)}")
    return frozenset(names)
