"""The texts of models: in sentences and pieces, in words, as JSON, and why one is not accepted."""

import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import regex
from pydantic import BaseModel, ValidationError

from posologie.language.languages import is_accent, unicode_words
from posologie.records.reasons import check_reason
from posologie.records.specs import first_problem

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
    parts, start = [], 0
    for border in _BORDER.finditer(text):
        before = _WORD_BEFORE.search(text, start, border.start(1)) if border.group(1) is not None else None
        if before is not None and _ABBREVIATIONS.fullmatch(before.group(1).lower()):
            continue
        parts.append(text[start : border.end()])
        start = border.end()
    if start < len(text):
        parts.append(text[start:])
    return parts


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


Reply = TypeVar("Reply", bound=BaseModel)

_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n?\s*```", re.DOTALL)


class MalformedError(Exception):
    """A reply that is not the JSON that was asked for; the message says how."""


def json_schema(model: type[BaseModel]) -> str:
    """Return a model's JSON schema as canonical text: closed objects, every field required."""
    return json.dumps(model.model_json_schema(), sort_keys=True, ensure_ascii=False)


def read_reply(text: str, model: type[Reply]) -> Reply:
    """Return the object in a reply: the whole text, a fenced block, or what lies between the outermost braces.

    Raises:
        MalformedError: if there is no JSON object, or it does not fit the model.
    """
    try:
        return model.model_validate(_object(text))
    except ValidationError as error:
        raise MalformedError(first_problem(error)) from error


def _object(text: str) -> Any:
    fenced = _FENCED.search(text)
    candidates = [text.strip(), fenced.group(1) if fenced else "", text[text.find("{") : text.rfind("}") + 1]]
    problem = "no JSON object"
    for candidate in filter(None, candidates):
        try:
            value = json.loads(candidate, strict=False)  # line breaks inside texts are forgiven
        except json.JSONDecodeError as error:
            problem = f"not JSON ({error.msg}, character {error.pos})"
            continue
        if isinstance(value, dict):
            return value
    raise MalformedError(problem)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a generated question or a translation is not accepted: one of `records.reasons`, and what was found."""

    reason: str
    detail: str = ""

    def __post_init__(self) -> None:
        """Check that the reason is described."""
        check_reason(self.reason)

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason
