"""Texts of a translation that stayed in the language of the original.

An option that is the same in both languages is most often a name: *Candida albicans*, CT, Wilms, 46,XX. One that should
have been translated stands alone among translated ones, has several words, or words that the other language has not.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from posologie.generation.translation.vocabulary import words_of
from posologie.languages import known_languages
from posologie.segmentation import plainer, runs

FEATURES = ("others the same", "capitals and digits", "one word", "leaning", "words", "known words", "Latin name")

WEIGHTS = (-4.00, -3.26, -1.79, 0.23, 0.43, 0.53, -2.59)
INTERCEPT = 3.90
"""A logistic regression on the options of MMLU (English, Spanish) and CasiMedicos (English, Spanish, French; its part
`train`): those that are the same in both languages against originals that are not."""

LEAST = 3.5
"""Log-odds from which an option counts as untranslated."""

_OTHER_LANGUAGE = 12.0
"""Leaning from which a text of four words counts as one in the other language, whatever the original says. Of 1,000
translated options, about one has as much."""

_LATIN = re.compile(r"[A-Z][a-z]+(?:a|as|us|um|is|es) [a-z]+(?:us|um|is|ae|a|i|ile|or|ans|ens)\W*")
_WORD = re.compile(r"[^\W\d_]+")


def untranslated_options(
    source: Sequence[str], translation: Sequence[str], source_language: str, target_language: str
) -> list[int]:
    """Return the places of the options that stayed in the language of the original."""
    same = [_spelled(before) == _spelled(after) for before, after in zip(source, translation, strict=True)]
    found = []
    for place, option in enumerate(translation):
        if same[place]:
            others = (sum(same) - 1) / max(len(same) - 1, 1)
            left = log_odds(option, others, source_language, target_language) >= LEAST
        else:
            left = in_other_language(option, source_language, target_language)
        if left:
            found.append(place)
    return found


def _spelled(text: str) -> list[str]:
    """Return the words of a text with their accents, which are all that a translation of `impulsion` changes."""
    return runs(unicodedata.normalize("NFC", text.casefold()))


def in_other_language(text: str, source_language: str, target_language: str) -> bool:
    """Return whether a text of four words or more is clearly in the language of the original."""
    return len(_WORD.findall(text)) > 3 and leaning(text, source_language, target_language) >= _OTHER_LANGUAGE


def log_odds(option: str, others: float, source_language: str, target_language: str) -> float:
    """Return the log-odds that an option, the same in both languages, should have been translated.

    Args:
        others: share of the item's other options that are the same in both languages.
    """
    if not _WORD.search(option):
        return -np.inf
    values = features(option, others, source_language, target_language)
    odds = float(values @ np.array(WEIGHTS) + INTERCEPT)
    count, known = values[FEATURES.index("words")], values[FEATURES.index("known words")]
    # `Liver` alone: a plain word of one language, and none of the other.
    return max(odds, LEAST) if others == 0 and 0 < count == known else odds


def features(option: str, others: float, source_language: str, target_language: str) -> np.ndarray:
    """Return `FEATURES` of an option."""
    tokens = [token for token in _WORD.findall(plainer(option)) if len(token) > 2]  # `1 g` is no word
    signs = [sign for sign in option if sign.isalnum()]
    capitals = sum(sign.isupper() or sign.isdigit() for sign in signs) / max(len(signs), 1)
    meanings = [
        (one.meanings, other.meanings)
        for one, other in zip(words_of(option, source_language), words_of(option, target_language), strict=True)
    ]
    known = sum(bool(one) and not other for one, other in meanings)
    return np.array(
        (
            others,
            capitals,
            len(tokens) == 1,
            leaning(" ".join(tokens), source_language, target_language) / max(len(tokens), 1) ** 0.5,
            min(len(tokens), 20),
            min(known, 3),
            bool(_LATIN.fullmatch(option)),
        ),
        dtype=float,
    )


def leaning(text: str, language: str, other: str) -> float:
    """Return by how much a text looks more like one language than like another, as a log-likelihood ratio.

    Positive towards `language`; 0 where the identifier does not know one of the two.
    """
    identifier = _identifier_of(*sorted((language, other)))
    if identifier is None:
        return 0.0
    ranked = dict(identifier.rank(text.lower()))
    return float(ranked[language] - ranked[other])


@cache
def _identifier_of(*languages: str) -> Any:
    if not set(languages) <= set(known_languages()):
        return None
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=False)
    identifier.set_languages(list(languages))
    return identifier
