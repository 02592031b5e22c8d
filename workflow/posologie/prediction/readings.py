"""The labels that a text names, and lists of letters as labels."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from posologie.prediction.parsing_patterns import BEFORE, JOIN, LABEL
from posologie.records.items import LABELS

Outcome = Literal["labels", "none", "ambiguous"]


@dataclass(frozen=True)
class Reading:
    """The labels that a text names (displayed positions, ascending), if it names some."""

    outcome: Outcome
    labels: tuple[int, ...] = ()


NONE = Reading("none")
AMBIGUOUS = Reading("ambiguous")


def labels_of(letters: Iterable[str], count: int) -> Reading:
    """Return a reading of letters; a letter without an option makes it ambiguous, or nothing if there are only such."""
    labels = {LABELS.index(letter.upper()) for letter in letters}
    valid = tuple(sorted(label for label in labels if label < count))
    if not valid:
        return NONE
    return Reading("labels", valid) if len(valid) == len(labels) else AMBIGUOUS


def letters_in(text: str) -> list[str]:
    """Return the letters of a text that `list_pattern` matched."""
    return re.findall(r"(?<![\w'])[A-Z](?![\w'])", text)


@cache
def list_pattern(separator: str = ",") -> str:
    """Return the pattern of a label or a list of labels, joined by the separator or in a usual way."""
    core = separator.strip()
    join = JOIN if not core else rf"(?:{JOIN}|\s*{re.escape(core)}\s*)"
    return rf"{BEFORE}{LABEL}(?:{join}{BEFORE}{LABEL})*+"
