"""Labels of options as published: read out of maps, columns and running text, and found again in answers."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from posologie.items import LABELS
from posologie.sources.rejection import Rejected

_AROUND = " \t\n()[]{}.:,;\"'`*：．）（、"
_DIGITS = re.compile(r"(\d+)")

SEQUENCES = (
    LABELS,
    LABELS.lower(),
    tuple(str(number) for number in range(1, 27)),
    "АБВГДЕЖЗИК",
    "абвгдежзик",
    "ΑΒΓΔΕΖΗΘ",
    "αβγδεζηθ",
    "أبجدهوزح",
    "ابجدهوزح",
    "אבגדהוזח",
    "कखगघङच",
    "กขคงจฉ",
    "アイウエオカキク",
    "甲乙丙丁戊己",
    "가나다라마바",
    "①②③④⑤⑥⑦⑧⑨⑩",
    ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"),
)
"""The labels that lists are lettered or numbered with, each in its order."""

_BRACKETS = {"(": r"\)", "[": r"\]", "（": "）"}
_ENDS = "?？!:：.。…\n"
"""What a question ends with before a list of options on its line."""


def label_key(label: str) -> str:
    """Return the form in which labels are compared: without brackets, marks, case and width."""
    if len(label) == 1 and label.isascii():
        return label.casefold()
    return unicodedata.normalize("NFKC", label).strip(_AROUND).casefold() or label


def known_labels(printed: Sequence[str]) -> dict[str, int]:
    """Return key of label → place; where all labels are words with one beginning (`option1`), their ends name them too.

    Raises:
        Rejected: if two options have the same label.
    """
    return dict(_known_labels(tuple(printed)))


@lru_cache(maxsize=256)
def _known_labels(printed: tuple[str, ...]) -> dict[str, int]:
    known: dict[str, int] = {}
    for place, label in enumerate(printed):
        if label_key(label) in known:
            raise Rejected("labels repeated", f"{label!r} stands at two options")
        known[label_key(label)] = place
    ends = ends_of(printed)
    if ends is not None and known.keys().isdisjoint(map(label_key, ends)):
        known |= {label_key(end): place for place, end in enumerate(ends)}
    return known


def ends_of(names: Sequence[str]) -> list[str] | None:
    """Return the letters or numbers in which names differ (`opa`, `opb`; `Antwort 1 (de)`, …), or None."""
    if len(names) < 2:
        return None
    start = _shared_start(names)
    end = _shared_start([name[start:][::-1] for name in names])
    ends = [name[start : len(name) - end] for name in names]
    letters = all(len(name) == 1 and name.isascii() and name.isalpha() for name in ends)
    numbers = all(name.isdecimal() for name in ends)
    return ends if (letters or numbers) and len({end.casefold() for end in ends}) == len(ends) else None


def in_order_of_labels(options: Mapping[str, Any]) -> tuple[list[str], list[Any]]:
    """Return the labels and the options of a map from label to text; numbers in labels count as numbers.

    An option without text keeps its place, so that the labels after it still name what they named.
    """

    def key(label: str) -> list[tuple[int, int, str]]:
        parts = _DIGITS.split(label)
        return [(0, int(part), "") if part.isdecimal() and len(part) < 10 else (1, 0, part) for part in parts if part]

    labels = sorted(options, key=key)
    return labels, [options[label] for label in labels]


def _shared_start(names: Sequence[str]) -> int:
    """Return the length of the beginning that all names share, without digits at its end."""
    shared = 0
    for letters in zip(*names, strict=False):
        if len(set(letters)) > 1:
            break
        shared += 1
    return len(names[0][:shared].rstrip("0123456789"))


class _Mark(NamedTuple):
    place: int
    start: int
    end: int


def labelled_list(text: str, *, whole: bool) -> tuple[str, list[str], list[str]]:
    """Split a text at the outermost labels of a list: `(A) … (B) …`, `1. … 2. …`, on one line or several.

    A list has one style (sequence of labels, brackets, mark), begins with its first label and goes on without gaps.
    Labels in parentheses are no labels, and those of a list that begins inside an option are its text.

    Args:
        text: clean text.
        whole: whether the text has to begin with the list; otherwise what stands before it is the question.

    Returns:
        What stands before the list, the labels as printed, and the options.

    Raises:
        Rejected: if there is no such list, or it cannot be told for certain where its options begin.
    """
    lists: list[list[_Mark]] = []
    others: list[list[_Mark]] = []
    doubtful: list[list[_Mark]] = []
    for marks in _marks_by_style(text):
        places = [mark.place for mark in marks]
        before = text[: marks[0].start].rstrip(" ")
        begins = not before or (not whole and before[-1] in _ENDS)
        if places == list(range(len(places))) and len(places) > 1:
            (lists if begins else others).append(marks)
        elif begins and places[:2] == [0, 1]:
            doubtful.append(marks)
    first = min(lists, key=lambda marks: marks[0].start, default=None)
    for marks in doubtful:
        if first is None or marks[0].start <= first[0].start:
            raise Rejected("unreadable options", f"labels out of order: {_shown(text, marks)}")
    if first is None:
        raise Rejected("fewer than two options", "no labels (A), (B), … in order")
    chosen = _outermost(text, first, [marks for marks in (*lists, *others) if marks is not first], whole)
    labels = [text[mark.start : mark.end].strip(_AROUND) for mark in chosen]
    ends = [mark.start for mark in chosen[1:]] + [len(text)]
    options = [text[mark.end : end].strip(" \n;") for mark, end in zip(chosen, ends, strict=True)]
    return text[: chosen[0].start].strip(), labels, options


def _shown(text: str, marks: Sequence[_Mark]) -> str:
    return " ".join(text[mark.start : mark.end].strip() for mark in marks[:8])


def _outermost(text: str, outer: list[_Mark], others: Sequence[list[_Mark]], whole: bool) -> list[_Mark]:
    """Return the list that begins first, or the one after statements that its options choose from."""
    for marks in sorted(others, key=lambda marks: marks[0].start):
        if marks[0].start < outer[0].start:
            continue
        in_last = marks[0].start > outer[-1].start
        if not in_last and len(marks) <= len(outer):
            continue  # text of one option, or of each: `A. Le test (a) B. Le test (b) C. Aucun`
        if in_last and not whole and "?" in text[outer[-1].end : marks[0].start]:
            outer = marks  # `1) Fièvre 2) Toux. Lesquels ? A) 1 B) 1 et 2`
            continue
        raise Rejected("unreadable options", f"two lists: {_shown(text, outer)} and {_shown(text, marks)}")
    return outer


def _marks_by_style(text: str) -> Iterator[list[_Mark]]:
    depths = _depths(text)
    for sequence, opening, pattern in _PATTERNS:
        if opening and opening not in text:
            continue
        by_mark: dict[str, list[_Mark]] = {}
        for found in pattern.finditer(text):
            if depths[found.start()] == 0:
                mark = _Mark(sequence[found.group(1)], found.start(), found.end())
                by_mark.setdefault(found.group(2), []).append(mark)
        yield from by_mark.values()


def _patterns() -> Iterator[tuple[dict[str, int], str, re.Pattern[str]]]:
    for sequence in SEQUENCES:
        names = "|".join(sorted(map(re.escape, sequence), key=len, reverse=True))
        for opening, closing in (("", r"[)\]、．）]|[.:：](?=\s)"), *_BRACKETS.items()):
            pattern = re.compile(rf"(?<![^\s;,，；]){re.escape(opening)}({names})\s?({closing})\s*(?=\S)")
            yield {label: place for place, label in enumerate(sequence)}, opening, pattern
        if sequence[0] == "①":  # circled numbers need no mark
            pattern = re.compile(rf"({names})()\s*(?=\S)")
            yield {label: place for place, label in enumerate(sequence)}, "", pattern


_PATTERNS = tuple(_patterns())


def _depths(text: str) -> list[int]:
    """Return for each character in how many parentheses it stands; those that never close do not count."""
    depths, opened = [0] * (len(text) + 1), []
    for place, character in enumerate(text):
        if character in _BRACKETS:
            opened.append(place)
        elif opened and character in ")]）":
            start = opened.pop()
            for inside in range(start + 1, place):
                depths[inside] += 1
    return depths
