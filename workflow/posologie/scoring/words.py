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
_VOWEL_BEFORE = regex.compile(r"\p{Logical_Order_Exception}+")


@cache
def word_splitter(kind: Words, form: Normalization) -> Callable[[str], list[str]]:
    """Return the function that cuts a text into its words, in lower case, accents and vowel signs kept.

    - `runs`: letters and digits with their marks. An elided article is a word of its own: `l'œdème` → `l`, `œdème`.
      (rouge-score's own tokenizer drops every accented letter, which cuts French words in pieces; PAPER, section 5.)
    - `unicode`: Unicode text segmentation (UAX #29) by `regex`. A number such as `3,5` is one word. In scripts without
      spaces, of which it has no dictionary, each Han or Hiragana character, each run of Katakana, and each Thai, Lao,
      Khmer or Burmese character with its marks and the vowel written before it is a word.
    - `ja-mecab` and `ko-mecab`: the words of sacreBLEU's tokenizers.

    Args:
        form: the Unicode form that texts are put in first.
    """
    if kind == "runs":
        return lambda text: _RUN.findall(unicodedata.normalize(form, text).lower())
    if kind == "unicode":
        return lambda text: _unicode_words(unicodedata.normalize(form, text).lower())
    tokenize = _dictionary(kind)
    return lambda text: list(filter(_WORD.search, tokenize(unicodedata.normalize(form, text).lower()).split()))


def words_signature(kind: Words, form: Normalization) -> str:
    """Return how words were found: kind, Unicode form where it is not NFC, library and version."""
    library = "sacrebleu" if kind in DICTIONARIES else "regex"
    named = {"unicode": "uax29,no-dictionary"}.get(kind, kind)
    return f"words:{named}" + (f"|form:{form}" if form != "NFC" else "") + f"|{library}:{version(library)}"


def _unicode_words(text: str) -> list[str]:
    words: list[str] = []
    before = ""
    for piece in _BORDER.split(text):
        if _VOWEL_BEFORE.fullmatch(piece):  # Thai and Lao write some vowels before their consonant
            before += piece
        elif _WORD.search(piece):
            words.append(before + piece)
            before = ""
        elif before:
            words.append(before)
            before = ""
    return [*words, before] if before else words


def _dictionary(kind: str) -> Callable[[str], str]:
    try:
        tokenize: Callable[[str], str] = BLEU(tokenize=kind).tokenizer
    except RuntimeError as error:
        raise InputError(f"scoring.text.words = '{kind}': {missing_packages(kind)}") from error
    return tokenize
