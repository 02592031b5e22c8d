"""Numbers for reading, and tables that are not what they should be."""

import pytest

from posologie.report.blocks import Cell, Column
from posologie.report.tables import decimal, interval, p_text, read_rows, table
from posologie.running.errors import InputError


@pytest.mark.parametrize(
    ("value", "digits", "sign", "shown"),
    [
        (1234.5, 1, False, "1,234.5"),
        (-0.04, 1, False, "0.0"),
        (-0.04, 1, True, "0.0"),
        (-3.14159, 2, False, "−3.14"),
        (2.0, 1, True, "+2.0"),
        (None, 1, False, "–"),
        (float("nan"), 1, False, "–"),
    ],
)
def test_numbers_are_set_for_reading(value, digits, sign, shown):
    assert decimal(value, digits, sign) == shown


def test_a_p_value_is_never_zero():
    assert p_text(0.0) == "< 0.001"
    assert p_text(0.0499) == "0.050"
    assert p_text(None) == "–"


def test_an_interval_without_an_end_is_none():
    assert interval(-1.0, 2.0, 1) == "[−1.0, 2.0]"
    assert interval(None, 2.0, 1) == ""


def test_notes_of_numbers_become_marks_that_the_caption_explains():
    columns = [Column("model", heading=True), Column("value", number=True), Column("verdict")]
    rows = [
        [Cell("a"), Cell("1", note="n too small"), Cell("higher", note="demonstration")],
        [Cell("b"), Cell("2", note="undefined in some draws"), Cell("lower")],
    ]
    made = table("t", "Title", "Caption.", columns, rows)
    assert made.caption == "Caption. † n too small. ‡ undefined in some draws."
    assert [row[1].mark for row in made.rows] == ["†", "‡"]
    assert made.rows[0][2].mark == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty; expected a line of column names"),
        ("a,b\n1\n", "line 2: 1 cells; expected 2"),
    ],
)
def test_a_broken_table_is_named_with_its_line(tmp_path, text, problem):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "t.csv").write_text(text)
    with pytest.raises(InputError, match=problem):
        read_rows(tmp_path, "t")


def test_a_cell_that_should_be_a_number_is_named(tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "t.csv").write_text("value\nmany\n")
    row = read_rows(tmp_path, "t")[0]
    with pytest.raises(InputError, match=r"t\.csv, line 2: value = 'many'; expected a number"):
        row.number("value")
    with pytest.raises(InputError, match=r"line 2: no column 'low'; found value"):
        row.number("low")
