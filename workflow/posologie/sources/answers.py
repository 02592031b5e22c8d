"""Published answers become gold indices: letters, indices, texts, lists of them, in the forms that data sets use."""

import math
import re
from collections.abc import Sequence
from typing import Any, Literal

from posologie.items import LABELS
from posologie.sources.cleaning import as_text
from posologie.sources.rejection import Rejected

AnswerForm = Literal["labels", "index0", "index1", "text", "any"]
"""How answers are given. labels: `B`, `A,C`, `(A)`, `A et C`, `ACE`, `['A', 'C']`, `B. text`, or else the option's
text; index0 and index1: numbers from 0 or 1; text: the option's text; any: labels or text, refused where the two
readings differ."""

_PLAIN = re.compile(r"[A-Z](?:,[A-Z])*")
_ONE_LABEL = re.compile(r"""[(\["']{0,2}([A-Za-z])["')\].:]{0,2}""")
_BETWEEN_LABELS = re.compile(r"\s*(?:[,;/+&|]|\bet\b|\band\b|\s)\s*", re.IGNORECASE)
_COMPACT = re.compile(r"[A-Z]{2,26}")
_LABEL_AND_TEXT = re.compile(r"[(\[]?([A-Z])[)\].:]{1,2}\s+(.+)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d{1,9}(?:\.0+)?")


def gold_indices(
    answer: Any, options: Sequence[str], form: AnswerForm, repairs: set[str], labels: Sequence[str] | None = None
) -> tuple[int, ...]:
    """Return the indices of the right options, ascending.

    Args:
        answer: as published: text, number, or list of them.
        options: clean texts, in published order.
        form: how the data set gives its answers.
        repairs: receives the names of repairs.
        labels: the labels as printed, where they are not A, B, C …

    Raises:
        Rejected: unlabelled, unreadable answer, ambiguous answer, gold outside the options.
    """
    printed = LABELS[: len(options)] if labels is None else labels
    if type(answer) is str and form == "labels" and _PLAIN.fullmatch(answer):
        return _positions(answer.split(","), printed, answer, repairs)
    given = list(answer) if isinstance(answer, list | tuple | set) else [answer]
    given = [one for one in given if not _absent(one)]
    if not given:
        raise Rejected("unlabelled")
    found: list[int] = []
    for one in given:
        found.extend(_indices(one, options, form, repairs, printed))
    if len(set(found)) != len(found):
        repairs.add("label repeated in the answer")
    return tuple(sorted(set(found)))


def _absent(one: Any) -> bool:
    return one is None or (isinstance(one, str) and not one.strip()) or (isinstance(one, float) and math.isnan(one))


def _indices(
    one: Any, options: Sequence[str], form: AnswerForm, repairs: set[str], printed: Sequence[str]
) -> tuple[int, ...]:
    if form in ("index0", "index1"):
        return _numbered(one, len(options), 0 if form == "index0" else 1)
    text = as_text(one, "answer", repairs)
    labels = None if form == "text" else labels_in(text)
    by_text = _by_text(text, options)
    if form == "labels" or not by_text:
        if labels is not None:
            return _positions(labels, printed, text, repairs)
        both = None if form == "text" else _LABEL_AND_TEXT.fullmatch(text)
        if both and _by_text(both.group(2), options) == _positions([both.group(1)], printed, text, set()):
            repairs.add("answer as label and text")
            return _positions([both.group(1)], printed, text, repairs)
        if by_text:
            repairs.add("answer as text")
            return by_text
        raise Rejected("unreadable answer", f"{text[:80]!r}; expected labels, or the text of an option")
    if labels is not None and _positions(labels, printed, text, set()) != by_text:
        raise Rejected("ambiguous answer", f"{text[:80]!r} is both a label and the text of another option")
    return by_text


def labels_in(text: str) -> list[str] | None:
    """Return the labels that a text names (upper case, in its order), or None if it is anything but labels."""
    pieces = [piece for piece in _BETWEEN_LABELS.split(text) if piece]
    found = [_ONE_LABEL.fullmatch(piece) for piece in pieces]
    if pieces and all(found):
        return [label.group(1).upper() for label in found if label]
    if _COMPACT.fullmatch(text) and list(text) == sorted(set(text)):
        return list(text)
    return None


def _positions(labels: Sequence[str], printed: Sequence[str], shown: str, repairs: set[str]) -> tuple[int, ...]:
    found = []
    for label in labels:
        if label not in printed:
            raise Rejected("gold outside the options", f"{shown[:80]!r} among {len(printed)} options")
        found.append(printed.index(label))
    if len(set(found)) != len(found):
        repairs.add("label repeated in the answer")
    return tuple(sorted(set(found)))


def _numbered(one: Any, count: int, base: int) -> tuple[int, ...]:
    if isinstance(one, bool) or not isinstance(one, str | int | float):
        raise Rejected("unreadable answer", f"{type(one).__name__}; expected a number from {base}")
    if isinstance(one, str):
        pieces = [piece.strip() for piece in one.split(",")]
        if not all(_NUMBER.fullmatch(piece) for piece in pieces):
            raise Rejected("unreadable answer", f"{one[:80]!a}; expected a number from {base}")
        numbers = [int(float(piece)) for piece in pieces]
    elif isinstance(one, float):
        if not one.is_integer():
            raise Rejected("unreadable answer", f"{one}; expected a number from {base}")
        numbers = [int(one)]
    else:
        numbers = [one]
    for number in numbers:
        if not base <= number < base + count:
            raise Rejected("gold outside the options", f"a number outside {base} to {base + count - 1}")
    return tuple(number - base for number in numbers)


def _by_text(text: str, options: Sequence[str]) -> tuple[int, ...]:
    """Return the options with exactly this text, or else those with it in another case."""
    exact = tuple(index for index, option in enumerate(options) if option == text)
    if exact or not text:
        return exact
    folded = text.casefold()
    return tuple(index for index, option in enumerate(options) if option.casefold() == folded)
