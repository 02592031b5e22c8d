"""The same question in another language, without a model: what translations leave alike.

Words of medicine share their stems between languages, numbers and the form of the options stay. Texts are compared by
the character n-grams of their words and by their numbers, weighted by how rare they are on both sides, in sparse
products. Pairs that are close are verified by their stems, their options, each aligned with one of the other's, and by
the right answer. N-grams that one language alone has weigh little: they are its grammar.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment

from posologie.rows import TableRows
from posologie.screening.matching import Match, place_of
from posologie.screening.population import Population
from posologie.screening.quoting import word_hashes
from posologie.screening.shingles import mixed
from posologie.screening.text import normalised

_BITS = 20
"""An n-gram is one of 2^20 columns, by its hash."""
_ITEMS_AT_ONCE = 1024
_SAMPLE = 20_000
"""Queries by which the weights are estimated."""
_COMMON = 0.01
_RARELY = 60
"""An n-gram finds candidates if at most 1 % of the targets have it, or at most 60."""
_CANDIDATE, _CLOSE = 0.08, 0.2
"""Cosine of the n-grams that find candidates, and of all, from which a pair is verified."""
_FEW = 2
"""With so few texts, an n-gram that one side lacks says half as much as one that both have."""
_PAIRS_AT_ONCE = 1 << 14
_SAME_ANSWER = 0.3
"""Cosine of the n-grams from which two open answers are one."""
_HAS_DIGIT = re.compile(r"\d").search
_BLANK, _ZERO, _NINE = ord(" "), ord("0"), ord("9")

WEIGHTS = {
    "text": 8.0,
    "stem": 9.0,
    "options": 5.5,
    "as_many_options": 1.0,
    "answers_aligned": 2.8,
    "key_in_place": 1.4,
    "numbers": 4.4,
    "length": -6.3,
    "constant": -12.0,
}
"""Logistic regression of being the same question, the rounded means of three fits on public parallel questions
(`tests/benchmarks/screening_languages.py`): English with Spanish, English with French, French with Spanish."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is compared of an item: normalised texts, options in their order, and the positions of the right ones."""

    stem: str
    options: tuple[str, ...]
    gold: frozenset[int]
    answer: str

    @property
    def choices(self) -> tuple[str, ...]:
        """Return the options, or the reference text of an open question."""
        return self.options or (self.answer,)

    @property
    def text(self) -> str:
        """Return all that is asked."""
        return " ".join(part for part in (self.stem, *self.options, self.answer) if part)


def questions(rows: TableRows, positions: np.ndarray) -> list[Question]:
    """Return the questions at some positions of a table of items."""
    table = rows.at(positions)
    names = ("question", "context", "answer", "options", "gold")
    columns = list(zip(*(table[name].to_pylist() for name in names), strict=True))
    clean = iter(normalised([text for q, c, a, options, _ in columns for text in (q, c, a, *options)]))
    found = []
    for *_, options, gold in columns:
        question, context, answer = next(clean), next(clean), next(clean)
        own = tuple(next(clean) for _ in options)
        stem = " ".join(part for part in (context, question) if part)
        found.append(Question(stem, own, frozenset(gold or ()), answer))
    return found


def gram_counts(lines: Sequence[str], width: int) -> sparse.csr_array:
    """Return how often each text has each n-gram of its words, and each word with a digit, shape (texts, 2^20).

    An n-gram lies inside a word and one blank on either side of it. Counts are damped: 1 + their logarithm.
    """
    joined = " ".join(["", *(f"{line} " for line in lines)])  # a blank at both ends of each text, two between texts
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    lengths = np.array([len(line) + 2 for line in lines], dtype=np.int64)
    row_of = np.repeat(np.arange(len(lines)), lengths) if len(lines) else np.empty(0, np.int64)
    codes = codes[: len(row_of)]
    digit = (codes >= _ZERO) & (codes <= _NINE)
    blank = codes == _BLANK
    count = max(len(codes) - width + 1, 0)
    hashes = np.zeros(count, dtype=np.uint64)
    usable = np.ones(count, dtype=bool)
    for offset in range(width):
        part = slice(offset, offset + count)
        hashes = hashes * np.uint64(0x100000001B3) + codes[part]
        usable &= ~digit[part]
        if 0 < offset < width - 1:
            usable &= ~blank[part]
    usable &= row_of[:count] == row_of[width - 1 : width - 1 + count] if count else usable
    rows, columns = row_of[:count][usable], mixed(hashes[usable])
    words, bounds = word_hashes(lines)
    each_word = (word for line in lines if line for word in line.split(" "))
    with_digit = np.array([_HAS_DIGIT(word) is not None for word in each_word], dtype=bool)
    word_row = np.repeat(np.arange(len(lines)), np.diff(bounds))
    if len(words):
        rows = np.concatenate([rows, word_row[with_digit]])
        columns = np.concatenate([columns, words[with_digit]])
    places = (columns >> np.uint64(64 - _BITS)).astype(np.int64)
    counts = sparse.csr_array((np.ones(len(rows), np.float32), (rows, places)), shape=(len(lines), 1 << _BITS))
    counts.sum_duplicates()
    counts.data = 1 + np.log(counts.data)
    return counts


