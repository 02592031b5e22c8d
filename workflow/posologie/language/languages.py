"""Languages: which one a text is in, what the program knows of it (`resources/languages/{code}.yaml`), its words."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import regex

from posologie.running.errors import InputError
from posologie.running.installed import project

LONG_ENOUGH = 40
"""Letters from which a single text is judged: below, the identifier takes names of bacteria for a language."""

_UNLIKELY = 0.05


GENERAL = "general.yaml"
"""The file of what holds for a language without a file."""

_FOLDER = Path("resources/languages")
_SHIPPED = project() / _FOLDER


def described_languages() -> tuple[str, ...]:
    """Return the codes of the languages that have a file: those of the study's folder, and those that ship."""
    codes = {path.stem for folder in (_FOLDER, _SHIPPED) for path in folder.glob("*.yaml") if path.name != GENERAL}
    return tuple(sorted(codes))


def language_digest(code: str) -> str | None:
    """Return what stands for a language's phrases of position-dependent options in a spec, or None if it has none."""
    phrases = language_data(code).get("position_dependent")
    if not phrases:
        return None
    return hashlib.sha256(json.dumps(phrases, ensure_ascii=False).encode()).hexdigest()[:16]


def language_data(code: str) -> Mapping[str, Any]:
    """Return what is known of a language: the content of `resources/languages/{code}.yaml`.

    A region is ignored (`pt-BR` reads `pt.yaml`). The mapping is empty for a language without a file, so readers take
    `language_data(code).get(key, default)`.

    Raises:
        InputError: if the file is not YAML, or not a mapping.
    """
    path = _file(code.lower().replace("_", "-").partition("-")[0])
    return MappingProxyType({}) if path is None else _content(path, path.stat().st_mtime_ns)


def general_data() -> Mapping[str, Any]:
    """Return what holds for a language without a file: the content of `resources/languages/general.yaml`."""
    path = next(path for folder in (_FOLDER, _SHIPPED) if (path := folder / GENERAL).is_file())
    return _content(path, path.stat().st_mtime_ns)


def decimal_mark(code: str) -> str:
    """Return what stands between units and tenths in a language: a comma or a point."""
    own = language_data(code).get("decimal_mark")
    return str(own) if own else "," if code in general_data()["decimal_comma"] else "."


def macrolanguage(code: str) -> str:
    """Return the macrolanguage that a language is a member of (`zh` of `wuu`), or the language itself.

    The identifier takes single texts of a macrolanguage for one of its members.
    """
    return _macrolanguages().get(code, code)


@cache
def _macrolanguages() -> Mapping[str, str]:
    return {str(code): str(whole) for code, whole in general_data().get("macrolanguages", {}).items()}


@cache
def _content(path: Path, changed: int) -> Mapping[str, Any]:
    """Return the content of a language's file, read once for each time at which it was changed."""
    import yaml

    try:
        content = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a mapping; write one key per line, such as `negation: [...]`")
    return MappingProxyType(content)


def check_unedited(digests: Mapping[str, str]) -> None:
    """Check that the phrases of languages are those whose digests a spec holds.

    Raises:
        InputError: naming the first file that was edited since.
    """
    for code, digest in digests.items():
        if language_digest(code) != digest:
            raise InputError(f"resources/languages/{code}.yaml: edited since the run was planned; start the run again")


def position_dependent(languages: Iterable[str]) -> re.Pattern[str] | None:
    """Return the pattern of options that depend on the place of the others ("all of the above", "A and B").

    It is searched in options that are joined by line breaks, and fits whole lines. The phrases are data:
    `position_dependent` in the files of the languages, regular expressions in which `{label}` is an option's label.

    Raises:
        InputError: naming the language whose phrases are no regular expressions.
    """
    phrases: list[str] = []
    for code in sorted(languages):
        for phrase in language_data(code).get("position_dependent") or ():
            try:
                re.compile(plain := str(phrase).replace("{label}", _LABEL))
            except re.error as error:
                raise InputError(f"resources/languages/{code}.yaml, position_dependent: {phrase!r}: {error}") from error
            phrases.append(plain)
    if not phrases:
        return None
    return re.compile(rf"^[ \"'«“(]*(?:{'|'.join(phrases)})[ \"'»”).!。]*$", re.IGNORECASE | re.MULTILINE)


