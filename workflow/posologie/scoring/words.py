"""What a word is: how texts are cut for ROUGE, METEOR and counts of words."""

import unicodedata
from collections.abc import Callable
from functools import cache
from importlib.metadata import version

import regex
from sacrebleu.metrics import BLEU

from posologie.errors import InputError
from posologie.scoring.spec import DICTIONARIES, Normalization, Words, missing_packages

_RUN = regex.compile(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}\u200c\u200d]*")
_BORDER = regex.compile(r"(?wV1)\b")
_WORD = regex.compile(r"[\p{L}\p{N}]")
_WIDTH = regex.compile(r"\p{Block=Halfwidth_and_Fullwidth_Forms}+")
_VOWEL_AFTER = regex.compile(r"\p{Grapheme_Cluster_Break=SpacingMark}")
_VOWEL_BEFORE = regex.compile(r"\p{Logical_Order_Exception}+")


@cache
def word_splitter(kind: Words, form: Normalization) -> Callable[[str], list[str]]:
    """Return the function that cuts a text into its words, in lower case, accents and vowel signs kept.

    - `runs`: letters and digits with their marks. An elided article is a word of its own: `l'œdème` → `l`, `œdème`.
      (rouge-score's own tokenizer drops every accented letter, which cuts French words in pieces; PAPER, section 5.)
    - `unicode`: Unicode text segmentation (UAX #29) by `regex`. A number such as `3,5` is one word. In scripts without
      spaces, of which it has no dictionary, each Han or Hiragana character, each run of Katakana, and each Thai, Lao,
      Khmer or Burmese character with its marks and the vowels written before it is a word.
    - `ja-mecab` and `ko-mecab`: the words of sacreBLEU's tokenizers.

    Args:
        form: what texts are put in first: `NFC`, or `width`, which also makes full-width and half-width forms ordinary.
    """
    if kind == "runs":
        return lambda text: _RUN.findall(_plain(text, form))
    if kind == "unicode":
        return lambda text: _unicode_words(_plain(text, form))
    tokenize = _dictionary(kind)
    return lambda text: list(filter(_WORD.search, tokenize(_plain(text, form)).split()))


def words_signature(kind: Words, form: Normalization) -> str:
    """Return how words were found: kind, Unicode form where it is not NFC, library and version."""
    library = "sacrebleu" if kind in DICTIONARIES else "regex"
    return (
        f"words:{kind}"
        + (",no-dictionary" if kind == "unicode" else "")
        + (f"|form:{form}" if form != "NFC" else "")
        + f"|{library}:{version(library)}"
    )


def _plain(text: str, form: Normalization) -> str:
    """Return a text in NFC and in lower case. Whole NFKC would also make 10⁶ the same as 106."""
    if form == "width":
        text = _WIDTH.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    return unicodedata.normalize("NFC", text).lower()


def _unicode_words(text: str) -> list[str]:
    """Return the words of a text by UAX #29, no character of Thai or Lao parted from its vowels before and after it."""
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


def _dictionary(kind: str) -> Callable[[str], str]:
    try:
        tokenize: Callable[[str], str] = BLEU(tokenize=kind).tokenizer
    except RuntimeError as error:
        raise InputError(f"scoring.text.words = '{kind}': {missing_packages(kind)}") from error
    return tokenize
