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
import pyarrow as pa
from scipy import sparse
from scipy.optimize import linear_sum_assignment

from posologie.records.tables import TableRows
from posologie.screening.population import Match, Population, place_of
from posologie.screening.quoting import word_hashes
from posologie.screening.shingles import in_blocks, mixed
from posologie.screening.text import normalised

_BITS = 20
"""An n-gram is one of 2^20 columns, by its hash."""
_ITEMS_AT_ONCE = 1024
_SAMPLE = 5000
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


def questions(table: pa.Table) -> list[Question]:
    """Return the questions of a table of items."""
    names = ("question", "context", "answer", "options", "gold")
    columns = list(zip(*(table[name].to_pylist() for name in names), strict=True))
    clean = iter(normalised([text for q, c, a, options, _ in columns for text in (q, c, a, *options)]))
    parsed = []
    for *_, options, gold in columns:
        question, context, answer = next(clean), next(clean), next(clean)
        own = tuple(next(clean) for _ in options)
        stem = " ".join(part for part in (context, question) if part)
        parsed.append(Question(stem, own, frozenset(gold or ()), answer))
    return parsed


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
    if len(words):
        first_letters = np.flatnonzero(~blank & np.r_[True, blank[:-1]])
        with_digit = np.logical_or.reduceat(digit, first_letters)
        word_row = np.repeat(np.arange(len(lines)), np.diff(bounds))
        rows = np.concatenate([rows, word_row[with_digit]])
        columns = np.concatenate([columns, words[with_digit]])
    places = (columns >> np.uint64(64 - _BITS)).astype(np.int64)
    counts = sparse.csr_array((np.ones(len(rows), np.float32), (rows, places)), shape=(len(lines), 1 << _BITS))
    counts.sum_duplicates()
    counts.data = 1 + np.log(counts.data)
    return counts


def column_weights(first: sparse.csr_array, second: sparse.csr_array) -> np.ndarray:
    """Return the weight of each n-gram: its mean inverse document frequency, and little where one side lacks it."""
    sides = [np.bincount(side.indices, minlength=side.shape[1]) for side in (first, second)]
    rarity = [np.log((side.shape[0] + 2) / (held + 1)) for side, held in zip((first, second), sides, strict=True)]
    lacking = (sides[0] == 0) | (sides[1] == 0)
    texts = first.shape[0] + second.shape[0]
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


def cross_lingual_matches(whole: Population, languages: Sequence[str], processes: int = 1) -> list[Match]:
    """Return the pairs of a query and a target of another language that ask the same.

    Args:
        whole: the population.
        languages: code of each item's language, by position; an item whose language is unknown is not compared.
        processes: number of processes; changes no result.
    """
    matches: list[Match] = []
    rows = TableRows(whole.table.select(["question", "context", "answer", "options", "gold"]))
    for asking, targets in foreign_sides(whole, languages):
        for item, other, similarity, same_answer in _search(rows, asking, targets, processes):
            place = place_of(whole, other)
            if item != other and (place == "test" or item >= whole.screened.start):
                matches.append(Match(item, other, place, "cross_lingual", similarity, same_answer))
    return matches