_LABEL = r"[(\[]?(?-i:[A-J])[)\].]?"
"""A label in an option's text: a capital letter up to J, so that the French `a` and `y` are words."""


def _file(code: str) -> Path | None:
    paths = (folder / f"{code}.yaml" for folder in (_FOLDER, _SHIPPED))
    return next((path for path in paths if path.is_file()), None)


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

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
            shares: dict[str, float] = {}
            for label, share in ranked:
                shares[macrolanguage(label)] = shares.get(macrolanguage(label), 0.0) + share
            if shares[macrolanguage(language)] < _UNLIKELY:
                return f"looks like '{ranked[0][0]}': {text[:60]!r}"
    return None


def language_of(text: str, letters: int = LONG_ENOUGH) -> str | None:
    """Return the likeliest language of a text (two-letter code), or None where it has too few letters to say.

    A member of a macrolanguage counts as that.
    """
    if len(re.sub(r"[\W\d_]+", "", text)) < letters:
        return None
    return macrolanguage(str(_identifier().classify(text)[0]))


def known_languages() -> tuple[str, ...]:
    """Return the two-letter codes that texts can be checked for."""
    return tuple(sorted(_identifier().labels))


_RUN = regex.compile(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}\u200c\u200d]*")
_BORDER = regex.compile(r"(?wV1)\b")
_WORD = regex.compile(r"[\p{L}\p{N}]")
_VOWEL_AFTER = regex.compile(r"\p{Grapheme_Cluster_Break=SpacingMark}")
_VOWEL_BEFORE = regex.compile(r"\p{Logical_Order_Exception}+")
_WIDE = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
LIKE = _WIDE | str.maketrans("’ʼ٫٬٪‐‑–−", "''.,%----")
"""Signs that are written in several ways, one for one: apostrophes, hyphens, Arabic marks, full-width letters."""


def runs(text: str) -> list[str]:
    """Return the runs of letters and digits with their marks: `l'œdème à 3,5` → `l`, `œdème`, `à`, `3`, `5`."""
    words: list[str] = _RUN.findall(text)
    return words


def unicode_words(text: str) -> list[str]:
    """Return the words of a text by UAX #29: `l'œdème à 3,5` → `l'œdème`, `à`, `3,5`.

    There is no dictionary for scripts without spaces: each Han or Hiragana character, each run of Katakana, and each
    Thai, Lao, Khmer or Burmese character with its marks is a word. No character is parted from the vowels that Thai and
    Lao write before it, and from those that Unicode lets extend it.
    """
    words: list[str] = []
    before, adjacent = "", False
    for piece in _BORDER.split(text):
        if _VOWEL_BEFORE.fullmatch(piece):
            before += piece
            continue
        if adjacent and not before and _VOWEL_AFTER.match(piece):
            words[-1] += piece
            continue
        if before or _WORD.search(piece):
            words.append(before + piece if _WORD.search(piece) else before)
        before, adjacent = "", _WORD.search(piece) is not None
    return [*words, before] if before else words


def plainer(text: str) -> str:
    """Return the text that patterns are matched with: lower case, no accents, plain apostrophes and hyphens."""
    folded = text.translate(LIKE).casefold()
    if folded.isascii():
        return folded
    return "".join(sign for sign in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(sign))


def is_accent(letter: str) -> bool:
    """Return whether a mark is one that copies and spellings of a word may lack: an accent, an Arabic or Hebrew vowel.

    Signs of Indic and South-East Asian scripts and the voicing of Kana are none: without them the word is another. They
    are recognised by their combining classes.
    """
    category = unicodedata.combining(letter)
    return category >= 200 or category == 1 or 10 <= category <= 36
