"""Texts as words: what two texts have in common, whatever their case, accents and punctuation."""

import unicodedata
from collections.abc import Sequence

import regex

from posologie.segmentation import is_accent, unicode_words

_TOKEN = regex.compile(r"[\w\p{M}]+|[<>≤≥=+±%°]")
_STEM = 5
_CONTENT = 5
"""Letters from which a word counts as one of content, and by whose first five it is known in its inflected forms."""


def words(text: str) -> list[str]:
    """Return the words of a text without case and accents, and the signs that change what a value means.

    A run of letters that writes no spaces, such as a Chinese sentence, is cut into its characters.
    """
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    tokens: list[str] = _TOKEN.findall("".join(letter for letter in decomposed if not is_accent(letter)))
    return [word for token in tokens for word in (unicode_words(token) or [token])]


def contains(whole: Sequence[str], part: Sequence[str]) -> bool:
    """Return whether words stand in a row in a longer row of words; no words stand nowhere."""
    return bool(part) and f" {' '.join(part)} " in f" {' '.join(whole)} "


def shared(part: str, whole: str) -> float:
    """Return the share of a text's content words whose beginning occurs in another text; 1 for a text without any."""
    known = {word[:_STEM] for word in words(whole)}
    content = [word for word in words(part) if len(word) >= _CONTENT and not word.isdigit()]
    return sum(word[:_STEM] in known for word in content) / len(content) if content else 1.0
