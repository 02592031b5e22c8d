"""Published answers become gold indices: labels, numbers, flags, texts, lists of them, in the forms data sets use."""

import math
import re
from collections.abc import Sequence
from typing import Any, Literal

from posologie.records.items import LABELS
from posologie.sources.cleaning import Rejected, as_text
from posologie.sources.options import known_labels, label_key

AnswerForm = Literal["labels", "index0", "index1", "one_hot", "text", "any"]
"""How answers are given. labels: `B`, `A,C`, `(A)`, `A et C`, `ACE`, `['A', 'C']`, `B. text`, or else the option's
text; index0 and index1: numbers from 0 or 1; one_hot: a flag for each option; text: the option's text; any: labels or
text, refused where the two readings differ."""

_PLAIN = re.compile(r"[A-Z](?:,[A-Z])*")
_ONE_LABEL = re.compile(r"""[(\["']{0,2}([A-Za-z])["')\].:]{0,2}""")
_BETWEEN_LABELS = re.compile(r"\s*(?:[,;/+&|、،]|\bet\b|\band\b|\s)\s*", re.IGNORECASE)
_COMPACT = re.compile(r"[A-Z]{2,26}")
_LABEL_AND_TEXT = re.compile(r"[(\[]?([A-Za-z]|\d{1,2})\s?[)\].:]{1,2}\s+(.+)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d{1,9}(?:\.0+)?")
_SET = frozenset(("1", "1.0", "true", "t", "yes", "y", "x", "✓"))
_UNSET = frozenset(("", "0", "0.0", "false", "f", "no", "n", "nan"))


def gold_indices(
    answer: Any, options: Sequence[str], form: AnswerForm, repairs: set[str], labels: Sequence[str] | None = None
) -> tuple[int, ...]:
    """Return the indices of the right options, ascending.

    Args:
        answer: as published: text, number, or list of them.
        options: clean texts, in published order.
        form: how the data set gives its answers.
        repairs: receives the names of repairs.
        labels: the labels as printed, one for each option; A, B, C … if left out.

    Raises:
        Rejected: unlabelled, unreadable answer, ambiguous answer, gold outside the options.
    """
    printed = LABELS[: len(options)] if labels is None else labels
    if type(answer) is str and form == "labels" and _PLAIN.fullmatch(answer):
        places = [printed.index(label) for label in answer.split(",") if label in printed]
        if len(places) == answer.count(",") + 1:
            return _without_repeats(places, repairs)
    if form == "one_hot":
        return _flagged(answer, len(options))
    parts = list(answer) if isinstance(answer, list | tuple | set) else [answer]
    parts = [part for part in parts if not is_absent(part)]
    if not parts:
        raise Rejected("unlabelled")
    places = []
    for part in parts:
        places.extend(_indices(part, options, form, repairs, printed))
    return _without_repeats(places, repairs)


def is_absent(value: Any) -> bool:
    """Return whether a published value stands for nothing: null, blank text, not a number."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def numbers_in(answer: Any) -> list[int]:
    """Return the whole numbers that an answer names, none where it is anything else."""
    parts = answer if isinstance(answer, list | tuple) else [answer]
    numbers: list[int] = []
    for part in parts:
        if type(part) is int:
            numbers.append(part)
        elif isinstance(part, float) and part.is_integer():
            numbers.append(int(part))
        elif isinstance(part, str):
            pieces = [piece.strip() for piece in part.split(",")]
            if all(_NUMBER.fullmatch(piece) for piece in pieces):
                numbers.extend(int(float(piece)) for piece in pieces)
    return numbers


def _without_repeats(places: Sequence[int], repairs: set[str]) -> tuple[int, ...]:
    if len(set(places)) != len(places):
        repairs.add("label repeated in the answer")
    return tuple(sorted(set(places)))


def _indices(
    answer: Any, options: Sequence[str], form: AnswerForm, repairs: set[str], printed: Sequence[str]
) -> tuple[int, ...]:
    if form in ("index0", "index1"):
        return _numbered(answer, 0 if form == "index0" else 1, printed)
    text = as_text(answer, "answer", repairs)
    by_text = _by_text(text, options)
    if form == "text":
        if by_text:
            return by_text
        raise Rejected("unreadable answer", f"{text[:80]!r}; expected the text of an option")
    known = known_labels(printed)
    labels = _labels_named(text, known)
    if form == "labels" or not by_text:
        both = _LABEL_AND_TEXT.fullmatch(text)
        if both and label_key(both.group(1)) in known:  # before the labels: `B. d` is option B, whose text is d
            place = known[label_key(both.group(1))]
            if place in _by_text(both.group(2), options):
                repairs.add("answer as label and text")
                return (place,)
        if labels is not None:
            return _positions(labels, known, text, repairs)
        if by_text:
            _check_not_a_number(text, options, known)
            repairs.add("answer as text")
            return by_text
        raise Rejected("unreadable answer", f"{text[:80]!r}; expected labels, or the text of an option")
    if labels is not None and _positions(labels, known, text, set()) != by_text:
        raise Rejected("ambiguous answer", f"{text[:80]!r} is both a label and the text of another option")
    if labels is None:
        _check_not_a_number(text, options, known)
    return by_text


def _check_not_a_number(text: str, options: Sequence[str], known: dict[str, int]) -> None:
    """Refuse a number that is an option's text where it may as well be the number of another option."""
    if _NUMBER.fullmatch(text) and 0 <= float(text) <= len(options):
        raise Rejected(
            "ambiguous answer", f"{text!r} may be the number of an option or its text; say which with answer_form"
        )


