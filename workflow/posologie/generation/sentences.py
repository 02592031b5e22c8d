"""Text in sentences, and in pieces that fit into a model's window."""

import math
import re
from collections.abc import Callable, Iterator, Sequence

import regex

_ABBREVIATIONS = re.compile(
    r"dr|mr|mrs|ms|prof|pr|mme|mlle|st|vs|cf|figs?|refs?|no|nos|vol|approx|ca|env|al|resp|max|min|e\.g|i\.e|eg|ie"
    r"|p\.ex|par|ex|art|inj|tab|cp|comp|spp?|subsp|var|[a-z]"
)
"""Words before a point that ends no sentence; a single letter is an initial."""

_BORDER = regex.compile(
    r"(?<=[.!?…؟۔])(?: ?[\"'»”’)\]])*(\s+)(?=[\"'«“‘(\[]?[\p{Lu}\p{Lo}0-9¿¡])"
    r"|([。！？｡।॥។။][”’」』）》]*\s*)|(\s*\n\s*)"
)
_WORD_BEFORE = re.compile(r"([\w.]+)\.$")

_BEADS = ((1, 1, 0.0), (2, 1, 2.3), (1, 2, 2.3), (2, 2, 4.4))
"""Sentences of a text and of its translation that make one pair, and what that costs (-log of the probability, in
relation to one to one, as in Gale and Church 1993)."""

_VARIANCE = 6.8
"""Variance of a translation's length per character of the source (Gale and Church 1993)."""


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, each with the white space that follows it, so that they join to the text again.

    A border is a line break, a mark of end before white space and a capital, a letter of a script without capitals,
    a digit or an opening mark, unless the word before is a common abbreviation or an initial; or a mark that only ends
    sentences, such as the Chinese full stop or the danda.
    """
    found, start = [], 0
    for border in _BORDER.finditer(text):
        before = _WORD_BEFORE.search(text, start, border.start(1)) if border.group(1) is not None else None
        if before is not None and _ABBREVIATIONS.fullmatch(before.group(1).lower()):
            continue
        found.append(text[start : border.end()])
        start = border.end()
    if start < len(text):
        found.append(text[start:])
    return found


def pieces(text: str, size: Callable[[str], int], most: int) -> Iterator[str]:
    """Yield a text's sentences, and parts of a sentence that is longer than `most`, which join to the text again.

    A long sentence is split after semicolons and colons, then commas, then between words, then anywhere.

    Args:
        size: length of a text in the unit of `most`, such as tokens.
    """
    for sentence in sentences(text):
        yield from _within(sentence, size, most, (r"(?<=[;:])\s+", r"(?<=,)\s+", r"\s+"))


def packed(text: str, size: Callable[[str], int], most: int) -> Iterator[str]:
    """Yield runs of neighbouring sentences, each as long as `most` allows, which join to the text again."""
    pack = ""
    for piece in pieces(text, size, most):
        if pack and size(pack + piece) > most:
            yield pack
            pack = ""
        pack += piece
    if pack:
        yield pack


def _within(text: str, size: Callable[[str], int], most: int, borders: tuple[str, ...]) -> Iterator[str]:
    if size(text) <= most:
        yield text
        return
    if not borders:
        middle = len(text) // 2
        if middle == 0:
            yield text
            return
        yield from _within(text[:middle], size, most, ())
        yield from _within(text[middle:], size, most, ())
        return
    cuts = [border.end() for border in re.finditer(borders[0], text) if 0 < border.end() < len(text)]
    start = 0
    part = ""
    for end in [*cuts, len(text)]:
        if part and size(part + text[start:end]) > most:
            yield from _within(part, size, most, borders[1:])
            part = ""
        part += text[start:end]
        start = end
    yield from _within(part, size, most, borders[1:])


def aligned(source: Sequence[str], translation: Sequence[str]) -> list[tuple[str, str]]:
    """Return the sentences of a text beside those of its translation: one to one, two to one or one to two.

    The pairs are those whose lengths fit best (Gale and Church 1993, with the variance that they measured, and without
    sentences that have no counterpart). Texts that no such pairs can be made of are one pair.
    """
    before, after = [len(text) for text in source], [len(text) for text in translation]
    ratio = sum(after) / max(sum(before), 1)
    best: dict[tuple[int, int], tuple[float, int, int]] = {(0, 0): (0.0, 0, 0)}
    for i in range(len(before) + 1):
        for j in range(len(after) + 1):
            if (i, j) not in best:
                continue
            for rows, columns, penalty in _BEADS:
                if i + rows <= len(before) and j + columns <= len(after):
                    lengths = sum(before[i : i + rows]), sum(after[j : j + columns])
                    cost = best[i, j][0] + penalty + _mismatch(*lengths, ratio)
                    if cost < best.get((i + rows, j + columns), (math.inf,))[0]:
                        best[i + rows, j + columns] = (cost, rows, columns)
    i, j = len(before), len(after)
    if (i, j) not in best:
        return [("".join(source), "".join(translation))] if source or translation else []
    pairs = []
    while i or j:
        _, rows, columns = best[i, j]
        pairs.append(("".join(source[i - rows : i]), "".join(translation[j - columns : j])))
        i, j = i - rows, j - columns
    return pairs[::-1]


def _mismatch(before: int, after: int, ratio: float) -> float:
    """Return how badly two lengths fit, as a negative log-likelihood."""
    deviation = (after - before * ratio) / math.sqrt(_VARIANCE * max(before, 1))
    return deviation * deviation / 2
