"""Gains on items of one component against gains on items of another."""

import numpy as np
import pytest
from study_tables import EM, pick, table

from posologie.statistics import transfer

ITEM_WEIGHTED = {"task": "all", "aggregate": "item_weighted"}


@pytest.fixture
def tested_twice(study, make_item):
    """200 native and 150 translated items; NAT gains 20 points on native ones and none on the others."""
    numbers = np.random.default_rng(11)
    native = [make_item(number, "nat") for number in range(200)]
    translated = [make_item(number, "trad", provenance="translated") for number in range(150)]
    ease = numbers.random(350)
    truth = {"q/base": (0.4, 0.4), "q/NAT/seed-42": (0.6, 0.4), "q/TRAD/seed-42": (0.45, 0.45)}
    study.right = {}
    for model, shares in truth.items():
        share = np.repeat(shares, (200, 150))
        study.right[model] = (ease + 0.2 * numbers.normal(size=350) < share).astype(float)
        study.scores(model, "mcqa", [*native, *translated], {EM: {"original": list(study.right[model])}})
    return study


def test_the_difference_of_gains_has_the_variance_of_two_independent_samples(tested_twice):
    rows = table(tested_twice, transfer)
    row = pick(rows, mix="NAT", **ITEM_WEIGHTED)
    gain = tested_twice.right["q/NAT/seed-42"] - tested_twice.right["q/base"]
    native, translated = gain[:200], gain[200:]
    assert (row["left"], row["right"], row["left_n"], row["right_n"]) == ("native", "translated", "200", "150")
    assert float(row["left_value"]) == pytest.approx(100 * native.mean(), abs=1e-4)
    assert float(row["right_value"]) == pytest.approx(100 * translated.mean(), abs=1e-4)
    assert float(row["value"]) == pytest.approx(100 * (native.mean() - translated.mean()), abs=1e-4)
    error = np.sqrt(native.var(ddof=1) / 200 + translated.var(ddof=1) / 150)
    half = (float(row["high"]) - float(row["low"])) / 2
    assert half / (100 * error) == pytest.approx(1.967, abs=0.01), "Student's quantile for about 340 clusters"
    assert row["verdict"] == "more on left"
    assert pick(rows, mix="TRAD", **ITEM_WEIGHTED)["verdict"] == "not settled"
    assert {row["family_size"] for row in rows} == {"2"}


def test_items_that_share_a_case_are_drawn_together(study, make_item):
    numbers = np.random.default_rng(3)
    native = [make_item(number, "nat", group=f"case-{number}") for number in range(120)]
    translated = [make_item(number, "trad", provenance="translated", group=f"case-{number}") for number in range(120)]
    base, better = (numbers.random(120) < share for share in (0.4, 0.6))
    for model, right in (("q/base", base), ("q/NAT/seed-42", better)):
        other = np.where(numbers.random(120) < 0.1, ~right, right)  # the same case is nearly as hard in both languages
        study.scores(model, "mcqa", [*native, *translated], {EM: {"original": [*map(float, [*right, *other])]}})
        study.right = {**getattr(study, "right", {}), model: (right.astype(float), other.astype(float))}
    row = pick(table(study, transfer), mix="NAT", **ITEM_WEIGHTED)
    gains = [study.right["q/NAT/seed-42"][side] - study.right["q/base"][side] for side in (0, 1)]
    paired = (gains[0] - gains[1]).std(ddof=1) / np.sqrt(120)
    apart = np.sqrt(sum(gain.var(ddof=1) / 120 for gain in gains))
    half = (float(row["high"]) - float(row["low"])) / 200
    assert half / 1.98 == pytest.approx(paired, rel=0.02)
    assert half < apart


def test_seeds_of_a_mix_count_in_the_difference(tested_twice, make_item):
    native = [make_item(number, "nat") for number in range(200)]
    translated = [make_item(number, "trad", provenance="translated") for number in range(150)]
    for seed, flipped in ((43, 30), (44, 60)):  # each seed loses more of the native items
        right = tested_twice.right["q/NAT/seed-42"].copy()
        right[:flipped] = 0
        tested_twice.scores(f"q/NAT/seed-{seed}", "mcqa", [*native, *translated], {EM: {"original": list(right)}})
    row = pick(table(tested_twice, transfer), mix="NAT", **ITEM_WEIGHTED)
    assert row["about"] == "recipes"
    assert float(row["df"]) < 10, "three seeds say little of what a fourth would bring"


def test_a_suite_of_one_component_has_no_such_rows(study, make_item):
    items = [make_item(number) for number in range(40)]
    for model in ("q/base", "q/NAT/seed-42"):
        study.scores(model, "mcqa", items, {EM: {"original": [1.0, 0.0] * 20}})
    assert table(study, transfer) == []


def test_an_interval_may_exceed_one_hundred_points_where_few_items_allow_it(study, make_item):
    native = [make_item(number, "nat") for number in range(3)]
    translated = [make_item(number, "trad", provenance="translated") for number in range(3)]
    study.scores("q/base", "mcqa", [*native, *translated], {EM: {"original": [0.0, 0.0, 1.0, 1.0, 1.0, 0.0]}})
    study.scores("q/NAT/seed-42", "mcqa", [*native, *translated], {EM: {"original": [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]}})
    row = pick(table(study, transfer), mix="NAT", **ITEM_WEIGHTED)
    assert float(row["value"]) == pytest.approx(400 / 3, abs=1e-4)
    assert float(row["simultaneous_high"]) > float(row["value"])
    assert "n too small" in row["note"]
