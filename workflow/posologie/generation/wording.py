"""Texts as words: what two texts have in common, whatever their case, accents and punctuation."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

_TOKEN = re.compile(r"\w+|[<>≤≥=+±%°]")
_STEM = 5
_CONTENT = 5
"""Letters from which a word counts as one of content, and by whose first five it is known in its inflected forms."""


def words(text: str) -> list[str]:
    """Return the words of a text without case and accents, and the signs that change what a value means."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return _TOKEN.findall("".join(letter for letter in decomposed if not unicodedata.combining(letter)))


def contains(whole: Sequence[str], part: Sequence[str]) -> bool:
    """Return whether words stand in a row in a longer row of words; no words stand nowhere."""
    return bool(part) and f" {' '.join(part)} " in f" {' '.join(whole)} "


def shared(part: str, whole: str) -> float:
    """Return the share of a text's content words whose beginning occurs in another text; 1 for a text without any."""
    known = {word[:_STEM] for word in words(whole)}
    content = [word for word in words(part) if len(word) >= _CONTENT and not word.isdigit()]
    return sum(word[:_STEM] in known for word in content) / len(content) if content else 1.0


def exchanged(before: Sequence[str], after: Sequence[str]) -> float:
    """Return how much better texts resemble their versions in another language when these change places; 0 if not.

    Resemblance is Dice's coefficient of letter trigrams, which medical terms share between many languages. The value is
    the sum over the best assignment less the sum over the given one; in a script without common letters it is 0.
    """
    left, right = ([_trigrams(text) for text in texts] for texts in (before, after))
    alike = np.array([[_dice(one, other) for other in right] for one in left])
    rows, columns = linear_sum_assignment(alike, maximize=True)
    return float(alike[rows, columns].sum() - np.trace(alike))


def _trigrams(text: str) -> Counter[str]:
    padded = f" {' '.join(words(text))} "
    return Counter(padded[start : start + 3] for start in range(len(padded) - 2))


def _dice(one: Counter[str], other: Counter[str]) -> float:
    return 2 * (one & other).total() / max(one.total() + other.total(), 1)
