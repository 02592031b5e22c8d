"""Options as published, and their labels: read out of maps, columns and running text, and found again in answers."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from posologie.records.items import LABELS
from posologie.sources.cleaning import Rejected

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
        Rejected: if there is no such list, or it is not certain where its options begin.
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
        for match in pattern.finditer(text):
            if depths[match.start()] == 0:
                mark = _Mark(sequence[match.group(1)], match.start(), match.end())
                by_mark.setdefault(match.group(2), []).append(mark)
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


CHOICES_LINE = (
    r"^(?:(?:choix|options?)(?: (?:de|des) r[ée]ponses?)?(?: possibles?)?|(?:answer )?(?:choices|options)"
    r"|opciones(?: de respuesta)?|alternativas|antwort(?:möglichkeiten|optionen)|opzioni(?: di risposta)?"
    r"|opções(?: de resposta)?|选项|選項|選択肢|خيارات الإجابة|الخيارات|(?:उत्तर के )?विकल्प) ?[:：]?$"
)
"""The line before the options, as the published records have it (`Choix de réponses :`), near variants, and those of
other languages."""

_PUBLISHED_LINE = "\nChoix de réponses :\n"
_PUBLISHED_OPTION = re.compile(r"\n\(([A-Z])\) ")
_LENIENT_OPTION = re.compile(r"\n[(\[]?([A-Za-z]) ?[)\].:\-–] ?(?=\S)")
_PREFIX = re.compile(r"[(\[]?([A-Za-z]) ?[)\].:\-–]\s+(?=\S)")
_EMPTY = frozenset(("", "nan", "NaN", "NAN"))


def options_in_text(
    text: str, repairs: set[str], choices_line: re.Pattern[str] | None = None
) -> tuple[str, list[str], list[str]]:
    """Split a clean text into the question, the printed labels and the options.

    Args:
        text: question, choices line, and a line `(A) …` for each option; an option may run over several lines, and
            options may stand on one.
        repairs: receives the names of repairs.
        choices_line: pattern of the line before the options; `CHOICES_LINE` if left out.

    Raises:
        Rejected: if no options are found.
    """
    question, line, block = text.rpartition(_PUBLISHED_LINE)
    if line and (choices_line is None or choices_line.pattern == CHOICES_LINE):
        parts = _PUBLISHED_OPTION.split("\n" + block)
        labels = parts[1::2]
        following = f" ({LABELS[len(labels)]}) " if len(labels) < len(LABELS) else "\n("
        strict = not parts[0].strip() and "".join(labels) == LABELS[: len(labels)] and len(labels) > 1
        if strict and following not in block:
            return question.strip(), labels, [option.strip() for option in parts[2::2]]
    try:
        split = _lenient_split(text, repairs, choices_line or _DEFAULT_LINE)
    except Rejected as rejected:
        if rejected.reason != "fewer than two options":
            raise
    else:
        if not _more_on_one_line(split[1], split[2]):
            return split
    question, labels, options = labelled_list(text, whole=False)
    repairs.add("options on one line")
    if last := list((choices_line or _DEFAULT_LINE).finditer(question)):
        question = question[: last[-1].start()].strip()
    return question, [label.upper() for label in labels], options


def _more_on_one_line(labels: Sequence[str], options: Sequence[str]) -> bool:
    """Return whether options go on with the label that is missing, or comes next, on the line of another."""
    missing = [label for label in LABELS[: len(labels) + 1] if label not in labels]
    return any(
        re.search(rf"(?<=\s)[(\[]?{label}[)\].:]\s", option, re.IGNORECASE) for label in missing for option in options
    )


_DEFAULT_LINE = re.compile(CHOICES_LINE, re.IGNORECASE | re.MULTILINE)


def _lenient_split(text: str, repairs: set[str], choices_line: re.Pattern[str]) -> tuple[str, list[str], list[str]]:
    line = None
    for line in choices_line.finditer(text):  # noqa: B007 - the last one counts
        pass
    question, block = (text[: line.start()], text[line.end() :]) if line else ("", text)
    parts = _LENIENT_OPTION.split("\n" + block.lstrip("\n"))
    labels: list[str] = []
    options: list[str] = []
    before = parts[0]
    all_labels = [label.upper() for label in parts[1::2]]
    for place, (label, option) in enumerate(zip(parts[1::2], parts[2::2], strict=True)):
        # A line that begins like an option but does not carry on the sequence belongs to the option before it; so does
        # one that would leave out a label that is still to come.
        last = labels[-1] if labels else "@"
        following = chr(ord(last) + 1)
        leaps = label.upper() > following and following in all_labels[place + 1 :]
        if label.upper() > last and (labels or label.upper() == "A") and not leaps:
            labels.append(label.upper())
            options.append(option)
        elif options:
            options[-1] += f"\n{label}) {option}"
        else:
            before += f"\n{label}) {option}"
    if len(options) < 2:
        raise Rejected("fewer than two options", "no lines `(A) …`, `(B) …` in the question")
    if "".join(labels) != LABELS[: len(labels)]:
        repairs.add("option labels with gaps")
    if not line:
        repairs.add("options without the choices line")
    elif before.strip():
        raise Rejected("unreadable options", f"{before.strip()[:60]!r} between the choices line and the options")
    return (question if line else before).strip(), labels, [option.strip() for option in options]


def without_prefixes(options: Sequence[str], repairs: set[str]) -> list[str]:
    """Return the options without `A)`, `b.` …, if each of them carries its own letter; one alone may be a text."""
    if len(options) < 2 or options[0].lstrip("([")[:1] not in ("A", "a"):
        return list(options)
    prefixes = [_PREFIX.match(option) for option in options]
    for position, (option, prefix) in enumerate(zip(options, prefixes, strict=True)):
        if option in _EMPTY:
            continue
        if position >= len(LABELS) or not prefix or prefix.group(1).upper() != LABELS[position]:
            return list(options)
    repairs.add("letter prefixes in options")
    return [option[prefix.end() :] if prefix else option for option, prefix in zip(options, prefixes, strict=True)]


class PrefixLabels(NamedTuple):
    """Letters that options carry in another order than their own, or with gaps.

    Attributes:
        labels: the letters, in the order of the options.
        options: the texts without them.
        certain: whether they can be nothing else, as `C)` can; `C.` may begin the name of a species.
    """

    labels: list[str]
    options: list[str]
    certain: bool


def prefix_labels(options: Sequence[str]) -> PrefixLabels | None:
    """Return the letters that all options carry, each another, where they are not those of their places."""
    prefixes = [_PREFIX.match(option) for option in options]
    letters = [prefix.group(1).upper() for prefix in prefixes if prefix]
    if len(options) < 2 or len(set(letters)) != len(options):
        return None
    texts = [option[prefix.end() :] for option, prefix in zip(options, prefixes, strict=True) if prefix]
    marks = [prefix.group(0).rstrip()[-1] for prefix in prefixes if prefix]
    return PrefixLabels(letters, texts, all(mark in ")]:" for mark in marks))


def distinct_options(
    options: Sequence[str], gold: tuple[int, ...], repairs: set[str]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Drop options that are empty, `nan` or repeated, and let the gold follow.

    Raises:
        Rejected: if the gold names an empty option, or two equal options have different keys.
    """
    if len(set(options)) == len(options) and _EMPTY.isdisjoint(options):
        return tuple(options), gold
    right = set(gold)
    is_right: dict[str, bool] = {}
    for index, option in enumerate(options):
        if option in _EMPTY:
            if index in right:
                raise Rejected("gold names an empty option", f"option {index + 1} of {len(options)} is {option!r}")
            repairs.add("empty options dropped" if not option else "'nan' options dropped")
        elif option in is_right:
            if is_right[option] != (index in right):
                raise Rejected("duplicate options with different keys", repr(option[:80]))
            repairs.add("duplicate options dropped")
        else:
            is_right[option] = index in right
    return tuple(is_right), tuple(index for index, correct in enumerate(is_right.values()) if correct)
