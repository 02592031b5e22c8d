"""The table of contrasts: paired tests, families of comparisons, seeds."""

import numpy as np
import pytest
from study_tables import EM, pick, table, write_models

from posologie.errors import InputError
from posologie.statistics import contrasts, mcqa


def test_contrasts_are_paired_and_tested_by_sign_flips_of_clusters(small):
    row = pick(table(small, contrasts), scope_kind="all", task="all", aggregate="item_weighted")
    assert (row["left"], row["right"], row["n"], row["clusters"]) == ("NAT", "base", "100", "100")
    assert float(row["value"]) == 10
    assert float(row["low"]) <= 10 <= float(row["high"])
    # Ten items differ, all to one side: 2 / 2^10, the same as McNemar's exact test.
    assert float(row["p_value"]) == float(row["p_mcnemar"]) == pytest.approx(2 / 2**10, abs=1e-6)
    assert row["test"] == "sign flips of clusters, exact"
    assert row["verdict"] == "higher"
    assert row["note"] == "for these trained adapters"


def test_mcnemars_test_is_not_printed_where_clusters_have_several_items(study, make_item):
    items = [make_item(number, group=f"case-{number // 4}") for number in range(160)]
    numbers = np.random.default_rng(1)
    write_models(
        study, items, {name: list(numbers.integers(0, 2, 160).astype(float)) for name in ("q/base", "q/NAT/seed-42")}
    )
    assert {row["p_mcnemar"] for row in table(study, contrasts)} == {""}


def test_a_demonstration_says_so_beside_every_verdict(small):
    rows = table(small, contrasts, demonstration=True)
    assert all(row["note"].startswith("demonstration: n too small") for row in rows)


def test_p_values_are_corrected_over_their_family_and_over_nothing_else(study, make_item):
    items = [make_item(number) for number in range(80)]
    numbers = np.random.default_rng(2)
    values = {name: list((numbers.random(80) < share).astype(float)) for name, share in
              (("q/base", 0.3), ("q/NAT/seed-42", 0.6), ("q/SYN/seed-42", 0.35))}  # fmt: skip
    write_models(study, items, values)
    row = {"scope_kind": "all", "task": "all", "aggregate": "item_weighted"}
    rows = [pick(table(study, contrasts), **row, left=left) for left in ("NAT", "SYN")]
    assert {one["family_size"] for one in rows} == {"2"}
    smaller, larger = sorted(float(one["p_value"]) for one in rows)
    assert sorted(float(one["p_holm"]) for one in rows) == pytest.approx(
        [2 * smaller, max(2 * smaller, larger)], abs=1e-5
    )
    write_models(study, [make_item(number, "other") for number in range(80)], values)
    for model in list(study.models):
        source, target = (study.root / f"scores/{model}/{name}.parquet" for name in ("mcqa", "more"))
        target.write_bytes(source.read_bytes())
    write_models(study, items, values)
    study.suites["more"] = {"benchmarks": {}}
    again = [pick(table(study, contrasts), **row, suite="mcqa", left=left) for left in ("NAT", "SYN")]
    assert again == rows, "a further suite changes no p-value"


def test_a_family_of_the_configuration_joins_its_rows(small):
    family = {
        "suites": ["mcqa"],
        "measured": {"metric": "em", "decoding": "constrained"},
        "scopes": ["native", "translated"],
    }
    rows = table(small, contrasts, statistics={"families": {"by-origin": family}})
    mine = [row for row in rows if row["family"] == "by-origin"]
    assert [(row["scope"], row["task"], row["aggregate"], row["family_size"]) for row in mine] == [
        ("native", "all", "item_weighted", "2"),
        ("translated", "all", "item_weighted", "2"),
    ]


def test_a_family_may_hold_pairs_that_no_other_test_needs(study, make_item):
    items = [make_item(number) for number in range(60)]
    numbers = np.random.default_rng(3)
    models = ("q/base", "q/NAT/seed-42", "q/SYN/seed-42")
    write_models(study, items, {name: list((numbers.random(60) < 0.5).astype(float)) for name in models})
    measured = {"metric": "em", "decoding": "constrained"}
    family = {"suites": ["mcqa"], "measured": measured, "contrasts": [["NAT", "SYN"]]}
    rows = table(study, contrasts, statistics={"families": {"blends": family}})
    assert [(row["left"], row["right"], row["family_size"]) for row in rows if row["family"] == "blends"] == [
        ("NAT", "SYN", "1")
    ]


