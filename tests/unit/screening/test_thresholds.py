"""What lies exactly at a threshold of the screens."""

import numpy as np
import pyarrow as pa
import pytest
from screening_made import item

from posologie.records.files import write_parquet
from posologie.records.items import items_to_table
from posologie.screening.__main__ import below_threshold
from posologie.screening.near import verified
from posologie.screening.spec import Quality


def test_a_rating_at_the_threshold_is_good_enough(tmp_path):
    items = items_to_table([item("a"), item("b"), item("c")])
    ids = items["id"].to_pylist()
    scores = [2.0, 3.0, 4.0]
    write_parquet(tmp_path / "ratings.parquet", pa.table({"item": ids, "score": scores}))
    quality = Quality(judge="j", threshold=3, tasks=tuple(dict.fromkeys(items["task"].to_pylist())))
    below, counts = below_threshold(items, tmp_path / "ratings.parquet", quality)
    assert below == {ids[0]}
    assert counts["below"] == 1


@pytest.mark.parametrize(
    ("first", "other", "similarity"), [("abcdefgh", "abcdefgh", 1.0), ("abcdefghi", "abcdefghj", 8 / 14)]
)
def test_texts_whose_similarity_is_exactly_the_threshold_are_similar(first, other, similarity):
    fields = [(first,), (other,)]
    pairs = np.array([[0, 1]])

    def texts(numbers):
        return [fields[number] for number in numbers]

    similarities = [
        pair.similarity
        for threshold in (similarity, similarity + 1e-9)
        for pair in verified(pairs, texts, threshold, 3)
    ]
    assert similarities == [pytest.approx(similarity)]