def labels_in(text: str) -> list[str] | None:
    """Return the letters that a text names (upper case, in its order), or None if it is anything but letters."""
    pieces = [piece for piece in _BETWEEN_LABELS.split(text) if piece]
    matches = [_ONE_LABEL.fullmatch(piece) for piece in pieces]
    if pieces and all(matches):
        return [match.group(1).upper() for match in matches if match]
    if _COMPACT.fullmatch(text) and list(text) == sorted(set(text)):
        return list(text)
    return None


def _labels_named(text: str, known: dict[str, int]) -> list[str] | None:
    """Return the labels that a text names, as keys of `known` or letters that are none; None if it names none."""
    if not text:
        return None
    if label_key(text) in known:
        return [label_key(text)]
    pieces = [label_key(piece) for piece in _BETWEEN_LABELS.split(text.strip("[]()")) if piece]
    if pieces and all(piece in known for piece in pieces):
        return pieces
    if (letters := labels_in(text)) is not None:
        return [letter.casefold() for letter in letters]
    if pieces and all(piece.isdecimal() for piece in pieces) and all(label.isdecimal() for label in known):
        return pieces
    if len(text) > 1 and all(label_key(letter) in known for letter in text) and list(text) == sorted(set(text)):
        return [label_key(letter) for letter in text]
    return None


def _positions(labels: Sequence[str], known: dict[str, int], shown: str, repairs: set[str]) -> tuple[int, ...]:
    for label in labels:
        if label not in known:
            raise Rejected("gold outside the options", f"{shown[:80]!r} among {len(set(known.values()))} options")
    return _without_repeats([known[label] for label in labels], repairs)


def _flagged(answer: Any, count: int) -> tuple[int, ...]:
    if is_absent(answer):
        raise Rejected("unlabelled")
    if isinstance(answer, str):
        answer = [piece.strip() for piece in answer.strip("[] ").replace(";", ",").split(",")]
    if not isinstance(answer, list | tuple):
        raise Rejected("unreadable answer", f"{type(answer).__name__}; expected a flag for each option")
    flags = ["" if is_absent(flag) else str(flag).strip().casefold() for flag in answer]
    # Columns of options that this record has not, such as a fifth one, have flags all the same.
    while len(flags) > count and flags[-1] in _UNSET:
        flags.pop()
    if len(flags) != count:
        raise Rejected("unreadable answer", f"{len(flags)} flags for {count} options")
    for flag in flags:
        if flag not in _SET and flag not in _UNSET:
            raise Rejected("unreadable answer", f"flag {flag[:40]!r}; expected 0 or 1")
    right = tuple(place for place, flag in enumerate(flags) if flag in _SET)
    if not right:
        raise Rejected("unlabelled", "no option is flagged")
    return right


def _numbered(answer: Any, base: int, printed: Sequence[str]) -> tuple[int, ...]:
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        raise Rejected("unreadable answer", f"{type(answer).__name__}; expected a number from {base}")
    numbers = numbers_in(answer)
    if not numbers:
        raise Rejected("unreadable answer", f"{answer!a:.82}; expected a number from {base}")
    return tuple(_at_number(number, base, printed) for number in numbers)


def _at_number(number: int, base: int, printed: Sequence[str]) -> int:
    """Return the place of the option that a number names: as a label where labels are numbers, else as a count."""
    count = len(printed)
    if printed and all(label.strip().isdecimal() for label in printed):
        known = {int(label): place for place, label in enumerate(printed)}
        if min(known) == base:
            if number not in known:
                raise Rejected("gold outside the options", f"{number} is no label of {count} options")
            return known[number]
        if number in known:
            raise Rejected(
                "ambiguous answer", f"{number} is the label of one option and, from {base}, counts to another"
            )
    if not base <= number < base + count:
        raise Rejected("gold outside the options", f"a number outside {base} to {base + count - 1}")
    place = number - base
    letters = [label_key(label) for label in printed]
    if len(letters[place]) == 1 and LABELS[place].casefold() in letters and letters[place] != LABELS[place].casefold():
        raise Rejected(
            "ambiguous answer", f"{number} counts to option {printed[place]}, or names option {LABELS[place]}"
        )
    if letters != sorted(letters) or not all(len(letter) == 1 and letter.isascii() for letter in letters):
        return place
    if letters[place] != LABELS[place].casefold():
        raise Rejected("ambiguous answer", f"{number} into options with the labels {', '.join(printed)}")
    return place


def _by_text(text: str, options: Sequence[str]) -> tuple[int, ...]:
    """Return the options with exactly this text, or else those with it in another case."""
    exact = tuple(index for index, option in enumerate(options) if option == text)
    if exact or not text:
        return exact
    folded = text.casefold()
    return tuple(index for index, option in enumerate(options) if option.casefold() == folded)
