import json
import os
import re
from pathlib import Path

import pytest
from screening_made import every_pair

from posologie.records.files import read_json, read_parquet
from posologie.records.items import read_item_table
from posologie.screening.__main__ import main
from posologie.screening.text import texts
from posologie.sources import frenchmedmcqa, hub_records

REPOSITORY = Path(__file__).parents[3]


def shard(reader, folder, source, split, files, provenance="native"):
    """Read published files into a shard; gives its path."""
    spec = {"source": source, "provenance": provenance, "split": split, "patterns": []}
    out = folder / source / f"{split}.parquet"
    reader.main(
        [
            *("--spec", json.dumps(spec), "--inputs", *map(str, files), "--items", str(out), "--processes", "1"),
            *("--rejects", str(out) + ".rejects", "--report", str(out) + ".json"),
        ]
    )
    return out


def screened(items, source, tests, folder):
    part = [{"source": name, "tasks": ["mcqu", "mcq", "oeq"]} for name in tests]
    spec = {"source": source, "split": "train", "screening": {"mode": "remove"}, "suites": {"suite": part}}
    main(
        [
            *("--spec", json.dumps(spec), "--items", str(items)),
            *("--tests", *(f"{name}={path}" for name, path in tests.items())),
            *("--screened", str(folder / "s.parquet"), "--report", str(folder / "r.json")),
            *("--matches", str(folder / "m.parquet")),
        ]
    )
    rows = read_parquet(folder / "m.parquet").to_pylist()
    return read_json(folder / "r.json"), rows


def by_definition(paths):
    """Pairs of ids at a similarity of 0.7 or more, by counting all shared shingles."""
    ids, fields = [], []
    for path in paths:
        table = read_item_table(path)
        ids += table["id"].to_pylist()
        fields += [text.fields for text in texts(table)]
    return {frozenset((ids[left], ids[other])) for left, other in every_pair(fields, 0.7, 5)}


@pytest.mark.real_data
def test_what_the_published_training_and_test_questions_share_is_found(tmp_path):
    data = Path(os.environ.get("POSOLOGIE_REAL_DATA", REPOSITORY.parent / "shared/data")) / "frenchmedmcqa"
    if not data.is_dir():
        pytest.skip(f"{data}: the published FrenchMedMCQA files are not here")
    train, test = (
        shard(frenchmedmcqa, tmp_path, "fmm", split, [data / f"{split}.json"]) for split in ("train", "test")
    )
    report, rows = screened(train, "fmm", {"fmm": test}, tmp_path)
    assert (report["read"], report["suites"]["suite"]["tested"]) == (2171, 622)
    assert [report["suites"]["suite"].get(kind, 0) for kind in ("items", "exact", "near", "options")] == [13, 1, 11, 2]
    expected = by_definition([train, test])
    pairs = {frozenset((row["item"], row["matched"])) for row in rows if row["kind"] in ("exact", "near")}
    assert pairs <= expected
    tested = set(read_item_table(test)["id"].to_pylist())
    leaks = {pair for pair in expected if len(pair & tested) == 1}
    assert {pair for pair in pairs if pair & tested} == leaks
    kept = set(read_item_table(tmp_path / "s.parquet")["id"].to_pylist())
    differ = [row for row in rows if row["same_answer"] is False or row["same_facts"] is False]
    different = {frozenset((row["item"], row["matched"])) for row in differ if row["place"] == "within"}
    left = {pair for pair in expected if pair <= kept | tested and not pair <= tested}
    assert left <= different
    assert 0 < len(left) < 20


def test_the_reworded_questions_of_the_demo_are_found_and_nothing_else(tmp_path):
    demo = REPOSITORY / "resources/demo/synthetic"
    files = {task: demo / f"Train/{task}/{task}_training.json" for task in ("mcqu", "mcq", "oeq")}
    [line] = [line for line in (demo / "FAULTS.md").read_text().splitlines() if "presque identique" in line]
    planted = set()
    for part in line.split("|")[-2].split(";"):
        task, places = part.split(" : ", 1)
        questions = [record["instruction"].split("\n")[0] for record in json.loads(files[task.strip()].read_text())]
        for copy, model in re.findall(r"(\d+) \(modèle : (\d+)\)", places):
            planted.add(frozenset((questions[int(copy)], questions[int(model)])))
    train = shard(hub_records, tmp_path, "synthetic", "train", files.values(), provenance="synthetic")
    table = read_item_table(train)
    question_of = dict(zip(table["id"].to_pylist(), table["question"].to_pylist(), strict=True))
    report, rows = screened(train, "synthetic", {}, tmp_path)
    assert len(planted) >= 5
    assert {frozenset((question_of[row["item"]], question_of[row["matched"]])) for row in rows} == planted
    assert report["removed"] == len(planted)
