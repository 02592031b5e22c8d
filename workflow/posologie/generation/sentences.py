"""Text in sentences, and in pieces that fit into a model's window."""

import re
from collections.abc import Callable, Iterator

_ABBREVIATIONS = re.compile(
    r"dr|mr|mrs|ms|prof|pr|mme|mlle|st|vs|cf|figs?|refs?|no|nos|vol|approx|ca|env|al|resp|max|min|e\.g|i\.e|eg|ie"
    r"|p\.ex|par|ex|art|inj|tab|cp|comp|spp?|subsp|var|[a-z]"
)
"""Words before a point that ends no sentence; a single letter is an initial."""

_BORDER = re.compile(r"(?<=[.!?…])(?: ?[\"'»”’)\]])*(\s+)(?=[\"'«“‘(\[]?[A-ZÀ-ÖØ-ÞŒ0-9¿¡])|([。！？]\s*)|(\s*\n\s*)")
_WORD_BEFORE = re.compile(r"([\w.]+)\.$")


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, each with the white space that follows it, so that they join to the text again.

    A border is a line break, or a mark of end followed by white space and a capital, digit or opening mark, unless the
    word before is a common abbreviation or an initial.
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