def column_weights(one: sparse.csr_array, other: sparse.csr_array) -> np.ndarray:
    """Return the weight of each n-gram: its mean inverse document frequency, and little where one side lacks it."""
    sides = [np.bincount(side.indices, minlength=side.shape[1]) for side in (one, other)]
    rarity = [np.log((side.shape[0] + 2) / (held + 1)) for side, held in zip((one, other), sides, strict=True)]
    lacking = (sides[0] == 0) | (sides[1] == 0)
    texts = one.shape[0] + other.shape[0]
    weights: np.ndarray = (rarity[0] + rarity[1]) / 2 * np.where(lacking, _FEW / (_FEW + texts), 1.0)
    return weights.astype(np.float32)


def weighted(counts: sparse.csr_array, weights: np.ndarray) -> sparse.csr_array:
    """Return the rows by these weights of their columns, with length one."""
    held = counts.copy()
    held.data = counts.data * weights[counts.indices]
    squares = np.add.reduceat(np.r_[held.data**2, 0.0], held.indptr[:-1]) if held.shape[0] else np.empty(0)
    lengths = np.sqrt(np.where(np.diff(held.indptr) > 0, squares, 1.0))
    held.data = held.data / np.repeat(np.maximum(lengths, 1e-9), np.diff(held.indptr)).astype(np.float32)
    return held


def cross_lingual_matches(whole: Population, languages: Sequence[str]) -> list[Match]:
    """Return the pairs of a query and a target of another language that ask the same.

    Args:
        whole: the population.
        languages: code of each item's language, by position; an item whose language is unknown is not compared.
    """
    found: list[Match] = []
    rows = TableRows(whole.table.select(["question", "context", "answer", "options", "gold"]))
    for asking, targets in foreign_sides(whole, languages):
        for item, other, similarity, same_answer in _search(rows, asking, targets):
            place = place_of(whole, other)
            if item != other and (place == "test" or item >= whole.screened.start):
                found.append(Match(item, other, place, "cross_lingual", similarity, same_answer))
    return found


