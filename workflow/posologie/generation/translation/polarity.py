"""Whether a translation says the opposite: a negation or an exception that is gone or new, a pole turned round.

Both texts are read with the words of their languages (`resources/languages/{code}.yaml`), sentence by sentence, because
a case of ten sentences with five negations still has four when one of them is lost.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from posologie.facts import facts
from posologie.generation.sentences import aligned, sentences
from posologie.languages import language_data
from posologie.segmentation import plainer

OPPOSITES = (
    ("most", "least"),
    ("increase", "decrease"),
    ("activate", "inhibit"),
    ("indicated", "contraindicated"),
    ("sensitivity", "specificity"),
    ("positive", "negative"),
    ("left", "right"),
    ("upper", "lower"),
    ("acute", "chronic"),
    ("benign", "malignant"),
)
"""Poles (`posologie.facts`) of which a text that mentions one and not the other may not become the reverse. `true` and
`false` are no pair here: "which is false" and "which is not true" ask the same, so `false` counts as a negation."""


_CLAUSE = re.compile(r"[,;:.()?!]|\b(?:and|but|et|mais|y|e|pero|und|aber|ed|ma|mas|que|qui|which|that|who)\b")
_NUMERO = re.compile(r"\b[Nn][º°]")
"""An abbreviation that reads `no` without its sign."""


@dataclass(frozen=True, slots=True)
class Negations:
    """The negations of a text.

    Attributes:
        least: clauses with a negation, an exception or `false`, those that follow one another counted once: "no fever
            and no cough" is "no fever or cough" elsewhere.
        most: all of these clauses, and those of which the only negation is one that carries on (`ni`, `nor`).
        possible: further words that may translate a negation, such as `lacks` or `unable`.
    """

    least: int
    most: int
    possible: int


def polarity_problems(source: str, translation: str, source_language: str, target_language: str) -> list[str]:
    """Return where a translation may say the opposite; nothing where a language has no words for negation."""
    if not language_data(source_language).get("negation") or not language_data(target_language).get("negation"):
        return []
    found: list[str] = []
    for before, after in aligned(sentences(source), sentences(translation)):
        one, other = negations(before, source_language), negations(after, target_language)
        if one.least > other.most + max(0, other.possible - one.possible):
            found.append(f"a negation of {_short(before)} is missing")
        elif other.least > one.most + max(0, one.possible - other.possible):
            found.append(f"a negation was added: {_short(after)}")
        found += _turned(before, after, source_language, target_language)
    return found


def negations(text: str, language: str) -> Negations:
    """Return the negations of a text."""
    whole = plainer(_NUMERO.sub(" ", text))
    plain = _without_idioms(whole, language)
    least = most = 0
    before = False
    continued = _pattern(language, "negation_continued")
    for clause in filter(str.strip, _CLAUSE.split(plain)):
        most += _negative(clause, language)
        negative = _negative(continued.sub(" ", clause) if continued else clause, language)
        least += negative and not before
        before = negative
    like = _pattern(language, "negation_like")
    return Negations(least, most, len(like.findall(whole)) if like else 0)


def _without_idioms(plain: str, language: str) -> str:
    idioms = _pattern(language, "negation_idioms")
    return idioms.sub(lambda idiom: "_" * len(idiom.group()), plain) if idioms else plain


def _negative(clause: str, language: str) -> bool:
    known = facts(clause, language)
    return bool(known.negations or known.exception or "false" in known.polarity)


@cache
def _pattern(language: str, key: str) -> re.Pattern[str] | None:
    patterns: Sequence[str] = language_data(language).get(key, ())
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns)) if patterns else None


def _turned(before: str, after: str, source_language: str, target_language: str) -> Iterator[str]:
    one, other = (
        facts(_without_idioms(plainer(text), language), language).polarity
        for text, language in ((before, source_language), (after, target_language))
    )
    for pole, opposite in OPPOSITES:
        for a, b in ((pole, opposite), (opposite, pole)):
            if a in one and b not in one and b in other and a not in other:
                yield f"'{a}' became '{b}' in {_short(after)}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return f"'{text}'" if len(text) <= 60 else f"'{text[:59]}…'"
