"""Which language a text is in."""

import re
from functools import cache
from typing import Any

from py3langid.langid import MODEL_FILE, LanguageIdentifier

LONG_ENOUGH = 40
"""Letters from which a single text is judged: below, the identifier takes names of bacteria for a language."""

_UNLIKELY = 0.05


@cache
def _identifier() -> Any:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    # Names of species, drugs and anatomy look like Latin to it.
    identifier.set_languages([language for language in identifier.labels if language != "la"])
    return identifier


def language_problem(texts: tuple[str, ...], language: str) -> str | None:
    """Return which text is not in a language (two-letter code), or None if all can be.

    Texts of fewer than 40 letters are only judged together. A text counts as foreign where the identifier gives the
    language a probability below 5 %.
    """
    whole = " \n".join(texts)
    for text in (whole, *texts):
        if len(re.sub(r"[\W\d_]+", "", text)) >= LONG_ENOUGH:
            ranked = _identifier().rank(text)
            if dict(ranked)[language] < _UNLIKELY:
                return f"looks like '{ranked[0][0]}': {text[:60]!r}"
    return None


def language_of(text: str) -> str | None:
    """Return the two-letter code of the language that a text is most probably in; None where it is too short."""
    if len(re.sub(r"[\W\d_]+", "", text)) < LONG_ENOUGH:
        return None
    return str(_identifier().classify(text)[0])


def known_languages() -> tuple[str, ...]:
    """Return the two-letter codes that texts can be checked for."""
    return tuple(sorted(_identifier().labels))
