import csv
import json

import pyarrow as pa
import pytest
from screening_made import ASPIRIN, OPTIONS, STATINS, item

from posologie.records.files import read_parquet, write_json, write_parquet
from posologie.records.items import items_to_table
from posologie.running.errors import InputError
from posologie.screening import leakage, matrix
from posologie.screening.__main__ import main
from posologie.screening.matches import match_schema


def test_the_audit_of_a_mix_lists_what_leaks_into_a_suite_and_changes_nothing(tmp_path):
    leaked = item("a", ASPIRIN.replace("faible", "petite"), options=OPTIONS, source="one")
    mix = [leaked, item("b", STATINS, options=("Toux", "Crampes"), source="two")]
    tested = item("t", ASPIRIN, options=OPTIONS, source="bench", split="test")
    write_parquet(tmp_path / "train.parquet", items_to_table(mix))
    write_parquet(tmp_path / "bench.parquet", items_to_table([tested]))
    before = (tmp_path / "train.parquet").read_bytes()
    spec = {"mix": "ALL", "suite": "mcqa", "tested": [{"source": "bench", "tasks": ["mcqu"]}]}
    leakage.main(
        [
            *("--spec", json.dumps(spec), "--mix", str(tmp_path / "train.parquet")),
            *("--tests", f"bench={tmp_path / 'bench.parquet'}", "--leakage", str(tmp_path / "leakage.parquet")),
        ]
    )
    table = read_parquet(tmp_path / "leakage.parquet")
    assert table.schema.names == match_schema().names
    rows = table.to_pylist()
    assert [(row["item"], row["kind"], row["suite"], row["matched"]) for row in rows] == [
        (leaked.id, "near", "mcqa", tested.id)
    ]
    assert (tmp_path / "train.parquet").read_bytes() == before


def test_the_matrix_has_a_row_for_each_source_and_suite_with_an_interval(tmp_path):
    report = {
        "source": "syn", "split": "train", "mode": "report", "read": 200,
        "within": {"items": 4, "near": 4}, "across": {"nat": {"items": 0}},
        "suites": {"mcqa": {"tested": 50, "tested_matched": 3, "items": 10, "exact": 2, "near": 7, "group": 2}},
    }  # fmt: skip
    write_json(tmp_path / "screened/syn/train.json", report)
    write_json(tmp_path / "screened/nat/train.json", report | {"source": "nat", "mode": "off"})
    spec = {"screened": {"nat": ["train"], "syn": ["train"]}}
    arguments = ["--spec", json.dumps(spec), "--results", str(tmp_path), "--table", str(tmp_path / "screening.csv")]
    matrix.main(arguments)
    with (tmp_path / "screening.csv").open() as file:
        rows = list(csv.DictReader(file))
    columns = ("against", "name", "items", "exact", "near", "case", "group", "matched", "share", "tested")
    assert [tuple(row[column] for column in columns) for row in rows] == [
        ("within", "syn", "200", "0", "4", "0", "0", "4", "2", ""),
        ("earlier", "nat", "200", "0", "0", "0", "0", "0", "0", ""),
        ("suite", "mcqa", "200", "2", "7", "0", "2", "10", "5", "50"),
    ]
    # Wilson's interval of 10 in 200 with z = 1.96: (0.05 + 0.0096 ± 1.96 √(0.0002375 + 0.000024)) / 1.0192
    assert [float(rows[2][bound]) for bound in ("low", "high")] == pytest.approx([2.74, 8.96], abs=0.01)


@pytest.fixture
def rated(tmp_path):
    """Screen three items with these ratings."""
    questions = {"a": ASPIRIN, "b": STATINS, "c": "Autre ?"}
    items = [item(key, text, source="syn", options=("oui", "non")) for key, text in questions.items()]

    def run(ratings, mode="remove", sources=None):
        write_parquet(tmp_path / "items.parquet", items_to_table(items))
        quality = []
        if ratings is not None:
            rows = {"item": [items["abc".index(key)].id for key in ratings], "score": list(ratings.values())}
            write_parquet(tmp_path / "quality.parquet", pa.table(rows))
            quality = ["--quality", str(tmp_path / "quality.parquet")]
        screen = {"judge": "judge", "threshold": 3, **({"sources": sources} if sources else {})}
        spec = {"source": "syn", "split": "train", "screening": {"mode": mode, "quality": screen}, "suites": {}}
        main(
            [
                *("--spec", json.dumps(spec), "--items", str(tmp_path / "items.parquet"), *quality),
                *("--screened", str(tmp_path / "screened.parquet"), "--report", str(tmp_path / "report.json")),
                *("--matches", str(tmp_path / "matches.parquet")),
            ]
        )
        report = json.loads((tmp_path / "report.json").read_text())
        return read_parquet(tmp_path / "screened.parquet").num_rows, report

    return run


def test_items_rated_below_the_threshold_are_removed_and_counted(rated):
    kept, report = rated({"a": 2.9, "b": 3.0, "c": None})
    assert kept == 2
    assert report["quality"] == {
        "judge": "judge", "threshold": 3, "rated": 2, "unrated": 1, "of_other_tasks": 0, "below": 1,
    }  # fmt: skip
    assert report["removed"] == report["flagged"] == 1
    assert rated({"a": 1.0, "b": 3.0, "c": 5.0}, mode="report")[0] == 3


def test_a_source_that_is_not_rated_needs_no_ratings(rated):
    kept, report = rated(None, sources=["other"])
    assert kept == 3
    assert "quality" not in report


def test_ratings_that_do_not_cover_the_shard_are_refused(rated):
    with pytest.raises(InputError, match="no ratings of source syn are given"):
        rated(None)
    with pytest.raises(InputError, match="no rating of 1 of 3 items"):
        rated({"a": 1.0, "b": 2.0})
