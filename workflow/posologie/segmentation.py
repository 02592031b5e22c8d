"""Words in every script: runs of letters with their marks, and Unicode text segmentation (UAX #29) by `regex`."""

import unicodedata

import regex

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
    found: list[str] = _RUN.findall(text)
    return found


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
    are told by their combining classes.
    """
    category = unicodedata.combining(letter)
    return category >= 200 or category == 1 or 10 <= category <= 36
