import json

import pyarrow
import pyarrow.parquet
import pytest

from posologie.running.errors import InputError
from posologie.sources import records
from posologie.sources.cleaning import Malformed
from posologie.sources.records import read_keyed_rows, read_rows, read_unlabelled_cells

RECORDS = [{"n": number, "t": "é" * (number % 50)} for number in range(900)]


def all_of(path, reading=read_rows):
    return [record for rows in reading({path.name: path}) for record in rows.values()]


@pytest.mark.parametrize("block", [1, 7, 64, 1 << 22])
@pytest.mark.parametrize("indent", [None, 1])
def test_a_json_list_is_read_alike_whatever_the_blocks(tmp_path, monkeypatch, block, indent):
    monkeypatch.setattr(records, "_BLOCK", block)
    expected = [*RECORDS[:40], 12, "texte", None, [1], -1.5e3]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(expected, indent=indent, ensure_ascii=False), encoding="utf-8")
    assert all_of(path) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"n": 1}', "ends after record 1"),
        ('[{"n": 1} {"n": 2}]', "after record 1: '{'; expected ',' or ']'"),
        ('[{"n": 1}, {"n": ]', "record 2: not JSON"),
        ('[{"n": 1},]', "record 2: not JSON"),
        ("", "begins with nothing"),
        ("<html>", "begins with '<'"),
        ('{\n "data": []\n}', "line 1: no whole JSON record"),
        ("[" * 100_000, "record 1: not JSON"),
    ],
)
def test_a_file_that_breaks_off_is_an_error_that_names_the_place(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"a\.json") as error:
        all_of(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_bad_line_of_json_lines_is_one_malformed_record_with_its_line_number(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"n": 1}\n\n{"n": \n{"n": "\xff"}\r\n{"n": 2}')
    first, bad, not_utf8, last = all_of(path)
    assert (first, last) == ({"n": 1}, {"n": 2})
    assert isinstance(bad, Malformed)
    assert bad.detail.startswith("line 3: not JSON")
    assert not_utf8 == {"n": "\udcff"}


def test_json_lines_under_the_name_json_are_known_by_their_first_character(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"n": 1}\n{"n": 2}\n')
    assert all_of(path) == [{"n": 1}, {"n": 2}]


def test_rows_are_numbered_from_one_across_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "BATCH", 400)
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    assert [(rows.first, len(rows.values())) for rows in read_rows({"a": path})] == [(1, 400), (401, 400), (801, 100)]


def test_a_csv_row_of_another_width_is_malformed_and_cells_may_hold_line_breaks(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('q,a\n"deux\nlignes, ""citées""",B\nseul\n\ntrop,de,cellules\n', encoding="utf-8")
    first, short, long = all_of(path)
    assert first == {"q": 'deux\nlignes, "citées"', "a": "B"}
    assert (short.detail, long.detail) == ("1 cells; expected 2", "3 cells; expected 2")


def test_tab_separated_text_is_read_with_quoting_off(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text('id\ttexte\n1\t "ouvre une citation\n2\tfin"\n', encoding="utf-8")
    assert all_of(path) == [{"id": "1", "texte": ' "ouvre une citation'}, {"id": "2", "texte": 'fin"'}]


def test_a_quote_that_never_closes_is_an_error_that_names_the_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('"ouvert,A\nB\n')
    with pytest.raises(InputError, match=r"a\.csv, line"):
        all_of(path, read_unlabelled_cells)


def test_parquet_is_read_in_batches_and_text_that_is_not_utf8_spoils_only_its_row(tmp_path):
    bad = pyarrow.Array.from_buffers(
        pyarrow.string(),
        3,
        [None, pyarrow.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0"), pyarrow.py_buffer(b"a\xffc")],
    )
    pyarrow.parquet.write_table(pyarrow.table({"t": bad}), tmp_path / "a.parquet")
    first, spoilt, last = all_of(tmp_path / "a.parquet")
    assert (first, last) == ({"t": "a"}, {"t": "c"})
    assert isinstance(spoilt, Malformed)


@pytest.mark.parametrize("content", [b"", b"PAR1 tronqu\xc3\xa9"])
def test_a_truncated_parquet_file_is_an_error(tmp_path, content):
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a whole Parquet file"):
        all_of(path)


def test_an_object_by_key_is_read_member_by_member_and_nothing_else_is(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"x": {"n": 1}, "y": 2}')
    assert all_of(path, read_keyed_rows) == [{"key": "x", "value": {"n": 1}}, {"key": "y", "value": 2}]
    path.write_text("[1]")
    with pytest.raises(InputError, match="expected an object"):
        all_of(path, read_keyed_rows)


@pytest.mark.parametrize("name", ["absent.json", "absent.jsonl", "absent.csv", "absent.parquet"])
def test_a_file_that_is_absent_is_named(tmp_path, name):
    with pytest.raises(InputError, match=rf"{name}.*[Nn]o such file"):
        all_of(tmp_path / name)


def test_an_unknown_format_is_named(tmp_path):
    with pytest.raises(InputError, match=r"'.xlsx' is not a known format"):
        all_of(tmp_path / "a.xlsx")
