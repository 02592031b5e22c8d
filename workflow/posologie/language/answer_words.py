"""What answers to choice questions say around labels, in every language that has a file in `resources/languages/`.

The words are data: the key `answers` of a language's file holds lists of regular expressions. A text is read with the
words of all languages, because models answer in another language than they are asked in.
"""

import hashlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from posologie.language.languages import described_languages, language_data
from posologie.running.errors import InputError

KEYS = (
    "and",
    "copulas",
    "corrections",
    "cues",
    "either",
    "fillers",
    "final",
    "hedges",
    "instead",
    "letters",
    "negation",
    "neither",
    "nouns",
    "or",
    "ordinals",
    "refusals",
    "right",
    "so",
    "to",
    "verdict_right",
    "verdict_wrong",
)
_JOINED = r"\w'\u0900-\u0963\u064b-\u065f"
"""What a letter of a word stands beside; `re` counts no vowel signs of Hindi and Arabic among the letters."""
_LETTER = "[A-Za-zÀ-ÿ0-9_]"
_LATIN, _ARABIC = re.compile("[a-zà-ÿ]"), re.compile("[\u0600-\u06ff]")


def answer_words_digest() -> str:
    """Return what stands for the words of all languages in a spec.

    Raises:
        InputError: if a file has an unknown key, or a word that is no regular expression.
    """
    text = json.dumps(_checked(), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def one_of(*keys: str) -> str:
    """Return the pattern of one of the words of all languages under some keys."""
    return _either([(word, key) for key in keys for answers in _checked().values() for word in answers.get(key, ())])


@cache
def ordinals() -> tuple[str, ...]:
    """Return for each place, the first being A, the pattern of its ordinal number in all languages."""
    return _by_place("ordinals")


@cache
def letters() -> tuple[re.Pattern[str], ...]:
    """Return for each place, the first being A, the pattern of the letter that scripts without A to Z name it by.

    It matches a letter that stands alone, also behind the Arabic `and`.
    """
    by_language = [answers.get("letters", []) for answers in _checked().values()]
    places = ("|".join(filter(None, of)) for of in itertools.zip_longest(*by_language, fillvalue=""))
    return tuple(re.compile(rf"(?<![{_JOINED}])(و?)(?:{place})(?![{_JOINED}])") for place in places)


def _by_place(key: str) -> tuple[str, ...]:
    by_language = [answers.get(key, []) for answers in _checked().values()]
    places = max(map(len, by_language), default=0)
    return tuple(
        _either([(words[place], key) for words in by_language if place < len(words)]) for place in range(places)
    )


def _either(words: Sequence[tuple[str, str]]) -> str:
    """Return the pattern of one of some words, each with its key; words are whole where their script has blanks."""
    groups: dict[str, list[str]] = {}
    for word, key in words:
        groups.setdefault(_edges(word, key), []).append(word)
    patterns = (edges.replace("…", "|".join(dict.fromkeys(group))) for edges, group in groups.items())
    return rf"(?:{'|'.join(patterns)})" if groups else r"(?!)"


def _edges(word: str, key: str) -> str:
    """Return what stands around a word, `…`; `re` knows no edges of words in Hindi, and Chinese has none."""
    if len(word) == 1 and word.isascii() and not key.startswith("verdict"):
        return r"(?<!\w)(?-i:…)(?!\w)"  # `a`, `e`, `o` and `y` are words, A, E, O and Y are labels
    if _LATIN.search(word):
        return rf"(?<!{_LETTER})(?:…)" if word.endswith("'") else rf"(?<!{_LETTER})(?:…)(?!{_LETTER})"
    return r"(?<!\w)[وف]?(?:…)(?!\w)" if _ARABIC.search(word) else "(?:…)"


@cache
def _checked() -> Mapping[str, Mapping[str, list[str]]]:
    """Return the words by language and key, English and French first: most texts are read by them."""
    words: dict[str, Mapping[str, list[str]]] = {}
    for code in sorted(described_languages(), key=lambda code: (code not in ("en", "fr"), code)):
        answers: Any = language_data(code).get("answers") or {}
        where = f"resources/languages/{code}.yaml, answers"
        for key, listed in answers.items():
            if key not in KEYS:
                raise InputError(f"{where}.{key}: no such key; choose one of: {', '.join(KEYS)}")
            for word in listed:
                try:
                    re.compile(str(word))
                except re.error as error:
                    raise InputError(f"{where}.{key}: '{word}' is not a regular expression ({error})") from error
        words[code] = {key: [str(word) for word in listed] for key, listed in answers.items()}
    return words
