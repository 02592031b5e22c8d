"""Containment: tested questions that a longer text quotes, by word n-grams.

A text quotes a question if it has enough of the question's words in n-grams that it shares with it. N-grams that many
tested questions share (instructions, boilerplate) do not count. The measure is the coverage used for the
decontamination of instruction data, with n = 13 as in Brown et al., "Language models are few-shot learners" (2020),
appendix C; shorter questions count as one n-gram, and only together with their right answer. In scripts that write no
spaces between words, such as Chinese and Thai, each character stands for a word, and half a one where lengths count.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import regex

from posologie.records.tables import TableRows
from posologie.screening.population import Match, Population, place_of
from posologie.screening.shingles import mixed
from posologie.screening.text import Text, texts

_LEAST_WORDS = 8
"""Words of the shortest question that is looked for."""
_BOILERPLATE = 5
"""Different tested questions above which a shared n-gram identifies none of them."""
_TABLE_BITS = 24
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_BLANK = ord(" ")
_ITEMS_AT_ONCE = 4096
_WITHOUT_SPACES = regex.compile(r"(?V1)([\p{Han}\p{Hiragana}\p{Katakana}[\p{Line_Break=SA}--\p{M}]]\p{M}*) ?")
_COLUMNS = ["question", "context", "answer", "options", "gold"]


@dataclass(frozen=True, slots=True)
class Quotable:
    """The n-grams of the tested questions.

    Attributes:
        hashes: different hashes, ascending, uint64 (n-grams).
        sizes: words of an n-gram that are looked for, ascending.
        gram, target, start, size: for each occurrence its n-gram, the position of the target in the population, the
            number of its first word and the number of its words; by n-gram.
        words: for each target, by position, how many of its words are in an n-gram.
    """

    hashes: np.ndarray
    sizes: tuple[int, ...]
    gram: np.ndarray
    target: np.ndarray
    start: np.ndarray
    size: np.ndarray
    words: np.ndarray

    def table(self) -> np.ndarray:
        """Return truth values by the low bits of a hash: most n-grams of other texts are ruled out by one look."""
        mask = np.zeros(1 << _TABLE_BITS, dtype=bool)
        mask[self.hashes & np.uint64((1 << _TABLE_BITS) - 1)] = True
        return mask


def spaced(line: str) -> str:
    """Return a normalised text with a blank after each character of a script that writes none between words."""
    if line.isascii() or not _WITHOUT_SPACES.search(line):
        return line
    return " ".join(_WITHOUT_SPACES.sub(r" \1 ", line).split())


def word_hashes(lines: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Hash the words of normalised texts.

    Returns:
        Hashes of all words in a row, uint64; and the bounds of the texts in it, int64 (texts + 1).
    """
    counts = [line.count(" ") + 1 if line else 0 for line in lines]
    bounds = np.zeros(len(lines) + 1, dtype=np.int64)
    np.cumsum(counts, out=bounds[1:])
    joined = " ".join(line for line in lines if line)
    if not joined:
        return np.empty(0, np.uint64), bounds
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    blank = codes == _BLANK
    starts = np.r_[0, np.flatnonzero(blank) + 1]
    place = np.arange(len(codes)) - np.repeat(starts, np.diff(np.r_[starts, len(codes)]))
    values = mixed(codes.astype(np.uint64) + place.astype(np.uint64) * _FACTOR)
    values[blank] = 0
    return mixed(np.add.reduceat(values, starts)), bounds