def test_a_family_without_a_single_test_is_refused(small):
    family = {"suites": ["mcqa"], "measured": {"metric": "em", "decoding": "constrained"}, "scopes": ["synthetic"]}
    with pytest.raises(InputError, match=r"statistics.families.lost: no test belongs to it"):
        table(small, contrasts, statistics={"families": {"lost": family}})


def test_models_that_answer_alike_have_no_interval_of_no_width(small):
    rows = table(small, contrasts)
    row = pick(rows, scope="translated", task="all", aggregate="item_weighted")
    assert (row["value"], row["p_value"], row["verdict"]) == ("0", "1", "not settled")
    assert (row["low"], row["high"], row["detectable"], row["interval"]) == ("", "", "", "none")
    assert row["note"].startswith("the same in every draw")


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_the_interval_of_a_difference_is_that_of_the_settings(small, method):
    row = pick(table(small, contrasts, statistics={"interval": method}), scope="native", aggregate="item_weighted")
    assert row["interval"] == method
    assert float(row["low"]) < float(row["value"]) < float(row["high"])


def test_listed_contrasts_of_unknown_mixes_are_refused(small):
    with pytest.raises(InputError, match=r"statistics.contrasts: 'TRAD': expected one of NAT, base"):
        table(small, contrasts, statistics={"contrasts": [["NAT", "TRAD"]]})


def test_few_clusters_settle_nothing_with_an_interval(study, make_item):
    items = [make_item(number) for number in range(12)]
    write_models(study, items, {"q/base": [0.0] * 12, "q/NAT/seed-42": [1.0] * 12})
    row = pick(table(study, contrasts), scope_kind="all", aggregate="item_weighted")
    assert (row["low"], row["high"], row["detectable"], row["interval"]) == ("", "", "", "none")
    assert row["note"].startswith("n too small")
    assert float(row["p_value"]) == pytest.approx(2 / 2**12, abs=1e-6)


def test_from_three_seeds_on_seeds_are_drawn_too(study, make_item):
    items = [make_item(number) for number in range(300)]
    numbers = np.random.default_rng(3)
    ease = numbers.random(300)
    # Adapters of one mix differ far more between seeds than items do.
    for seed, share in ((1, 0.2), (2, 0.5), (3, 0.8)):
        study.scores(f"q/NAT/seed-{seed}", "mcqa", items, {EM: {"original": list((ease < share).astype(float))}})
    study.scores("q/base", "mcqa", items, {EM: {"original": list((ease < 0.3).astype(float))}})
    row = pick(table(study, contrasts, statistics={"replicates": 4000}), scope_kind="all", aggregate="item_weighted")
    assert row["test"] == "seeds and clusters drawn"
    assert "for these trained adapters" not in row["note"]
    assert (row["left_model"], row["verdict"]) == ("q/NAT", "not settled")
    # The spread over seeds, 0.3 / sqrt(3), rules the interval; clusters alone would give about ±5 points.
    assert float(row["high"]) - float(row["low"]) > 40


def test_two_seeds_are_taken_as_they_are(study, make_item):
    items = [make_item(number) for number in range(100)]
    nothing = {(name, "probabilities"): {"original": [None] * 100} for name in ("confidence", "right_at_first_step")}
    for seed in (1, 2):
        study.scores(f"q/NAT/seed-{seed}", "mcqa", items, {EM: {"original": [float(seed == 1)] * 100}} | nothing)
    study.scores("q/base", "mcqa", items, {EM: {"original": [0.0] * 100}} | nothing)
    rows = table(study, mcqa)
    joined = pick(rows, model="q/NAT", scope_kind="all", aggregate="item_weighted")
    assert (joined["seed"], float(joined["value"])) == ("all", 50)
    contrast = pick(table(study, contrasts), scope_kind="all", aggregate="item_weighted")
    assert "for these trained adapters" in contrast["note"]
