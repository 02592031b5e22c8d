"""The texts of an item that are translated together, and what their translation must keep."""

from collections.abc import Iterator
from dataclasses import dataclass

from posologie.generation.quantities import problems
from posologie.generation.rejection import Problem
from posologie.generation.translation.spec import Translator
from posologie.generation.wording import exchanged, words
from posologie.items import Item
from posologie.languages import language_problem

_LONG = 80
_SHORTEST, _LONGEST = 0.4, 2.5
"""Ratio of characters, translation to source, outside which a text of 80 characters lost or gained something."""

_EXCHANGED = 0.3
"""Gain in resemblance from which options count as exchanged. Of 547 CasiMedicos items in English and French, none in
its own order reaches it, and 94 % do when two of their options change places."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Texts of an item, or of a part of it; what is not part of it is empty."""

    question: str = ""
    context: str = ""
    options: tuple[str, ...] = ()
    answer: str = ""

    def texts(self) -> tuple[str, ...]:
        """Return all texts, in a fixed order: question, context, answer, options."""
        return (self.question, self.context, self.answer, *self.options)


def fields_of(item: Item) -> Fields:
    """Return the texts of an item."""
    return Fields(item.question, item.context, item.options, item.answer)


def joined(parts: list[Fields]) -> Fields:
    """Return the whole of which `parts` are the parts: each text stands in one of them, the context in several."""
    return Fields(
        "".join(part.question for part in parts),
        "".join(part.context for part in parts),
        tuple(option for part in parts for option in part.options),
        "".join(part.answer for part in parts),
    )


def problem_of(source: Fields, translation: Fields, translator: Translator) -> Problem | None:
    """Return the first problem of the translation of a part of an item, or None."""
    return next(_problems(source, translation, translator), None)


def problem_of_whole(source: Fields, translation: Fields, translator: Translator) -> Problem | None:
    """Return the problem of a whole translated item, or None: its language, and options that became equal."""
    if foreign := language_problem(translation.texts(), translator.target_language):
        return Problem("another language", foreign)
    different = [len({tuple(words(option)) for option in fields.options}) for fields in (source, translation)]
    if different[1] < different[0]:
        return Problem("options became equal")
    return None


def _problems(source: Fields, translation: Fields, translator: Translator) -> Iterator[Problem]:
    if len(source.options) != len(translation.options):
        yield Problem("number of options", f"{len(translation.options)}, expected {len(source.options)}")
        return
    # Text by text, so that an option that changed place with another is found by its numbers.
    for before, after in zip(source.texts(), translation.texts(), strict=True):
        if bool(before.strip()) != bool(after.strip()):
            yield Problem("text missing" if before.strip() else "text added", (before or after)[:60])
            continue
        if found := problems(before, after, translator.source_language, translator.target_language):
            yield Problem("numbers and units", "; ".join(found)[:200])
        ratio = len(after) / max(len(before), 1)
        if len(before) >= _LONG and not _SHORTEST <= ratio <= _LONGEST:
            yield Problem("length", f"{ratio:.2f} times the source")
    if len(source.options) > 1 and exchanged(source.options, translation.options) >= _EXCHANGED:
        yield Problem("options changed places", "the gold would be another option")
