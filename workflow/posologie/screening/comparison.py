"""Compare a population: every search in turn, and what agrees in each match."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from posologie.records.tables import TableRows
from posologie.running.errors import InputError
from posologie.screening.across import cross_lingual_matches
from posologie.screening.embeddings import Vectors, embedding_matches
from posologie.screening.near import Join, Sketches, near_duplicates, sketches
from posologie.screening.population import (
    Classes,
    Match,
    Population,
    Similar,
    classes,
    group_matches,
    text_matches,
    with_originals,
)
from posologie.screening.quoting import Quotable, quotable, quoting_matches
from posologie.screening.shingles import Shape, shape_for, signatures_of
from posologie.screening.spec import Comparing
from posologie.screening.text import normalised, texts
from posologie.screening.twins import languages, lineage_matches, options_matches, with_agreement


@dataclass(frozen=True)
class Compared:
    """What a comparison found.

    Attributes:
        matches: every match of the screened items. With targets, a pair is listed once, by the closest kind.
        answers: digest of each item's right answer, by position.
        crowded: how often a training text was similar to so many others that it was not compared with all of them.
        languages: number of screened items by language, and of targets; an empty code where it is unknown.
        guessed: sources whose language was identified from their items, because none is declared.
    """

    matches: list[Match]
    answers: list[bytes]
    crowded: int
    languages: dict[str, dict[str, int]]
    guessed: list[str]


def compare(
    whole: Population,
    comparing: Comparing,
    scope: tuple[str, ...],
    processes: int = 1,
    vectors: Vectors | None = None,
    declared: Mapping[str, str] | None = None,
) -> Compared:
    """Find every match of the screened items of a population.

    Args:
        whole: the population.
        comparing: what makes two items alike.
        scope: where duplicates are looked for beside the targets.
        processes: changes no result.
        vectors: the sentence encoder that `comparing` names.
        declared: language of each source that declares one; that of the others is identified from their items.

    Raises:
        InputError: if it names one and none is given.
    """
    if comparing.encoder is not None and vectors is None:
        raise InputError("screening.encoder: named by the spec, but no encoder is given")
    threshold = comparing.similarity
    shape = None if threshold is None else shape_for(threshold, comparing.shingle)
    grams = None
    if comparing.containment is not None and whole.targets:
        grams = quotable(whole, comparing.containment)
    sketched = sketches(whole.table, shape, processes, grams)
    same = classes(whole, sketched.texts, sketched.contexts)
    answers, signatures = sketched.answers, sketched.signatures
    sketched = replace(sketched, texts=[], contexts=[], signatures=None)  # their memory is needed below
    similar: list[Similar] = []
    cases: list[Similar] = []
    crowded = 0
    if threshold is not None and shape is not None and signatures is not None:
        similar, crowded = _similar_items(whole, same, signatures, threshold, shape)
        if whole.targets:
            cases = _similar_contexts(whole, same, threshold, shape)
    del signatures
    matches, shared_cases = text_matches(whole, same, similar, cases, scope, answers)
    declared = declared or {}
    spoken = languages(whole, declared) if whole.targets else [""] * whole.table.num_rows
    guessed = set(whole.table["source"].to_pylist()) - declared.keys() if whole.targets else set()
    if whole.targets:
        known = {(match.item, match.other) for match in matches}
        others = _searches(
            whole, comparing, sketched, grams, shared_cases, languages=spoken, processes=processes, vectors=vectors
        )
        for more in others:
            new = [match for match in more if (match.item, match.other) not in known]
            known |= {(match.item, match.other) for match in new}
            matches += new
        matches = with_originals(whole, matches)
    matches = with_agreement(whole, matches, spoken, threshold or 1.0, comparing.shingle)
    return Compared(matches + group_matches(whole, matches), answers, crowded, _counted(whole, spoken), sorted(guessed))


def _searches(
    whole: Population,
    comparing: Comparing,
    sketched: Sketches,
    grams: Quotable | None,
    shared_cases: list[Match],
    *,
    languages: list[str],
    processes: int,
    vectors: Vectors | None,
) -> Iterator[list[Match]]:
    """Yield what each search beside that for equal and similar texts finds, the closest kind of match first."""
    if comparing.same_options:
        yield options_matches(whole, sketched.options, sketched.answers, comparing.shingle)
    if grams is not None and comparing.containment is not None:
        asking = sketched.quotes[np.isin(sketched.quotes[:, 0], np.array(whole.queries, dtype=np.int64))]
        quoting = quoting_matches(whole, grams, asking, comparing.containment, comparing.containment_share)
        # Two questions on one long case share most of their words, and ask for different things.
        same_case = {(match.item, match.other) for match in shared_cases}
        yield [match for match in quoting if (match.item, match.other) not in same_case]
    if comparing.lineage:
        yield lineage_matches(whole)
    if comparing.across_languages == "ngrams":
        yield cross_lingual_matches(whole, languages, processes)
    if comparing.encoder is not None and vectors is not None:
        yield embedding_matches(whole, languages, comparing.encoder, vectors)
    yield shared_cases


def _counted(whole: Population, spoken: list[str]) -> dict[str, dict[str, int]]:
    sides = {"items": spoken[whole.screened.start :], "targets": spoken[: whole.targets.stop]}
    return {name: {language: side.count(language) for language in sorted(set(side))} for name, side in sides.items()}


def _of_class(same: Classes, positions: slice | range) -> np.ndarray:
    """Return which classes have an item at some positions, which follow each other."""
    inside = np.zeros(len(same.members), dtype=bool)
    inside[same.of_item[positions.start : positions.stop]] = True
    return inside


def _similar_items(
    whole: Population, same: Classes, signatures: np.ndarray, threshold: float, shape: Shape
) -> tuple[list[Similar], int]:
    """Compare the first item of each class."""
    positions = np.array([members[0] for members in same.members], dtype=np.int64)
    screened = _of_class(same, whole.screened)
    join = Join(
        targets=_of_class(same, whole.targets),
        queries=screened | _of_class(same, range(whole.tested, whole.targets.stop)),
        trained=_of_class(same, range(whole.targets.stop, whole.table.num_rows)),
    )
    rows = TableRows(whole.table.select(["question", "context", "answer", "options", "gold"]))

    def fields(numbers: np.ndarray) -> list[tuple[str, ...]]:
        return [text.fields for text in texts(rows.at(positions[numbers]))]

    return near_duplicates(signatures[positions], fields, screened, threshold, shape.width, join)


def _similar_contexts(whole: Population, same: Classes, threshold: float, shape: Shape) -> list[Similar]:
    """Compare the contexts of screened items and targets; a similar pair is numbered by the contexts' classes."""
    places = np.r_[0 : whole.targets.stop, whole.screened.start : whole.screened.stop]
    places = places[same.of_context[places] >= 0]
    numbers, first = np.unique(same.of_context[places], return_index=True)
    positions = places[first]
    rows = TableRows(whole.table.select(["context"]))

    def fields(chosen: np.ndarray) -> list[tuple[str, ...]]:
        return [(text,) for text in normalised(rows.at(positions[chosen])["context"].to_pylist())]

    blocks = np.array_split(np.arange(len(numbers)), len(numbers) // 2048 + 1)
    values = np.concatenate([signatures_of(fields(block), shape) for block in blocks])
    screened = np.isin(numbers, same.of_context[whole.screened.start :])
    targets = np.isin(numbers, same.of_context[: whole.targets.stop])
    nothing = np.zeros(len(numbers), dtype=bool)
    similar, _ = near_duplicates(values, fields, nothing, threshold, shape.width, Join(targets, screened, nothing))
    return [Similar(int(numbers[pair.first]), int(numbers[pair.second]), pair.similarity) for pair in similar]
