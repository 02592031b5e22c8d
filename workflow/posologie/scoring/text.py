"""Scores of open answers against their references, and how words are counted for them."""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Any

import regex
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.stem.snowball import SnowballStemmer
from nltk.translate.meteor_score import single_meteor_score
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer
from sacrebleu.metrics import BLEU, CHRF

from posologie.language.languages import runs, unicode_words
from posologie.running.errors import InputError
from posologie.scoring.spec import DICTIONARIES, Normalization, TextMetrics, Words, missing_packages

_WIDTH = regex.compile(r"\p{Block=Halfwidth_and_Fullwidth_Forms}+")
_WORD = regex.compile(r"[\p{L}\p{N}]")


@cache
def word_splitter(kind: Words, form: Normalization) -> Callable[[str], list[str]]:
    """Return the function that cuts a text into its words, in lower case, accents and vowel signs kept.

    - `runs` and `unicode`: those of `posologie.language.languages`. (rouge-score's own tokenizer drops every accented
      letter, which cuts French words in pieces; PAPER, section 5.)
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
        text = _WIDTH.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    return unicodedata.normalize("NFC", text).lower()


@cache
def _tokenizer(kind: Words) -> Any:
    """Return sacreBLEU's tokenizer that has a dictionary."""
    try:
        return BLEU(tokenize=kind).tokenizer
    except RuntimeError as error:
        raise InputError(f"scoring.text.words = '{kind}': {missing_packages(kind)}") from error


ORDERS_OF_BLEU, ORDERS_OF_CHRF = 4, 6


class _Words(Tokenizer):  # type: ignore[misc]  # rouge-score has no types
    def __init__(self, settings: TextMetrics) -> None:
        self._words = word_splitter(settings.words, settings.normalization)

    def tokenize(self, text: str) -> list[str]:
        return self._words(text)


class _Stemmer:
    """A stemmer that remembers the stems of the words it has seen."""

    def __init__(self, language: str) -> None:
        self.stem = str if language == "none" else lru_cache(maxsize=1 << 18)(SnowballStemmer(language).stem)


class _NoSynonyms:
    """Stands where nltk expects a WordNet reader, and knows no synonym."""

    def synsets(self, word: str) -> tuple[()]:
        return ()


def _wordnet(folder: str | None) -> Any:
    if folder is None:
        return _NoSynonyms()
    try:
        return WordNetCorpusReader(folder, None)
    except (OSError, LookupError) as error:
        raise InputError(f"text.wordnet = '{folder}': expected a folder with the files of English WordNet 3") from error


@cache
def text_scorer(settings: TextMetrics) -> Callable[[str, str], dict[str, float]]:
    """Return the function that scores one answer: (answer, reference) → metric → value.

    Metrics: `bleu` (sentence BLEU with effective order and exponential smoothing; Papineni et al. 2002, Chen and
    Cherry 2014), `chrf` (Popović 2015), `rouge1`, `rouge2`, `rougeL` (F1; Lin 2004), `meteor` (Banerjee and Lavie 2005:
    exact and stem matches), each between 0 and 1; `words` of the answer and `reference_words`, counts; and the sums
    behind corpus BLEU (`bleu:…`) and corpus chrF (`chrf:…`).
    """
    bleu, chrf, rouge = _scorers(settings)
    words = word_splitter(settings.words, settings.normalization)
    stemmer, wordnet = _Stemmer(settings.stemmer), _wordnet(settings.wordnet)

    def score(answer: str, reference: str) -> dict[str, float]:
        values: dict[str, float] = {}
        sentence = bleu.sentence_score(answer, [reference])
        values["bleu"] = sentence.score / 100
        values["bleu:answer"], values["bleu:reference"] = sentence.sys_len, sentence.ref_len
        for order in range(ORDERS_OF_BLEU):
            values[f"bleu:match_{order + 1}"] = sentence.counts[order]
            values[f"bleu:total_{order + 1}"] = sentence.totals[order]
        # The counts that chrF's own sentence and corpus scores are made of; sacreBLEU has no public name for them.
        counts = chrf._extract_corpus_statistics([answer], [[reference]])[0]
        values["chrf"] = chrf._compute_score_from_stats(counts).score / 100
        for order in range(ORDERS_OF_CHRF):
            for place, part in enumerate(("answer", "reference", "match")):
                values[f"chrf:{part}_{order + 1}"] = counts[3 * order + place]
        for name, parts in rouge.score(reference, answer).items():
            values[name] = parts.fmeasure
        answer_words, reference_words = words(answer), words(reference)
        values["rougeL"] = _f1(longest_common(answer_words, reference_words), len(answer_words), len(reference_words))
        values["meteor"] = single_meteor_score(
            reference_words, answer_words, preprocess=str, stemmer=stemmer, wordnet=wordnet
        )
        values["words"], values["reference_words"] = len(answer_words), len(reference_words)
        return values

    return score


def longest_common(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest common subsequence of two lists of words.

    By the bits of whole numbers (Hyyrö 2004), which takes hundredths of the time of rouge-score's own table: that one
    makes ROUGE-L of two texts of 4,000 words take seconds.
    """
    places: dict[str, int] = {}
    for number, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << number
    whole = (1 << len(first)) - 1
    row = whole
    for word in second:
        matches = row & places.get(word, 0)
        row = (row + matches | row - matches) & whole
    return len(first) - row.bit_count()


def _f1(common: int, answer: int, reference: int) -> float:
    """Return F1 as rouge-score computes it, from the numbers of words in common, of the answer and of the reference."""
    if not common:
        return 0.0
    precision, recall = common / answer, common / reference
    return 2 * precision * recall / (precision + recall)


def text_signatures(settings: TextMetrics, metrics: Iterable[str]) -> dict[str, str]:
    """Return how each metric was computed: settings, tokenizer, library and version."""
    bleu, chrf, _ = _scorers(settings)
    bleu.sentence_score("a", ["a"])  # sacreBLEU knows the number of references only once it has scored
    chrf.sentence_score("a", ["a"])
    words = words_signature(settings.words, settings.normalization)
    synonyms = "english" if settings.wordnet else "none"
    of_family = {
        "bleu": f"sentence|{bleu.get_signature()}",
        "chrf": f"sentence|{chrf.get_signature()}",
        "meteor": f"{words}|stem:{settings.stemmer}|synonyms:{synonyms}|nltk:{version('nltk')}",
        "words": words,
        "reference_words": words,
    } | {name: f"f1|{words}|rouge-score:{version('rouge-score')}" for name in ("rouge1", "rouge2", "rougeL")}
    signatures = {}
    for metric in metrics:
        family, colon, _ = metric.partition(":")
        signatures[metric] = of_family[family].replace("sentence|", "sums|") if colon else of_family[family]
    return signatures


def _scorers(settings: TextMetrics) -> tuple[BLEU, CHRF, RougeScorer]:
    try:
        bleu = BLEU(effective_order=True, tokenize=settings.bleu_tokenizer)
    except (RuntimeError, ImportError, OSError) as error:  # no package, or no network for the tokenizer's model
        lacking = missing_packages(settings.bleu_tokenizer) or f"its model cannot be fetched ({error})"
        raise InputError(f"scoring.text.bleu_tokenizer = '{settings.bleu_tokenizer}': {lacking}") from error
    return (
        bleu,
        CHRF(char_order=ORDERS_OF_CHRF),
        RougeScorer(["rouge1", "rouge2"], tokenizer=_Words(settings)),
    )