def foreign_sides(whole: Population, languages: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, for each language, the positions of its queries in the order of rank, and of the targets in others."""
    queries = np.array(whole.queries, dtype=np.int64)
    spoken = np.array(languages, dtype=str)
    own = spoken[: whole.targets.stop]
    for language in sorted(set(spoken[queries].tolist()) - {""}):
        asking = queries[spoken[queries] == language]
        targets = np.flatnonzero((own != language) & (own != ""))
        if len(targets) and len(asking):
            yield asking[np.argsort(whole.rank[asking])], targets


def _search(rows: TableRows, asking: np.ndarray, targets: np.ndarray) -> Iterator[tuple[int, int, float, bool]]:
    """Yield query, target, cosine and whether the answers agree, for each pair that was verified."""
    asked = questions(rows, targets)
    sample = questions(rows, asking[:_SAMPLE])
    scale = Scale.of(asked, sample)
    theirs = Side.of(asked, scale)
    held = np.bincount(theirs.text.indices, minlength=theirs.text.shape[1])
    finding = held <= max(_RARELY, _COMMON * len(targets))
    index = theirs.text.copy()
    index.data = index.data * finding[index.indices]
    index.eliminate_zeros()
    index = index.T.tocsr()
    for first in range(0, len(asking), _ITEMS_AT_ONCE):
        block = asking[first : first + _ITEMS_AT_ONCE]
        ours = Side.of(questions(rows, block), scale)
        near = (ours.text @ index).tocoo()
        close = near.data >= _CANDIDATE
        for one, other, cosine, agree in verified(ours, theirs, near.coords[0][close], near.coords[1][close]):
            yield int(block[one]), int(targets[other]), cosine, agree


@dataclass(frozen=True, slots=True)
class Scale:
    """Weights of the n-grams of whole texts (5 characters), stems (4) and options (3)."""

    text: np.ndarray
    stem: np.ndarray
    option: np.ndarray

    @classmethod
    def of(cls, asked: Sequence[Question], sample: Sequence[Question]) -> "Scale":
        """Return the weights for two sides."""
        sides = (asked, sample)
        return cls(
            text=column_weights(*(gram_counts([one.text for one in side], 5) for side in sides)),
            stem=column_weights(*(gram_counts([one.stem for one in side], 4) for side in sides)),
            option=column_weights(*(gram_counts([text for one in side for text in one.choices], 3) for side in sides)),
        )


@dataclass(frozen=True, slots=True)
class Side:
    """Questions with their weighted n-grams; question n has the rows `first[n]` to `first[n + 1]` of `option`."""

    questions: list[Question]
    text: sparse.csr_array
    stem: sparse.csr_array
    option: sparse.csr_array
    first: np.ndarray
    numbers: list[Counter[str]]
    lengths: np.ndarray

    @classmethod
    def of(cls, questions: list[Question], scale: Scale) -> "Side":
        """Return one side of a comparison."""
        return cls(
            questions=questions,
            text=weighted(gram_counts([one.text for one in questions], 5), scale.text),
            stem=weighted(gram_counts([one.stem for one in questions], 4), scale.stem),
            option=weighted(gram_counts([text for one in questions for text in one.choices], 3), scale.option),
            first=np.cumsum([0, *(len(one.choices) for one in questions)]),
            numbers=[Counter(word for word in one.text.split(" ") if _HAS_DIGIT(word)) for one in questions],
            lengths=np.array([max(len(one.text), 1) for one in questions], dtype=np.float64),
        )


def verified(ours: Side, theirs: Side, one: np.ndarray, other: np.ndarray) -> Iterator[tuple[int, int, float, bool]]:
    """Yield the pairs that ask the same, with the cosine of their texts and whether their answers agree.

    Args:
        ours, theirs: the sides.
        one, other: numbers of the pairs in each.
    """
    order = np.lexsort((other, one))
    one, other = one[order], other[order]
    at_best = sum(WEIGHTS[name] for name in ("options", "as_many_options", "answers_aligned", "key_in_place"))
    cosine = _row_products(ours.text, theirs.text, one, other)
    close = cosine >= _CLOSE
    one, other, cosine = one[close], other[close], cosine[close]
    score = WEIGHTS["constant"] + WEIGHTS["text"] * cosine
    score += WEIGHTS["length"] * np.abs(np.log(ours.lengths[one] / theirs.lengths[other]))
    possible = score + WEIGHTS["numbers"] + WEIGHTS["stem"] + at_best >= 0
    one, other, cosine, score = one[possible], other[possible], cosine[possible], score[possible]
    sides = zip(one.tolist(), other.tolist(), strict=True)
    shared = [_shared(ours.numbers[left], theirs.numbers[right]) for left, right in sides]
    score += WEIGHTS["numbers"] * np.array(shared, dtype=np.float64)
    score += WEIGHTS["stem"] * _row_products(ours.stem, theirs.stem, one, other)
    for number in np.flatnonzero(score + at_best >= 0).tolist():
        left, right = int(one[number]), int(other[number])
        shape = _shape(ours, theirs, left, right)
        if score[number] + sum(WEIGHTS[name] * value for name, value in shape.items()) >= 0:
            yield left, right, min(float(cosine[number]), 1.0), bool(shape["answers_aligned"])


def _row_products(left: sparse.csr_array, right: sparse.csr_array, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the products of pairs of rows."""
    found = [np.empty(0)]
    for first in range(0, len(one), _PAIRS_AT_ONCE):
        part = slice(first, first + _PAIRS_AT_ONCE)
        found.append(np.asarray(left[one[part]].multiply(right[other[part]]).sum(axis=1)).ravel())
    return np.concatenate(found)


def _shape(ours: Side, theirs: Side, left: int, right: int) -> dict[str, float]:
    """Return how the options of two questions go together, or their answers where one has none."""
    one, other = ours.questions[left], theirs.questions[right]
    alike = (
        ours.option[ours.first[left] : ours.first[left + 1]]
        @ theirs.option[theirs.first[right] : theirs.first[right + 1]].T
    ).toarray()
    if not one.options or not other.options:
        right_ones = alike[sorted(one.gold) if one.options else [0]][:, sorted(other.gold) if other.options else [0]]
        most = float(right_ones.max(initial=0.0))
        both_open = not one.options and not other.options
        return {"options": most, "as_many_options": float(both_open), "answers_aligned": float(most >= _SAME_ANSWER)}
    in_place = alike + 1e-3 * np.eye(*alike.shape)  # options that share nothing stay in their places
    rows, columns = linear_sum_assignment(-in_place)
    aligned = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    return {
        "options": float(alike[rows, columns].sum() / max(alike.shape)),
        "as_many_options": float(alike.shape[0] == alike.shape[1]),
        "answers_aligned": float({aligned.get(number, -1) for number in one.gold} == other.gold),
        "key_in_place": float(one.gold == other.gold),
    }


def _shared(one: Counter[str], other: Counter[str]) -> float:
    """Return the share of numbers that two texts have in common, among all that they have."""
    common = (one & other).total()
    return common / max(one.total() + other.total() - common, 1)
