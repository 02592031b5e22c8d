"""Tables in the page: sorted, filtered, copied."""

import csv
import io

import pytest

TABLE = "#table-effects-mcqa"


@pytest.fixture
def page(small_page):
    """The small page on a wide screen, with its tables open."""
    page = small_page.open()
    page.run("for (const one of document.querySelectorAll('details.table')) one.open = true")
    return page


def column(page, number, table=TABLE):
    """Return the shown texts of a column."""
    return page.run(
        "return [...document.querySelectorAll(arguments[0] + ' tbody tr')].filter((row) => !row.hidden)"
        ".map((row) => row.cells[arguments[1]].textContent.trim())",
        table,
        number,
    )


def sort_by(page, number, table=TABLE):
    """Click the title of a column."""
    page.run("arguments[0].click()", page.find_all(f"{table} thead th button")[number])


def copied(page, number, table=TABLE):
    """Press a copy button and return what reaches the clipboard."""
    page.run(
        "window.taken = null; Object.defineProperty(navigator, 'clipboard', {configurable: true, value:"
        " {writeText: (text) => { window.taken = text; return Promise.resolve(); }}})"
    )
    page.run("arguments[0].click()", page.find_all(f"{table} .tools button")[number])
    return page.wait("return window.taken")


def test_numbers_sort_as_numbers_in_both_directions(page):
    values = [float(text.split()[0].replace("−", "-")) for text in column(page, 2)]
    sort_by(page, 2)
    assert [float(text.split()[0].replace("−", "-")) for text in column(page, 2)] == sorted(values, reverse=True)
    sort_by(page, 2)
    assert [float(text.split()[0].replace("−", "-")) for text in column(page, 2)] == sorted(values)
    states = page.run(
        "return [...document.querySelectorAll(arguments[0] + ' th')].map((one) => one.getAttribute('aria-sort'))", TABLE
    )
    assert [state for state in states if state] == ["ascending"]


def test_names_sort_as_words_and_the_study_order_can_be_had_back_by_a_reload(page):
    original = column(page, 0)
    sort_by(page, 0)
    assert column(page, 0) == sorted(original)
    page.open()
    assert column(page, 0) == original == ["NAT", "TRAD", "SYN", "NAT-TRAD", "NAT-SYN", "TRAD-SYN", "ALL"]


def test_what_has_no_value_comes_last_in_both_directions(page):
    table = "#table-published-0"
    for _ in range(2):
        sort_by(page, 3, table)
        assert column(page, 3, table)[-1] == "–"


def test_words_filter_the_rows_and_the_count_says_so(page):
    box = page.find(f"{TABLE} input")
    box.send_keys("syn nat")
    assert column(page, 0) == ["NAT-SYN"]
    assert page.find(f"{TABLE} output").text == "1 of 7 rows"
    box.clear()
    box.send_keys("no such mix")
    assert column(page, 0) == []


def test_a_copy_as_csv_holds_the_shown_rows_with_plain_names(page):
    page.find(f"{TABLE} input").send_keys("SYN")
    rows = list(csv.reader(io.StringIO(copied(page, 0))))
    assert [row[0] for row in rows] == ["mix", "SYN", "NAT-SYN", "TRAD-SYN"]
    assert {len(row) for row in rows} == {8}
    assert "↕" not in rows[0][0]


def test_a_copy_as_latex_is_a_table_with_its_special_signs_escaped(page):
    table = "#table-models-mcqa-mcqa"
    text = copied(page, 1, table)
    assert text.startswith("\\begin{tabular}{lrrrrrrrr}\n\\toprule\nmodel & exact match, constrained decoding, \\% &")
    assert text.endswith("\\bottomrule\n\\end{tabular}\n")
    assert text.count("\\\\\n") == 9


def test_a_copy_as_csv_holds_text_that_no_spreadsheet_computes(page):
    texts = ["=1+1", "@SUM(A1)", "+1 or so", "'=1", "-0.5", "+3", "plain"]
    set_cells = (
        "[...document.querySelectorAll(arguments[0] + ' tbody tr')].forEach((row, n) => "
        "{ row.cells[0].textContent = arguments[1][n] ?? 'rest'; })"
    )
    page.run(set_cells, TABLE, texts)
    rows = list(csv.reader(io.StringIO(copied(page, 0))))
    shown = [row[0] for row in rows[1:]]
    assert shown == ["'=1+1", "'@SUM(A1)", "'+1 or so", "''=1", "-0.5", "+3", "plain"]


def test_tables_are_closed_say_their_size_and_open_for_an_address_that_names_them(small_page):
    page = small_page.open()
    closed = page.run("return [...document.querySelectorAll('details.table')].every((one) => !one.open)")
    assert closed
    assert page.find(f"{TABLE} summary .size").text == "7 rows × 8 columns"
    page.open(fragment=TABLE)
    page.wait(f"return document.querySelector('{TABLE}').open")
    page.find(f"{TABLE} summary").click()
    assert not page.find(f"{TABLE} tbody").is_displayed()


def test_head_and_first_column_stay_in_sight_while_a_table_is_scrolled(small_page):
    page = small_page.open(width=390)
    page.run("document.querySelector(arguments[0]).open = true", TABLE)
    box = page.find(f"{TABLE} .scroll")
    page.wait("return document.querySelector('#table-effects-mcqa .more:not([hidden])') !== null")
    page.run("arguments[0].style.maxHeight = '9rem'; arguments[0].scrollLeft = 120; arguments[0].scrollTop = 60", box)
    head, first, corner = page.run(
        "const box = arguments[0].getBoundingClientRect(), table = arguments[0].querySelector('table');"
        "const at = (cell) => { const one = cell.getBoundingClientRect();"
        " return [one.left - box.left, one.top - box.top]; };"
        "const head = table.tHead.rows[0].cells;"
        "return [head[2], table.tBodies[0].rows[4].cells[0], head[0]].map(at)",
        box,
    )
    assert abs(head[1]) < 1
    assert abs(first[0]) < 1
    assert [round(part) for part in corner] == [0, 0]


def test_numbers_of_a_column_stand_one_under_the_other(page):
    edges = page.run(
        "return [...document.querySelectorAll(arguments[0] + ' tbody tr')].map((row) => {"
        " const range = document.createRange(); range.selectNodeContents(row.cells[2].firstChild);"
        " return range.getBoundingClientRect().right; })",
        "#table-effects-mcqa",
    )
    assert max(edges) - min(edges) < 0.5, "intervals of other lengths leave the same room"


def test_a_table_of_equal_rows_is_a_sentence(page):
    assert page.find("#table-training").text.startswith(
        "Losses. NAT, TRAD, SYN, NAT-TRAD, NAT-SYN, TRAD-SYN, ALL have the same values. Updates: 20; first loss: 1.819;"
    )
    assert page.find_all("#table-training table") == []
