"""What a free text answers: labels, nothing, or something ambiguous. French and English."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from posologie.items import LABELS

Outcome = Literal["labels", "none", "ambiguous"]


@dataclass(frozen=True)
class Reading:
    """The labels that a text names (displayed positions, ascending), if it names some."""

    outcome: Outcome
    labels: tuple[int, ...] = ()


def is_bare_label(text: str, options: int) -> bool:
    """Whether a text ends on a label that the next characters could turn into something else, as `D` into `D'après`."""
    return re.search(rf"(?:^|[^\w])[{LABELS[:options]}]$", text) is not None


def read(text: str, options: Sequence[str]) -> Reading:
    """Read labels separated by commas."""
    found = re.fullmatch(r"\s*([A-Z](?:\s*,\s*[A-Z])*)\s*\.?\s*", text)
    if not found:
        return Reading("none")
    labels = [LABELS.index(letter) for letter in re.findall("[A-Z]", found.group(1))]
    if len(set(labels)) != len(labels) or max(labels) >= len(options):
        return Reading("none")
    return Reading("labels", tuple(sorted(labels)))
