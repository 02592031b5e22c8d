"""What a translation must keep of an item, so that its gold is still right.

The same checks accept a model's translations and audit a published benchmark (`posologie audit-parallel`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from posologie.generation.quantities import problems
from posologie.generation.rejection import Problem
from posologie.generation.translation.fields import Fields
from posologie.generation.translation.matching import Matching, matched
from posologie.generation.translation.polarity import polarity_problems
from posologie.generation.translation.untranslated import in_other_language, leaning, untranslated_options
from posologie.generation.translation.vocabulary import resemblance
from posologie.generation.wording import words
from posologie.items import LABELS
from posologie.languages import LONG_ENOUGH, language_problem

_LONG = 80
_SHORTEST, _LONGEST = 0.4, 2.5
"""Ratio of characters, translation to source, outside which a text of 80 characters lost or gained something."""
_DENSE = ((3.0, re.compile(r"[\u3400-\u9fff]")), (1.5, re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")))
"""Letters of an alphabet that an ideograph, and a sign of a syllable, stand for: about three, and about one and a half.
The ratio allows for more than the error of this."""

_ANOTHER = -2.0
"""Log-odds below which a question is none of the original: 2 in 100 replaced questions have more, 2 in 1,000 right
translations less."""


@dataclass(frozen=True, slots=True)
class Languages:
    """The two-letter codes of a translation's languages."""

    source: str
    target: str


def problem_of(source: Fields, translation: Fields, languages: Languages) -> Problem | None:
    """Return the first problem of the translation of a part of an item, or None."""
    return next(problems_of(source, translation, languages), None)


def problem_of_whole(source: Fields, translation: Fields, languages: Languages) -> Problem | None:
    """Return the first problem that shows in a whole translated item only, or None."""
    return next(problems_of_whole(source, translation, languages), None)


def problems_of(source: Fields, translation: Fields, languages: Languages) -> Iterator[Problem]:
    """Yield the problems of the translation of a part of an item, the worst for its gold first."""
    if len(source.options) != len(translation.options):
        yield Problem("number of options", f"{len(translation.options)}, expected {len(source.options)}")
        return
    both = list(zip(_named(source), _named(translation), strict=True))
    for (name, before), (_, after) in both:
        if bool(before.strip()) != bool(after.strip()):
            yield Problem("text missing" if before.strip() else "text added", f"{name}: {(before or after)[:60]}")
    yield from _of_language(translation, languages)
    # Text by text, so that an option that changed place with another is found by its numbers.
    texts = [(name, before, after) for (name, before), (_, after) in both if before.strip() and after.strip()]
    for name, before, after in texts:
        if found := problems(before, after, languages.source, languages.target):
            yield Problem("numbers and units", f"{name}: {'; '.join(found)}"[:200])
    for name, before, after in texts:
        if found := polarity_problems(before, after, languages.source, languages.target):
            yield Problem("says the opposite", f"{name}: {'; '.join(found)}"[:200])
    matching = match_of(source, translation, languages)
    if matching is not None and matching.exchanged:
        now = ", ".join(
            f"{LABELS[place]} is {LABELS[origin]}" for place, origin in enumerate(matching.order) if place != origin
        )
        yield Problem("options changed places", f"{now}: the gold would be another option")
    if languages.source != languages.target:
        for place in untranslated_options(source.options, translation.options, languages.source, languages.target):
            yield Problem("untranslated", f"option {LABELS[place]}: {translation.options[place][:60]!r}")
    odds = resemblance(
        f"{source.context} {source.question}",
        f"{translation.context} {translation.question}",
        languages.source,
        languages.target,
    )
    if odds is not None and odds < _ANOTHER:
        yield Problem("another question", f"log-odds {odds:.1f} that it is a translation of the original")
    for name, before, after in texts:
        ratio = _length(after) / _length(before)
        if _length(before) >= _LONG and not _SHORTEST <= ratio <= _LONGEST:
            yield Problem("length", f"{name}: {ratio:.2f} times the source")


def problems_of_whole(source: Fields, translation: Fields, languages: Languages) -> Iterator[Problem]:
    """Yield the problems that show in a whole translated item only: its language, and options that became equal."""
    if foreign := language_problem((" \n".join(translation.texts()),), languages.target):
        yield Problem("another language", foreign)
    different = [len({tuple(words(option)) for option in fields.options}) for fields in (source, translation)]
    if different[1] < different[0]:
        yield Problem("options became equal")


def match_of(source: Fields, translation: Fields, languages: Languages) -> Matching | None:
    """Return which options translate which, or None where there are none, or one is empty."""
    options = (*source.options, *translation.options)
    if len(source.options) < 2 or not all(option.strip() for option in options):
        return None
    return matched(source.options, translation.options, languages.source, languages.target)


def _named(fields: Fields) -> list[tuple[str, str]]:
    named = [("question", fields.question), ("context", fields.context), ("answer", fields.answer)]
    return named + [(f"option {label}", option) for label, option in zip(LABELS, fields.options, strict=False)]


def _of_language(translation: Fields, languages: Languages) -> Iterator[Problem]:
    """Yield the longer texts that are in another language, such as that of the original."""
    if languages.source == languages.target:
        return
    for name, text in _named(translation)[:3]:
        if in_other_language(text, languages.source, languages.target):
            yield Problem("another language", f"{name}: {text[:60]!r}")
            continue
        leans = _letters(text) >= LONG_ENOUGH and leaning(text, languages.source, languages.target) > 0
        if leans and (foreign := language_problem((text,), languages.target)):
            yield Problem("another language", f"{name} {foreign}")


def _length(text: str) -> float:
    """Return the length of a text in characters of an alphabet."""
    if text.isascii():
        return len(text)
    return len(text) + sum((weight - 1) * len(signs.findall(text)) for weight, signs in _DENSE)


def _letters(text: str) -> int:
    return len(re.sub(r"[\W\d_]+", "", text))
