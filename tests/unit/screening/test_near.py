import random

import numpy as np
import pytest
from screening_made import every_pair, item

from posologie.records.items import items_to_table
from posologie.screening import near
from posologie.screening import shingles as blocks
from posologie.screening.near import Join, candidates, near_duplicates
from posologie.screening.near import sketches as sketched
from posologie.screening.shingles import EMPTY, Shape, shape_for, shingles, signatures, signatures_of

WORDS = """
douleur thoracique effort repos bras gauche diabète insuline glycémie fièvre toux dyspnée crépitants scanner
embolie anticoagulant héparine rein créatinine dialyse potassium sodium foie bilirubine ictère hépatite virus
vaccin anticorps allergie œdème urticaire adrénaline bronche asthme corticoïde peau érythème biopsie tumeur
"""


def texts(count, seed=0, least=6, most=60):
    """Texts of which about half are edited copies of earlier ones, from one word to most of them."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        if number % 2 and made:
            words = rng.choice(made).split()
            for _ in range(rng.randint(0, 1 + len(words) // 3)):
                words[rng.randrange(len(words))] = rng.choice(WORDS.split())
        else:
            words = rng.choices(WORDS.split(), k=rng.randint(least, most))
        made.append(" ".join(words))
    return [(text,) for text in made]


@pytest.mark.parametrize(("threshold", "width"), [(0.5, 5), (0.7, 5), (0.85, 3)])
def test_nearly_all_similar_pairs_are_found_and_none_else(threshold, width):
    fields = texts(1500)
    shape = shape_for(threshold, width)
    values = signatures_of(fields, shape)
    everything = np.ones(len(fields), dtype=bool)
    near, _ = near_duplicates(values, lambda chosen: [fields[place] for place in chosen], everything, threshold, width)
    expected = every_pair(fields, threshold, width)
    assert len(expected) > 100
    pairs = {(pair.first, pair.second): pair.similarity for pair in near}
    assert pairs.keys() <= expected.keys()
    assert len(pairs) >= 0.98 * len(expected)
    assert all(similarity == pytest.approx(expected[pair]) for pair, similarity in pairs.items())


def test_how_many_pairs_are_verified_at_once_changes_nothing_and_questions_on_a_case_are_cut_once(monkeypatch):
    rng = random.Random(1)
    cases = [" ".join(rng.choices(WORDS.split(), k=50)) for _ in range(60)]
    fields = [(f"{case} {number}",) for case in cases for number in range(4)]
    rng.shuffle(fields)
    values, everything = signatures_of(fields, shape_for(0.7, 5)), np.ones(len(fields), dtype=bool)
    cut = []

    def fields_of(chosen):
        cut.append(len(chosen))
        return [fields[place] for place in chosen]

    at_once, _ = near_duplicates(values, fields_of, everything, 0.7, 5)
    assert (len(at_once), cut) == (60 * 6, [240])
    assert at_once == sorted(at_once, key=lambda pair: (pair.first, pair.second))
    cut.clear()
    monkeypatch.setattr(near, "_VERIFIED_AT_ONCE", 30)
    in_parts, _ = near_duplicates(values, fields_of, everything, 0.7, 5)
    assert in_parts == at_once
    assert len(cut) > 10
    assert sum(cut) <= 240 + 4 * len(cut)


def test_pairs_without_a_text_of_interest_are_left_out():
    fields = texts(400)
    shape = shape_for(0.7, 5)
    values = signatures_of(fields, shape)
    interesting = np.arange(400) >= 300
    whole = {tuple(pair) for pair in candidates(values, np.ones(400, dtype=bool)).pairs.tolist()}
    part = {tuple(pair) for pair in candidates(values, interesting).pairs.tolist()}
    assert part == {(size, other) for size, other in whole if other >= 300}


def test_a_text_that_thousands_share_is_not_compared_with_all_of_them(monkeypatch):
    monkeypatch.setattr(near, "_CROWD", 3)
    fields = [("le même texte pour tous",)] * 10
    met = candidates(signatures_of(fields, shape_for(0.7, 5)), np.ones(10, dtype=bool))
    assert met.crowded > 0
    assert {other - left for left, other in met.pairs.tolist()} == {1, 2, 3}


@pytest.mark.parametrize("at_once", [2, 1 << 22])
def test_nothing_is_cut_where_a_test_is_concerned(monkeypatch, at_once):
    monkeypatch.setattr(near, "_CROWD", 3)
    monkeypatch.setattr(near, "_JOINED_AT_ONCE", at_once)
    stem = "parmi les propositions suivantes sur la prise en charge initiale de l'asthme aigu grave laquelle est exacte"
    fields = [(f"{stem} {number}",) for number in range(60)]
    tested = np.arange(60) < 2
    join = Join(targets=tested, queries=~tested, trained=~tested)
    values = signatures_of(fields, shape_for(0.7, 5))
    duplicates, crowded = near_duplicates(
        values, lambda chosen: [fields[place] for place in chosen], ~tested, 0.7, 5, join
    )
    pairs = {(pair.first, pair.second) for pair in duplicates}
    assert {pair for pair in pairs if pair[0] < 2} == {(left, other) for left in (0, 1) for other in range(2, 60)}
    assert (0, 1) not in pairs
    assert crowded > 0


@pytest.mark.parametrize("length", [12, 60, 2000])
def test_the_share_of_equal_entries_estimates_the_similarity(length):
    rng = np.random.default_rng(length)
    shape = Shape(5, 8, 64)
    errors = []
    for _ in range(40):
        sizes = (length, length // 4, length // 4)
        common, own, other = (rng.integers(0, 1 << 63, size, dtype=np.uint64) for size in sizes)
        hashes = np.concatenate([common, own, common, other])
        bounds = np.array([0, length + length // 4, 2 * (length + length // 4)])
        first, two = signatures(hashes, bounds, shape.rows, shape.bands)
        errors.append((first == two).mean() - length / (length + 2 * (length // 4)))
    assert abs(np.mean(errors)) < 0.03
    assert np.std(errors) < (0.1 if length < 100 else 0.03)


def test_texts_without_shingles_resemble_nothing():
    values = signatures_of([("",), ("", "")], shape_for(0.7, 5))
    assert (values == EMPTY).all()
    assert len(candidates(values, np.ones(2, dtype=bool)).pairs) == 0


def test_shingles_do_not_cross_fields_and_short_fields_have_some():
    first, other = (set(shingles([fields], 5)[0].tolist()) for fields in (("abc", "def"), ("abcdef",)))
    apart = set(shingles([("abc",)], 5)[0].tolist()) | set(shingles([("def",)], 5)[0].tolist())
    assert first == apart
    assert len(set(shingles([("5",)], 5)[0].tolist())) == 5
    assert first != other


def test_the_shape_keeps_its_promise_at_the_threshold():
    for threshold in (0.3, 0.5, 0.7, 0.9):
        shape = shape_for(threshold, 5)
        assert 1 - (1 - threshold**shape.rows) ** shape.bands >= 0.995
        assert 1 - (1 - threshold ** (shape.rows + 1)) ** shape.bands < 0.995


def test_the_number_of_processes_changes_nothing(monkeypatch):
    monkeypatch.setattr(blocks, "_WORTH_PROCESSES", 1)
    monkeypatch.setattr(near, "_ITEMS_AT_ONCE", 7)
    table = items_to_table([item(str(number), text, context="c") for number, (text,) in enumerate(texts(30))])
    alone, two = (sketched(table, shape_for(0.7, 5), processes) for processes in (1, 2))
    assert (alone.texts, alone.contexts, alone.answers) == (two.texts, two.contexts, two.answers)
    assert np.array_equal(alone.signatures, two.signatures)
