import csv

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posologie.records.files import (
    read_csv,
    read_json,
    read_parquet,
    read_rows,
    sha256_of_file,
    write_csv,
    write_json,
    write_parquet,
)
from posologie.running.errors import InputError
from posologie.running.whole_files import whole_file


def test_a_file_appears_whole(tmp_path):
    target = tmp_path / "deep" / "file.txt"
    with whole_file(target) as partial:
        partial.write_text("half")
        assert not target.exists()
    assert target.read_text() == "half"
    assert [path.name for path in target.parent.iterdir()] == ["file.txt"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")

    def interrupted():
        with whole_file(target) as partial:
            partial.write_text("new")
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError):
        interrupted()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_equal_values_are_equal_bytes(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": "é"})
    write_json(tmp_path / "b.json", {"a": "é", "b": 1})
    assert sha256_of_file(tmp_path / "a.json") == sha256_of_file(tmp_path / "b.json")


def test_a_table_keeps_no_metadata_that_is_not_its_content(tmp_path):
    table = pa.table({"x": [1, 2]})
    write_parquet(tmp_path / "a.parquet", table)
    write_parquet(tmp_path / "b.parquet", table.replace_schema_metadata({"made": "today"}))
    assert sha256_of_file(tmp_path / "a.parquet") == sha256_of_file(tmp_path / "b.parquet")


def test_a_truncated_table_is_refused_by_name(tmp_path):
    path = tmp_path / "a.parquet"
    write_parquet(path, pa.table({"x": list(range(1000))}))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"a\.parquet: not a whole Parquet file"):
        read_parquet(path)


def test_what_is_not_json_is_named_with_its_line(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": 1,\n"b"}')
    with pytest.raises(InputError, match=r"a\.json, line 2: not JSON"):
        read_json(path)


def test_numbers_in_csv_have_six_decimals_at_most_and_no_minus_zero(tmp_path):
    values = (1.0, 0.1 + 0.2, -1e-9, None, 12, "x")
    write_csv(tmp_path / "t.csv", ("place", "value"), [{"place": 0, "value": value} for value in values])
    assert (tmp_path / "t.csv").read_text(encoding="utf-8") == "place,value\n0,1\n0,0.3\n0,0\n0,\n0,12\n0,x\n"
    with pytest.raises(ValueError, match="row with \\['other'\\]"):
        write_csv(tmp_path / "t.csv", ("place",), [{"place": 0, "other": 1}])


TRIGGERS = ("=1+1", "+cmd", "-x", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "'=1", "''=1", "-", "+1.2 [0.3, 2.1]")
LEFT = ("a=1", " =1", "-0.5", "+3", "-1e-05", "-.5", "'quoted'", "été", "", "−0.5", "1", "'")


@pytest.mark.parametrize("text", TRIGGERS)
def test_text_that_a_spreadsheet_would_compute_is_marked_in_the_file_and_read_back_as_it_was(tmp_path, text):
    write_csv(tmp_path / "t.csv", ["name", "value"], [{"name": text, "value": -0.5}])
    with open(tmp_path / "t.csv", encoding="utf-8", newline="") as file:
        assert list(csv.reader(file))[1] == [f"'{text}", "-0.5"]
    assert read_rows(tmp_path / "t.csv") == [{"name": text, "value": "-0.5"}]


@pytest.mark.parametrize("text", LEFT)
def test_numbers_and_harmless_text_stay_as_they_are(tmp_path, text):
    write_csv(tmp_path / "t.csv", ["name"], [{"name": text}, {"name": "end"}])
    with open(tmp_path / "t.csv", encoding="utf-8", newline="") as file:
        assert [row or [""] for row in csv.reader(file)][1] == [text]
    assert text == "" or read_rows(tmp_path / "t.csv")[0] == {"name": text}


@given(st.lists(st.text(st.sampled_from("'=+-@\t\r\n＝1.e ,\"a"), min_size=1, max_size=6), min_size=1, max_size=4))
def test_every_text_comes_back_as_it_was_written(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    write_csv(path, ["name"], [{"name": text} for text in texts])
    assert [row["name"] for row in read_rows(path)] == texts


@pytest.mark.parametrize(
    ("content", "problem"),
    [("", "empty; expected a line of column names"), ("a,b\n1\n", "line 2: 1 cells; expected 2")],
)
def test_a_table_with_missing_cells_is_refused(tmp_path, content, problem):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(InputError, match=problem):
        read_csv(tmp_path / "t.csv")
