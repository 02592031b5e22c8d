"""Options: taken out of the question's text, freed of their letters, of the empty and of the repeated ones."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from posologie.items import LABELS
from posologie.sources.labels import labelled_list
from posologie.sources.rejection import Rejected

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
    """Say whether options go on with the label that is missing, or comes next, on the line of another."""
    missing = [label for label in LABELS[: len(labels) + 1] if label not in labels]
    return any(
        re.search(rf"(?<=\s)[(\[]?{label}[)\].:]\s", option, re.IGNORECASE) for label in missing for option in options
    )


_DEFAULT_LINE = re.compile(CHOICES_LINE, re.IGNORECASE | re.MULTILINE)


def _lenient_split(text: str, repairs: set[str], choices_line: re.Pattern[str]) -> tuple[str, list[str], list[str]]:
    found = None
    for found in choices_line.finditer(text):  # noqa: B007 - the last one counts
        pass
    question, block = (text[: found.start()], text[found.end() :]) if found else ("", text)
    parts = _LENIENT_OPTION.split("\n" + block.lstrip("\n"))
    labels: list[str] = []
    options: list[str] = []
    before = parts[0]
    found_labels = [label.upper() for label in parts[1::2]]
    for place, (label, option) in enumerate(zip(parts[1::2], parts[2::2], strict=True)):
        # A line that begins like an option but does not carry on the sequence belongs to the option before it; so does
        # one that would leave out a label that is still to come.
        last = labels[-1] if labels else "@"
        following = chr(ord(last) + 1)
        leaps = label.upper() > following and following in found_labels[place + 1 :]
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
    if not found:
        repairs.add("options without the choices line")
    elif before.strip():
        raise Rejected("unreadable options", f"{before.strip()[:60]!r} between the choices line and the options")
    return (question if found else before).strip(), labels, [option.strip() for option in options]


def without_prefixes(options: Sequence[str], repairs: set[str]) -> list[str]:
    """Return the options without `A)`, `b.` …, if each of them carries its own letter; one alone may be a text."""
    if len(options) < 2 or options[0].lstrip("([")[:1] not in ("A", "a"):
        return list(options)
    found = [_PREFIX.match(option) for option in options]
    for position, (option, prefix) in enumerate(zip(options, found, strict=True)):
        if option in _EMPTY:
            continue
        if position >= len(LABELS) or not prefix or prefix.group(1).upper() != LABELS[position]:
            return list(options)
    repairs.add("letter prefixes in options")
    return [option[prefix.end() :] if prefix else option for option, prefix in zip(options, found, strict=True)]


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
    found = [_PREFIX.match(option) for option in options]
    letters = [prefix.group(1).upper() for prefix in found if prefix]
    if len(options) < 2 or len(set(letters)) != len(options):
        return None
    texts = [option[prefix.end() :] for option, prefix in zip(options, found, strict=True) if prefix]
    marks = [prefix.group(0).rstrip()[-1] for prefix in found if prefix]
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
    kept: dict[str, bool] = {}
    for index, option in enumerate(options):
        if option in _EMPTY:
            if index in right:
                raise Rejected("gold names an empty option", f"option {index + 1} of {len(options)} is {option!r}")
            repairs.add("empty options dropped" if not option else "'nan' options dropped")
        elif option in kept:
            if kept[option] != (index in right):
                raise Rejected("duplicate options with different keys", repr(option[:80]))
            repairs.add("duplicate options dropped")
        else:
            kept[option] = index in right
    return tuple(kept), tuple(index for index, correct in enumerate(kept.values()) if correct)
