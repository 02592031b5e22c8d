"""How leaked items affect the scores."""

import pyarrow as pa
import pytest
from study_tables import pick, table, two_benchmarks, write_models

from posologie.records import layout
from posologie.records.files import write_parquet
from posologie.screening.matches import match_schema
from posologie.statistics import leakage


def audited(study, matches, mix="NAT", seed=42):
    """Write the audit of a mix: tested item, kind and similarity of each match."""
    rows = [
        {"item": f"train-{number}", "source": "s", "split": "train", "place": "test", "kind": kind, "suite": "mcqa",
         "matched": tested, "matched_source": "t", "matched_split": "test", "similarity": similarity,
         "same_answer": True, "same_facts": True, "removed": False}
        for number, (tested, kind, similarity) in enumerate(matches)
    ]  # fmt: skip
    path = study.root / layout.leakage(mix, seed, "mcqa")
    write_parquet(path, pa.Table.from_pylist(rows, schema=match_schema()))


def test_the_scores_stand_with_without_and_on_the_leaked_items_alone(small):
    # NAT is right on the first 40 of nat's 60 items and on 20 of trad's 40
    audited(small, [(f"nat-{number:04d}", "near", 0.75) for number in range(20)] + [("nat-0020", "case", 0.9)])
    rows = table(small, leakage)
    of = {row["items"]: row for row in rows if row["statistic"] == "score"}
    assert {name: float(row["value"]) for name, row in of.items()} == pytest.approx(
        {"all": 60, "without_leaked": 50, "leaked": 100, "difference": 10}
    )
    assert {name: row["n"] for name, row in of.items()} == {
        "all": "100", "without_leaked": "80", "leaked": "20", "difference": "100"
    }  # fmt: skip
    assert float(of["difference"]["low"]) < 10 < float(of["difference"]["high"])
    gain = {row["items"]: float(row["value"]) for row in rows if row["statistic"] == "gain"}
    assert gain["all"] == pytest.approx(10)
    assert gain["without_leaked"] == pytest.approx(100 * 10 / 80)


def test_a_curve_shows_how_many_items_each_similarity_would_call_leaked(small):
    audited(small, [("nat-0001", "near", 0.72), ("nat-0001", "exact", 1.0), ("nat-0002", "near", 0.8),
                    ("nat-0003", "lineage", None), ("nat-0004", "cross_lingual", 0.2)])  # fmt: skip
    rows = [row for row in table(small, leakage, similarity=0.6) if row["statistic"] == "leaked_items"]
    assert {float(row["similarity"]): row["value"] for row in rows} == {
        0.3: "", 0.4: "", 0.5: "", 0.6: "4", 0.7: "4", 0.8: "4", 0.9: "3", 1.0: "3"
    }  # fmt: skip
    assert {row["note"] for row in rows if not row["value"]} == {"near twins were searched for from 0.6 on"}
    exact_only = [row for row in table(small, leakage, similarity=None) if row["statistic"] == "leaked_items"]
    assert [row["similarity"] for row in exact_only if row["value"]] == ["1"]


def test_a_mix_without_leaked_items_has_no_score_on_them(small):
    audited(small, [])
    row = pick(table(small, leakage), statistic="score", items="leaked")
    assert (row["value"], row["note"], row["n"]) == ("", "no such item", "0")


def test_one_draw_for_all_training_seeds_is_found(study, make_item):
    items = two_benchmarks(make_item)
    write_models(study, items, {"q/base": [0.0] * 100, "q/NAT/seed-7": [1.0] * 100})
    audited(study, [("nat-0001", "near", 0.9)], seed=42)
    assert pick(table(study, leakage), statistic="score", items="leaked")["n"] == "1"
