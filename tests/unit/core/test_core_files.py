import pyarrow as pa
import pytest

from posologie.errors import InputError
from posologie.files import read_json, read_parquet, sha256_of_file, write_csv, write_json, write_parquet
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
    path.write_text('{"a": 1,\n}')
    with pytest.raises(InputError, match=r"a\.json, line 2: not JSON"):
        read_json(path)


def test_numbers_in_csv_have_six_decimals_at_most_and_no_minus_zero(tmp_path):
    values = (1.0, 0.1 + 0.2, -1e-9, None, 12, "x")
    write_csv(tmp_path / "t.csv", ("place", "value"), [{"place": 0, "value": value} for value in values])
    assert (tmp_path / "t.csv").read_text(encoding="utf-8") == "place,value\n0,1\n0,0.3\n0,0\n0,\n0,12\n0,x\n"
    with pytest.raises(ValueError, match="row with \\['other'\\]"):
        write_csv(tmp_path / "t.csv", ("place",), [{"place": 0, "other": 1}])
