"""Scores of several models become arrays: only what is wanted is read, and nothing is lost by it."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from posologie.records import layout
from posologie.records.files import read_parquet
from posologie.statistics.scored import Measure, read_suite
from posologie.statistics.spec import EvaluatedModel

METRICS = ("em", "em_unmapped", "hamming", "hamming_options")
BASE = (EvaluatedModel(name="q/base", kind="base", backbone="q"),)


@pytest.mark.parametrize("rows", [1, 7, 30, 1000])
@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_is_the_same_however_the_file_is_cut_into_row_groups(study, make_item, rows, metric):
    # 25 items × 2 variants: row groups of 7 and 30 rows straddle the metrics.
    numbers = np.random.default_rng(1)
    items = [make_item(number) for number in range(25)]
    values = {
        (name, "constrained"): {variant: list(numbers.random(25)) for variant in ("original", "permuted-1")}
        for name in METRICS
    }
    study.scores("q/base", "mcqa", items, values)
    file = study.root / layout.scores("q/base", "mcqa")
    pq.write_table(read_parquet(file), file, row_group_size=rows)
    measure = Measure(metric, "constrained")
    scored = read_suite(study.root, "mcqa", BASE, ("mcqu",), lambda score: score == measure)
    assert scored is not None
    assert set(scored.values) == {measure}
    expected = np.stack([values[measure][variant] for variant in ("original", "permuted-1")], axis=1)
    assert np.array_equal(scored.values[measure][0], expected)
    assert scored.item.tolist() == [item["item"] for item in items]


def test_sets_of_variants_are_means(study, make_item):
    items = [make_item(number) for number in range(2)]
    by_variant = {"original": [1.0, 0.0], "permuted-1": [1.0, 1.0], "permuted-2": [0.0, 1.0]}
    study.scores("q/base", "mcqa", items, {("em", "constrained"): by_variant})
    scored = read_suite(study.root, "mcqa", BASE, ("mcqu",))
    assert scored is not None
    measure = Measure("em", "constrained")
    means = {name: scored.over_variants(measure, name)[0].tolist() for name in scored.variant_sets()}
    assert means == {"original": [1, 0], "permuted": [0.5, 1], "all": [pytest.approx(2 / 3), pytest.approx(2 / 3)]}
    for name, weights in scored.set_weights().items():
        joined = sum(
            weight * scored.over_variants(measure, drawn)[0]
            for drawn, weight in zip(scored.drawn_sets(), weights, strict=True)
        )
        assert joined == pytest.approx(means[name])


def test_a_suite_without_such_questions_has_no_scores(study, make_item):
    study.scores("q/base", "mcqa", [make_item(0)], {("em", "constrained"): {"original": [1.0]}})
    assert read_suite(study.root, "mcqa", BASE, ("oeq",)) is None
