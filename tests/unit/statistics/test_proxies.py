"""Merged models beside the trained ones that they stand for."""

import json

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from study_tables import pick, write_models

from posologie.statistics import proxies
from posologie.statistics.proxies import COLUMNS, agreement_rows

SHARES = {"A": 0.1, "B": 0.3, "C": 0.5, "D": 0.7, "E": 0.9}


def rows_of(study, make_item, shift=0):
    """Return the table for five mixes of two seeds: each knows more than the one before, proxies `shift` fewer."""
    items = [make_item(number) for number in range(100)]
    models, merged = [], {}
    for number, (mix, share) in enumerate(SHARES.items()):
        for seed in (1, 2):
            known = 30 + 10 * number + seed
            for name, count in ((mix, known), (f"merged-{mix}", known - shift)):
                model = f"q/{name}/seed-{seed}"
                write_models(study, items, {model: [1.0] * count + [0.0] * (100 - count)})
            models.append(study.models[f"q/{mix}/seed-{seed}"])
            merged[f"q/merged-{mix}/seed-{seed}"] = {
                "backbone": "q", "name": f"merged-{mix}", "seed": seed, "stands_for": mix,
                "shares": {"native": share, "synthetic": 1 - share},
            }  # fmt: skip
    merged["q/merged-A/seed-2"]["stands_for"] = None
    spec = {"models": models, "proxies": merged, "suites": ["mcqa"], "statistics": {"replicates": 200}}
    out = study.root / "proxies.csv"
    proxies.main(["--spec", json.dumps(spec), "--results", str(study.root), "--table", str(out)])
    import csv

    with open(out, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_proxy_stands_beside_the_model_of_its_mix_and_seed(study, make_item):
    rows = rows_of(study, make_item, shift=4)
    assert list(rows[0]) == list(COLUMNS)
    whole = {"scope_kind": "all", "aggregate": "item_weighted", "task": "all"}
    row = pick(rows, **whole, model="q/merged-C/seed-2")
    assert (row["kind"], row["seed"], row["trained"]) == ("proxy", "2", "q/C/seed-2")
    assert row["shares"] == "0.5 native + 0.5 synthetic"
    assert [float(row[key]) for key in ("value", "trained_value", "difference")] == pytest.approx([48, 52, -4])
    # four of a hundred items differ, all to one side: t-interval of a mean of -1, -1, -1, -1, 0, …
    half = 1.9842 * 100 * np.sqrt(0.04 * 0.96 / 99)
    assert float(row["difference_low"]) == pytest.approx(-4 - half, abs=0.05)
    alone = pick(rows, **whole, model="q/merged-A/seed-2")
    assert (alone["trained"], alone["difference"]) == ("", "")


def test_the_correlation_is_over_mixes_and_not_over_seeds(study, make_item):
    rows = rows_of(study, make_item)
    for statistic in ("spearman", "pearson"):
        row = pick(rows, scope_kind="all", aggregate="item_weighted", task="all", statistic=statistic)
        assert (row["n"], row["kind"]) == ("5", "proxy")
        assert float(row["value"]) == pytest.approx(1, abs=1e-9)


def test_correlations_have_fishers_intervals_from_five_mixes_on():
    means = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 4.0], [4.0, 3.0], [5.0, 6.0], [6.0, 5.5]])
    rank, linear = agreement_rows(means, 0.95)
    assert rank["value"] == pytest.approx(spearmanr(*means.T)[0])
    assert linear["value"] == pytest.approx(pearsonr(*means.T)[0])
    expected = pearsonr(*means.T).confidence_interval(0.95)
    assert (linear["low"], linear["high"]) == pytest.approx(tuple(expected))
    assert rank["low"] < rank["value"] < rank["high"]
    few = list(agreement_rows(means[:4], 0.95))
    assert [(row["low"], row["note"]) for row in few] == [(None, "n too small")] * 2
    flat = list(agreement_rows(np.column_stack([means[:, 0], np.ones(6)]), 0.95))
    assert [row["value"] for row in flat] == [None, None]
