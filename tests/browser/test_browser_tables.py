"""Tables in the page: sorted, filtered, copied."""

import csv
import io

TABLE = "#table-effects-mcqa"


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
    given = column(page, 0)
    sort_by(page, 0)
    assert column(page, 0) == sorted(given)
    page.open()
    assert column(page, 0) == given == ["NAT", "TRAD", "SYN", "NAT-TRAD", "NAT-SYN", "TRAD-SYN", "ALL"]


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