def gram_hashes(words: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """Return, for each size, the hash of the n-gram that begins at each word; n-grams run on into the next text."""
    longest = max(sizes, default=0)
    padded = np.concatenate([words, np.zeros(longest, np.uint64)])
    total = np.zeros(len(words), dtype=np.uint64)
    factor = np.uint64(1)
    hashes = []
    for offset in range(longest):
        total += padded[offset : offset + len(words)] * factor
        factor = np.uint64(int(factor) * int(_FACTOR) & 0xFFFFFFFFFFFFFFFF)
        if offset + 1 in sizes:
            hashes.append(mixed(total + np.uint64(offset + 1)))
    return hashes


def quotable(whole: Population, size: int) -> Quotable:
    """Return the n-grams of all targets' questions, their contexts before them."""
    rows = TableRows(whole.table.select(_COLUMNS))
    positions = np.arange(whole.targets.stop)
    lines: list[str] = []
    for first in range(0, len(positions), _ITEMS_AT_ONCE):
        lines += [_stem(text) for text in texts(rows.at(positions[first : first + _ITEMS_AT_ONCE]))]
    words, bounds = word_hashes(lines)
    lengths = np.diff(bounds)
    sizes = tuple(sorted({min(int(length), size) for length in lengths if length >= min(_LEAST_WORDS, size)}))
    target = np.repeat(positions, lengths)
    start = np.arange(len(words)) - np.repeat(bounds[:-1], lengths)
    parts = []
    for own, hashes in zip(sizes, gram_hashes(words, sizes), strict=True):
        whole_only = own < size
        inside = start + own <= lengths[target]
        chosen = inside & (lengths[target] == own) if whole_only else inside
        parts.append((hashes[chosen], target[chosen], start[chosen], np.full(int(chosen.sum()), own)))
    if not parts:
        nothing = np.empty(0, np.int64)
        parts = [(np.empty(0, np.uint64), nothing, nothing, nothing)]
    hashes, target, start, length = (np.concatenate(column) for column in zip(*parts, strict=True))
    numbers: dict[str, int] = {}
    stems = np.array([numbers.setdefault(line, len(numbers)) for line in lines], dtype=np.int64)
    different, gram = np.unique(hashes, return_inverse=True)
    in_stem = np.unique(np.stack([gram, stems[target]], axis=1), axis=0)
    telling = np.bincount(in_stem[:, 0], minlength=len(different)) <= _BOILERPLATE
    is_telling = telling[gram]
    number = np.cumsum(telling) - 1
    gram, target, start, length = number[gram[is_telling]], target[is_telling], start[is_telling], length[is_telling]
    order = np.lexsort((start, target, gram))
    gram, target, start, length = gram[order], target[order], start[order], length[order]
    covered = np.zeros(whole.targets.stop, dtype=np.int64)
    pairs, shares = _covered(target, start, length)
    covered[pairs] = shares
    return Quotable(different[telling], sizes, gram, target=target, start=start, size=length, words=covered)


def _stem(text: Text) -> str:
    return spaced(" ".join(field for field in (text.fields[1], text.fields[0]) if field))


def _length(line: str) -> float:
    """Return the number of words of a spaced text; two characters of a script without spaces count as one."""
    return len(line.split()) - len(_WITHOUT_SPACES.findall(line)) / 2


def _covered(pair: np.ndarray, start: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the different pairs, ascending, and how many words the runs of each cover together."""
    if not len(pair):
        return pair, pair
    order = np.lexsort((start, pair))
    pair, start, size = pair[order], start[order], size[order]
    last = np.r_[pair[1:] != pair[:-1], True]
    until_next = np.r_[start[1:] - start[:-1], 0]
    covered = np.where(last, size, np.minimum(size, until_next))
    first = np.flatnonzero(np.r_[True, pair[1:] != pair[:-1]])
    return pair[first], np.add.reduceat(covered, first)


def quotes(lines: Sequence[str], quotable_grams: Quotable, table: np.ndarray) -> np.ndarray:
    """Return which n-grams of tested questions normalised texts have, int64 of shape (hits, 2): text and n-gram."""
    words, bounds = word_hashes([spaced(line) for line in lines])
    text = np.repeat(np.arange(len(lines)), np.diff(bounds))
    remaining = bounds[1:][text] - np.arange(len(words))
    hits = [np.empty((0, 2), np.int64)]
    sizes = quotable_grams.sizes
    for size, hashes in zip(sizes, gram_hashes(words, sizes), strict=True):
        possible = np.flatnonzero(table[hashes & np.uint64((1 << _TABLE_BITS) - 1)] & (remaining >= size))
        place = np.searchsorted(quotable_grams.hashes, hashes[possible])
        place = np.minimum(place, len(quotable_grams.hashes) - 1)
        hit = quotable_grams.hashes[place] == hashes[possible]
        hits.append(np.stack([text[possible[hit]], place[hit]], axis=1))
    return np.unique(np.concatenate(hits), axis=0)


def quoting_matches(whole: Population, grams: Quotable, hits: np.ndarray, size: int, share: float) -> list[Match]:
    """Return the pairs of a query that quotes a target.

    An item with options, and one that quotes a question of fewer than `size` words, must also hold its right answer:
    many questions ask "which of these is right about …".

    Args:
        whole: the population.
        grams: n-grams of the targets.
        hits: position of a query, and the n-gram that it has; shape (hits, 2).
        size: words of an n-gram.
        share: part of a target's words that must be quoted.
    """
    pairs, shares = quoted_shares(grams, hits, whole.targets.stop)
    pairs, shares = pairs[shares >= share], shares[shares >= share]
    items, targets = pairs // max(whole.targets.stop, 1), pairs % max(whole.targets.stop, 1)
    rows = TableRows(whole.table.select(_COLUMNS))
    matches = []
    for first in range(0, len(pairs), _ITEMS_AT_ONCE):
        block = slice(first, first + _ITEMS_AT_ONCE)
        positions = np.unique(np.concatenate([items[block], targets[block]]))
        normal = dict(zip(positions.tolist(), texts(rows.at(positions)), strict=True))
        sides = zip(items[block].tolist(), targets[block].tolist(), shares[block].tolist(), strict=True)
        for item, other, similarity in sides:
            place = place_of(whole, other)
            if item == other or (place != "test" and item < whole.screened.start):
                continue
            quoting, quoted = normal[item], normal[other]
            alone = not quoting.fields[2:] and grams.words[other] >= size and _length(_stem(quoted)) >= size
            if alone or holds_answer(quoting, quoted):
                matches.append(Match(item, other, place, "containment", similarity))
    return matches


def quoted_shares(grams: Quotable, hits: np.ndarray, targets: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs, as text × `targets` + target, and the share of the target's words that the text quotes."""
    first = np.searchsorted(grams.gram, hits[:, 1], side="left")
    sizes = np.searchsorted(grams.gram, hits[:, 1], side="right") - first
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    occurrence = np.repeat(first, sizes) + within
    pair = np.repeat(hits[:, 0], sizes) * targets + grams.target[occurrence]
    pairs, covered = _covered(pair, grams.start[occurrence], grams.size[occurrence])
    return pairs, covered / np.maximum(grams.words[pairs % max(targets, 1)], 1)


def holds_answer(text: Text, quoted: Text) -> bool:
    """Return whether a text has at least half of the right options, or the reference text, of a tested question."""
    line = " " + spaced(" ".join([*text.fields, *text.answer])) + " "
    answers = [spaced(answer) for answer in quoted.answer if answer]
    return 2 * sum(f" {answer} " in line for answer in answers) >= max(len(answers), 1)
