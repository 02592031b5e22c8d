"""Verdicts of a judge that was asked elsewhere, and ratings from several files."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from judging_made import PROMPT, items, predictions, shard

from posologie.judging import command, human, outside
from posologie.judging.answers import calibration_schema, human_schema, judgement_schema
from posologie.judging.spec import Ratings
from posologie.records.files import read_json, write_parquet
from posologie.running.errors import InputError

ROWS = [
    {"model": "b/base", "item": "q0", "verdict": "1", "p": "0,9"},
    {"model": "b/base", "item": "q1", "verdict": "0", "p": "0.2"},
    {"model": "b/base", "item": "q2", "verdict": "Je ne sais pas", "p": ""},
    {"model": "b/other", "item": "q0", "verdict": "0", "p": "0.1"},
]


def jsonl(path, rows):
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


def judge(folder, rows=ROWS, **layout):
    made = items(3)
    shard(folder, made)
    path = predictions(folder, "one", made, {item.id: f"answer {item.id}" for item in made})
    backend = {"kind": "outside", **layout}
    spec = {"name": "j", "model": "b/base", "suite": "s", "judge": {"backend": {**backend}}}
    outputs = folder / "j.parquet", folder / "j.json"
    outside.main(
        [
            *("--spec", json.dumps(spec), "--verdicts", str(jsonl(folder / "v.jsonl", rows))),
            *("--predictions", str(path), "--items", f"open={folder / 'open.parquet'}"),
            *("--judgements", str(outputs[0]), "--run", str(outputs[1])),
        ]
    )
    return pq.read_table(outputs[0]), read_json(outputs[1])


def test_verdicts_from_a_file_are_judgements_like_any_other(tmp_path):
    table, run = judge(tmp_path, probability="p")
    assert table.schema.equals(judgement_schema())
    rows = {row["item"]: row for row in table.to_pylist()}
    assert [rows[name]["label"] for name in ("q0", "q1", "q2")] == [1, 0, None]
    assert [rows[name]["probability"] for name in ("q0", "q1", "q2")] == [0.9, 0.2, None]
    assert (rows["q2"]["outcome"], rows["q2"]["text"]) == ("unparsable", "Je ne sais pas")
    assert run["outcomes"] == {"label": 2, "unparsable": 1}
    assert run["unmatched"] == 1, "the verdict on another model's answer"
    assert judge(tmp_path)[0]["probability"].to_pylist() == [None, None, None]


@pytest.mark.parametrize(
    ("rows", "layout", "problem"),
    [
        (ROWS[1:], {}, "v.jsonl: no verdict on q0; expected one per answer"),
        ([*ROWS, {**ROWS[0], "verdict": "0"}], {}, "line 5: not the verdict on 'q0' of .*line 1; expected one each"),
        (ROWS, {"verdict": "score"}, "line 1: no column 'score'; expected it among model, item, verdict, p"),
        ([{**ROWS[0], "p": "90 %"}, *ROWS[1:]], {"probability": "p"}, "column 'p' is '90 %'; expected a number from 0"),
    ],
)
def test_verdicts_that_do_not_fit_are_named(tmp_path, rows, layout, problem):
    with pytest.raises(InputError, match=problem):
        judge(tmp_path, rows, **layout)


def test_rated_answers_are_found_by_their_id_or_by_model_and_item(tmp_path):
    rated = [
        {
            "answer": f"a{number}", "item": f"q{number}", "group": "g", "generator": "b/base", "question": "Pourquoi ?",
            "context": "", "reference": "R", "candidate": "C", "rater": "anne", "stratum": "", "weight": 1.0,
            "rating": 1.0,
        }
        for number in range(3)
    ]  # fmt: skip
    write_parquet(tmp_path / "h.parquet", pa.Table.from_pylist(rated, schema=human_schema()))
    (tmp_path / "t.jsonl").write_text(json.dumps({"q": "Pourquoi ?", "r": "R", "a": "C"}), encoding="utf-8")
    spec = {"name": "j", "set": "s", "judge": {"backend": {"kind": "outside"}}}

    def calibrated(rows):
        path = jsonl(tmp_path / "v.jsonl", rows)
        outputs = tmp_path / "j.parquet", tmp_path / "j.json"
        arguments = ["--spec", json.dumps(spec), "--verdicts", str(path), "--human", str(tmp_path / "h.parquet")]
        arguments += ["--trained-on", str(tmp_path / "t.jsonl"), "--judgements", str(outputs[0])]
        outside.main([*arguments, "--run", str(outputs[1])])
        return pq.read_table(outputs[0]), read_json(outputs[1])

    table, run = calibrated([{"item": f"a{number}", "verdict": str(number % 2)} for number in range(3)])
    assert table.schema.equals(calibration_schema())
    assert table["label"].to_pylist() == [0, 1, 0]
    assert table["triple_seen"].to_pylist() == [True, True, True]
    assert run["triples_seen"] == 3
    by_model, _ = calibrated([{"model": "b/base", "item": f"q{n}", "verdict": str(n % 2)} for n in range(3)])
    assert by_model.equals(table)


def test_a_judge_whose_verdicts_are_files_cannot_be_asked(tmp_path):
    made = items(3)
    shard(tmp_path, made)
    path = predictions(tmp_path, "one", made, {})
    spec = {"name": "j", "model": "m", "suite": "s", "judge": {"backend": {"kind": "outside"}}}
    arguments = ["--spec", json.dumps(spec), "--prompt", str(PROMPT), "--predictions", str(path), "--items"]
    arguments += [f"open={tmp_path / 'open.parquet'}", "--work", str(tmp_path / "work"), "--backend", "causal"]
    with pytest.raises(InputError, match="its verdicts come from files"):
        command.main(
            ["--backend", "causal", *arguments, "--judgements", str(tmp_path / "o"), "--run", str(tmp_path / "r")]
        )


def test_ratings_come_from_several_files_with_columns_of_their_own(tmp_path):
    wide = tmp_path / "wide.csv"
    wide.write_text("item,question,reference,candidate,anne\n1,Q,R,C,1\n2,Q2,R2,C,0\n", encoding="utf-8")
    long = [{"id": "1", "q": "Q", "gold": "R", "text": "C", "who": "bob", "note": "0"}]
    other = jsonl(tmp_path / "long.jsonl", long)
    columns_of = {
        "second": {"item": "id", "question": "q", "reference": "gold", "candidate": "text", "rater": "who",
                   "rating": "note"},
    }  # fmt: skip
    ratings = {"files": {"first": str(wide), "second": str(other)}, "columns": {"raters": ["anne"]}}
    spec = {"set": "s", "ratings": {**ratings, "columns_of": columns_of}}
    outputs = tmp_path / "h.parquet", tmp_path / "h.json"
    arguments = ["--spec", json.dumps(spec), "--ratings", f"first={wide}", f"second={other}"]
    human.main([*arguments, "--human", str(outputs[0]), "--report", str(outputs[1])])
    rows = {(row["item"], row["rater"]): row["rating"] for row in pq.read_table(outputs[0]).to_pylist()}
    assert rows == {("1", "anne"): 1, ("2", "anne"): 0, ("1", "bob"): 0}
    assert read_json(outputs[1])["answers"] == 2, "one answer that both rated"
    with pytest.raises(ValueError, match="names of files in columns_of, not third"):
        Ratings.model_validate({**ratings, "columns_of": {"third": columns_of["second"]}})
    with pytest.raises(ValueError, match="columns, or columns_of the file first too"):
        Ratings.model_validate({"files": ratings["files"], "columns_of": columns_of})