def foreign_sides(whole: Population, languages: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, for each language, the positions of its queries and of the targets in others, each in order of rank."""
    queries = np.array(whole.queries, dtype=np.int64)
    spoken = np.array(languages, dtype=str)
    own = spoken[: whole.targets.stop]
    for language in sorted(set(spoken[queries].tolist()) - {""}):
        asking = queries[spoken[queries] == language]
        targets = np.flatnonzero((own != language) & (own != ""))
        if len(targets) and len(asking):
            yield asking[np.argsort(whole.rank[asking])], targets[np.argsort(whole.rank[targets])]


def _search(
    rows: TableRows, asking: np.ndarray, targets: np.ndarray, processes: int
) -> Iterator[tuple[int, int, float, bool]]:
    """Yield query, target, cosine and whether the answers agree, for each pair that was verified."""
    target_questions = questions(rows.at(targets))
    scale = Scale.of(target_questions, questions(rows.at(asking[:_SAMPLE])))
    theirs = Side.of(target_questions, scale)
    held = np.bincount(theirs.text.indices, minlength=theirs.text.shape[1])
    finding = held <= max(_RARELY, _COMMON * len(targets))
    index = theirs.text.copy()
    index.data = index.data * finding[index.indices]
    index.eliminate_zeros()
    known = Known(theirs, theirs.details(np.arange(len(target_questions))), index.T.tocsr())
    blocks = [asking[first : first + _ITEMS_AT_ONCE] for first in range(0, len(asking), _ITEMS_AT_ONCE)]
    results = in_blocks(known.pairs_of, (rows.at(block) for block in blocks), len(blocks), processes)
    for block, pairs in zip(blocks, results, strict=True):
        for query, target, cosine, agree in pairs:
            yield int(block[query]), int(targets[target]), cosine, agree


@dataclass(frozen=True, slots=True)
class Scale:
    """Weights of the n-grams of whole texts (5 characters), stems (4) and options (3)."""

    text: np.ndarray
    stem: np.ndarray
    option: np.ndarray

    @classmethod
    def of(cls, targets: Sequence[Question], sample: Sequence[Question]) -> "Scale":
        """Return the weights for two sides."""
        sides = (targets, sample)
        return cls(
            text=column_weights(*(gram_counts([question.text for question in side], 5) for side in sides)),
            stem=column_weights(*(gram_counts([question.stem for question in side], 4) for side in sides)),
            option=column_weights(
                *(gram_counts([text for question in side for text in question.choices], 3) for side in sides)
            ),
        )


@dataclass(frozen=True, slots=True)
class Side:
    """Questions with the weighted n-grams and the lengths of their texts."""

    questions: list[Question]
    scale: Scale
    text: sparse.csr_array
    lengths: np.ndarray

    @classmethod
    def of(cls, questions: list[Question], scale: Scale) -> "Side":
        """Return one side of a comparison."""
        lines = [question.text for question in questions]
        lengths = np.array([max(len(line), 1) for line in lines], dtype=np.float64)
        return cls(questions, scale, weighted(gram_counts(lines, 5), scale.text), lengths)

    def details(self, numbers: np.ndarray) -> "Details":
        """Return what verifies the questions with these numbers, ascending."""
        chosen = [self.questions[number] for number in numbers.tolist()]
        choices = [text for question in chosen for text in question.choices]
        return Details(
            numbers=numbers,
            questions=chosen,
            stem=weighted(gram_counts([question.stem for question in chosen], 4), self.scale.stem),
            option=weighted(gram_counts(choices, 3), self.scale.option),
            first=np.cumsum([0, *(len(question.choices) for question in chosen)]),
            written=[Counter(word for word in question.text.split(" ") if _HAS_DIGIT(word)) for question in chosen],
        )


@dataclass(frozen=True, slots=True)
class Details:
    """What verifies some questions of a side.

    Attributes:
        numbers: of the questions in their side, ascending.
        questions: the questions themselves.
        stem: weighted n-grams of their stems.
        option: weighted n-grams of their choices; question n has the rows `first[n]` to `first[n + 1]`.
        first: bounds of the questions in `option`.
        written: the words with a digit of each.
    """

    numbers: np.ndarray
    questions: list[Question]
    stem: sparse.csr_array
    option: sparse.csr_array
    first: np.ndarray
    written: list[Counter[str]]


@dataclass(frozen=True, slots=True)
class Known:
    """The targets: what each block of queries is compared with.

    Attributes:
        side: the targets.
        details: what verifies them.
        index: their n-grams that find candidates, shape (2^20, targets).
    """

    side: Side
    details: Details
    index: sparse.csr_array

    def pairs_of(self, block: pa.Table) -> list[tuple[int, int, float, bool]]:
        """Return the verified pairs of some queries: number in the block, target, cosine, whether answers agree."""
        ours = Side.of(questions(block), self.side.scale)
        near = (ours.text @ self.index).tocoo()
        close = near.data >= _CANDIDATE
        return list(verified(ours, self, near.coords[0][close], near.coords[1][close]))


def verified(ours: Side, known: Known, query: np.ndarray, target: np.ndarray) -> Iterator[tuple[int, int, float, bool]]:
    """Yield the pairs that ask the same, with the cosine of their texts and whether their answers agree.

    Args:
        ours: queries.
        known: the targets.
        query, target: numbers of the pairs in each.
    """
    theirs = known.side
    order = np.lexsort((target, query))
    query, target = query[order], target[order]
    at_best = sum(WEIGHTS[name] for name in ("options", "as_many_options", "answers_aligned", "key_in_place"))
    cosine = _row_products(ours.text, theirs.text, query, target)
    score = WEIGHTS["constant"] + WEIGHTS["text"] * cosine
    score += WEIGHTS["length"] * np.abs(np.log(ours.lengths[query] / theirs.lengths[target]))
    possible = (cosine >= _CLOSE) & (score + WEIGHTS["numbers"] + WEIGHTS["stem"] + at_best >= 0)
    query, target, cosine, score = query[possible], target[possible], cosine[possible], score[possible]
    own, place = np.unique(query, return_inverse=True)
    details = ours.details(own)
    sides = zip(place.tolist(), target.tolist(), strict=True)
    shared = [_shared(details.written[mine], known.details.written[right]) for mine, right in sides]
    score += WEIGHTS["numbers"] * np.array(shared, dtype=np.float64)
    score += WEIGHTS["stem"] * _row_products(details.stem, known.details.stem, place, target)
    for number in np.flatnonzero(score + at_best >= 0).tolist():
        shape = _shape(details, known.details, int(place[number]), int(target[number]))
        if score[number] + sum(WEIGHTS[name] * value for name, value in shape.items()) >= 0:
            yield (
                int(query[number]),
                int(target[number]),
                min(float(cosine[number]), 1.0),
                bool(shape["answers_aligned"]),
            )


def _row_products(
    left: sparse.csr_array, right: sparse.csr_array, left_rows: np.ndarray, right_rows: np.ndarray
) -> np.ndarray:
    """Return the products of pairs of rows."""
    products = [np.empty(0)]
    for first in range(0, len(left_rows), _PAIRS_AT_ONCE):
        part = slice(first, first + _PAIRS_AT_ONCE)
        products.append(np.asarray(left[left_rows[part]].multiply(right[right_rows[part]]).sum(axis=1)).ravel())
    return np.concatenate(products)


def _cosines(left: sparse.csr_array, right: sparse.csr_array) -> np.ndarray:
    """Return the products of all rows of two small matrices, through the few columns that the first has.

    A sparse product would transpose the second, at the cost of its 2^20 columns.
    """
    columns, place = np.unique(left.indices, return_inverse=True)
    dense = np.zeros((left.shape[0] + right.shape[0], len(columns)), dtype=np.float32)
    dense[np.repeat(np.arange(left.shape[0]), np.diff(left.indptr)), place] = left.data
    at = np.searchsorted(columns, right.indices)
    held = np.flatnonzero(columns[np.minimum(at, len(columns) - 1)] == right.indices) if len(columns) else at[:0]
    rows = np.repeat(np.arange(right.shape[0]), np.diff(right.indptr))
    dense[left.shape[0] + rows[held], at[held]] = right.data[held]
    products: np.ndarray = dense[: left.shape[0]] @ dense[left.shape[0] :].T
    return products


def _shape(ours: Details, theirs: Details, left: int, right: int) -> dict[str, float]:
    """Return how the options of two questions go together, or their answers where one has none."""
    query, target = ours.questions[left], theirs.questions[right]
    alike = _cosines(
        ours.option[ours.first[left] : ours.first[left + 1]],
        theirs.option[theirs.first[right] : theirs.first[right + 1]],
    )
    if not query.options or not target.options:
        right_ones = alike[sorted(query.gold) if query.options else [0]][
            :, sorted(target.gold) if target.options else [0]
        ]
        most = float(right_ones.max(initial=0.0))
        both_open = not query.options and not target.options
        return {"options": most, "as_many_options": float(both_open), "answers_aligned": float(most >= _SAME_ANSWER)}
    in_place = alike + 1e-3 * np.eye(*alike.shape)  # options that share nothing stay in their places
    rows, columns = linear_sum_assignment(-in_place)
    aligned = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    return {
        "options": float(alike[rows, columns].sum() / max(alike.shape)),
        "as_many_options": float(alike.shape[0] == alike.shape[1]),
        "answers_aligned": float({aligned.get(number, -1) for number in query.gold} == target.gold),
        "key_in_place": float(query.gold == target.gold),
    }


def _shared(a: Counter[str], b: Counter[str]) -> float:
    """Return the share of numbers that two texts have in common, among all that they have."""
    common = (a & b).total()
    return common / max(a.total() + b.total() - common, 1)
