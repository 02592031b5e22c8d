"""Numbers for reading, and tables that are not what they should be."""

import pytest

from posologie.report.blocks import Cell, Column
from posologie.report.html import interval_widths, unbroken
from posologie.report.tables import Row, as_it_is, decimal, interval, p_text, read_rows, table
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


def test_a_table_of_equal_rows_says_what_each_of_them_holds():
    columns = [Column("model", heading=True), Column("EM, %", number=True), Column("verdict")]
    cells = [Cell("0.0", 0.0, interval="[0.0, 32.4]", note="n too small; demonstration"), Cell("not settled")]
    rows = [[Cell(name), *cells] for name in ("base", "NAT")]
    assert table("t", "Title", "Caption.", columns, rows).alike == (
        "base, NAT have the same values. EM, %: 0.0 [0.0, 32.4]; verdict: not settled. Note: n too small; "
        "demonstration."
    )
    assert table("t", "Title", "", columns, rows[:1]).alike == "", "one row is shown as it is"
    other = [Cell("SYN"), Cell("0.0", 0.0, interval="[0.0, 32.4]"), Cell("not settled")]
    assert table("t", "Title", "", columns, [*rows, other]).alike == "", "a note makes a row another one"
    texts = [Column("run", heading=True), Column("file")]
    assert table("t", "Title", "", texts, [[Cell("a"), Cell("x")], [Cell("b"), Cell("x")]]).alike == ""


def test_a_table_that_is_shown_as_it_is_has_the_same_digits_in_a_column():
    rows = [
        Row({"mix": mix, "share": share}, "t.csv") for mix, share in (("A", "0.5"), ("B", "-0.33333333"), ("C", ""))
    ]
    made = as_it_is("t", "Title", "", rows)
    assert [row[1].text for row in made.rows] == ["0.5000", "−0.3333", "–"]
    assert [row[1].copy for row in made.rows] == ["0.5", "-0.33333333", ""]


def test_intervals_of_a_column_leave_the_same_room():
    columns = [Column("model", heading=True), Column("value", number=True), Column("n", number=True)]
    rows = [
        [Cell("a"), Cell("1", interval="[0, 2]"), Cell("4")],
        [Cell("b"), Cell("10", interval="[−10, 20]"), Cell("4")],
    ]
    assert interval_widths(table("t", "", "", columns, rows)) == [0, 8.1, 0]
    assert interval_widths(table("t", "", "", columns, [])) == [0, 0, 0]


def test_numbers_stay_with_their_signs():
    assert unbroken("95 % interval, p = 0.02, n < 5, [−1.0, +2.0]").count(" ") == 4


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
