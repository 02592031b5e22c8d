"""What a word is: how texts are cut for ROUGE, METEOR and counts of words."""

import unicodedata
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import Any

import regex
from sacrebleu.metrics import BLEU

from posologie.errors import InputError
from posologie.scoring.spec import DICTIONARIES, Normalization, Words, missing_packages
from posologie.segmentation import runs, unicode_words

_WIDTH = regex.compile(r"\p{Block=Halfwidth_and_Fullwidth_Forms}+")
_WORD = regex.compile(r"[\p{L}\p{N}]")


@cache
def word_splitter(kind: Words, form: Normalization) -> Callable[[str], list[str]]:
    """Return the function that cuts a text into its words, in lower case, accents and vowel signs kept.

    - `runs` and `unicode`: those of `posologie.segmentation`. (rouge-score's own tokenizer drops every accented letter,
      which cuts French words in pieces; PAPER, section 5.)
    - `ja-mecab` and `ko-mecab`: the words of sacreBLEU's tokenizers.

    Args:
        form: what texts are put in first: `NFC`, or `width`, which also makes full-width and half-width forms ordinary.
    """
    if kind == "runs":
        return lambda text: runs(_plain(text, form))
    if kind == "unicode":
        return lambda text: unicode_words(_plain(text, form))
    tokenizer = _tokenizer(kind)
    return lambda text: list(filter(_WORD.search, tokenizer(_plain(text, form)).split()))


def words_signature(kind: Words, form: Normalization) -> str:
    """Return how words were found: kind or dictionary, form where it is not NFC, library and version."""
    library = "sacrebleu" if kind in DICTIONARIES else "regex"
    named = {"runs": "runs", "unicode": "unicode,no-dictionary"}.get(kind) or _tokenizer(kind).signature()
    return f"words:{named}" + (f"|form:{form}" if form != "NFC" else "") + f"|{library}:{version(library)}"


def _plain(text: str, form: Normalization) -> str:
    """Return a text in NFC and in lower case. Whole NFKC would also make 10⁶ the same as 106."""
    if form == "width":
        text = _WIDTH.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    return unicodedata.normalize("NFC", text).lower()


@cache
def _tokenizer(kind: Words) -> Any:
    """Return sacreBLEU's tokenizer that has a dictionary."""
    try:
        return BLEU(tokenize=kind).tokenizer
    except RuntimeError as error:
        raise InputError(f"scoring.text.words = '{kind}': {missing_packages(kind)}") from error
