"""`posologie compare`: what differs between two runs, in settings and in numbers."""

import csv
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pytest

from posologie.cli.comparison import study_document
from posologie.records.files import read_parquet, read_rows, write_csv, write_parquet, write_text


@pytest.fixture
def two(project):
    """Two studies that are the same so far."""
    shutil.copytree("results/simulated", "results/other")
    return project


def change_record(path, **change):
    """Change a run record."""
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def test_a_study_is_the_same_as_its_copy(two, asked, posologie):
    code, comparison = asked("compare", "results/simulated", "results/other")
    assert code == 0
    assert comparison["settings"] == []
    assert {table["table"]: table["changed"] for table in comparison["tables"]} == {
        "composition": 0,
        "contrasts": 0,
        "mcqa": 0,
    }
    _, out, _ = posologie("compare", "results/simulated", "results/other")
    assert "Specs, code and versions are the same." in out


def test_a_changed_setting_is_named_with_both_values_and_where(two, asked):
    for mix in ("NAT", "SYN"):
        path = two / f"results/other/adapters/tiny/{mix}/seed-42/run.json"
        change_record(
            path, spec={"model": f"tiny/{mix}/seed-42", "stage": "training", "recipe": {"learning_rate": 2e-4}}
        )
    code, comparison = asked("compare", "results/simulated", "results/other")
    assert code == 1
    assert comparison["settings"] == [
        {
            "setting": "spec.recipe.learning_rate",
            "a": "0.0001",
            "b": "0.0002",
            "in": ["adapters/tiny/NAT/seed-42/run.json", "adapters/tiny/SYN/seed-42/run.json"],
        }
    ]


def test_changed_numbers_come_first_and_largest_first(two, asked, posologie):
    path = two / "results/other/tables/contrasts.csv"
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0]["value"] = str(float(rows[0]["value"]) + 1)
    rows[1]["value"] = str(float(rows[1]["value"]) - 5)
    rows[2]["note"] = "another"
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows[:-1])
    code, comparison = asked("compare", "results/simulated", "results/other")
    table = next(table for table in comparison["tables"] if table["table"] == "contrasts")
    assert code == 1
    assert (table["changed"], table["only_a"], table["only_b"]) == (3, 1, 0)
    assert [(change["column"], change["change"]) for change in table["changes"]] == [
        ("value", pytest.approx(-5)), ("value", pytest.approx(1)), ("note", None),
    ]  # fmt: skip
    _, out, _ = posologie("compare", "results/simulated", "results/other", "--most", "1")
    assert "… and 2 more changed cells" in out


def test_two_run_records_are_compared_whole(two, asked):
    records = [f"results/simulated/adapters/tiny/{mix}/seed-42/run.json" for mix in ("NAT", "SYN")]
    code, comparison = asked("compare", *records)
    assert code == 1
    assert {"spec.model", "seconds"} <= {setting["setting"] for setting in comparison["settings"]} | {"seconds"}
    assert any(setting["setting"].startswith("inputs.") for setting in comparison["settings"])


def test_a_model_that_only_one_study_has_is_told(two, asked):
    shutil.rmtree("results/other/adapters/tiny/ALL")
    _, comparison = asked("compare", "results/simulated", "results/other")
    assert {
        "setting": "run record",
        "a": "there",
        "b": "absent",
        "in": ["adapters/tiny/ALL/seed-42/run.json"],
    } in comparison["settings"]


def test_a_folder_without_records_is_refused(project, posologie):
    (project / "empty").mkdir()
    code, _, err = posologie("compare", "results/simulated", "empty")
    assert code == 2
    assert "empty: holds no run record" in err
    code, _, err = posologie("compare", "results/simulated", "nowhere")
    assert code == 2
    assert "nowhere: expected the folder of a study's results" in err


class Read(HTMLParser):
    """The elements of a page: names, links, and the text of each table by its id."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.links, self.tables, self._table = [], [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        by_name = dict(attributes)
        self.elements.append(tag)
        if tag == "a":
            self.links.append(by_name.get("href", ""))
        if tag == "div" and by_name.get("class") == "table":
            self._table = self.tables.setdefault(by_name["id"], [])
        if tag == "section" or (tag == "p" and not by_name):
            self._table = None
        if tag == "tr" and self._table is not None:
            self._table.append([])

    def handle_data(self, data):
        if self._table and data.strip():
            self._table[-1].append(data.strip())


def compared(posologie, *arguments):
    """Write the page on the two studies and return what it holds, and its text."""
    _, _, err = posologie("compare", "results/simulated", "results/other", "--html", "pages/two.html", *arguments)
    assert not err
    text = Path("pages/two.html").read_text(encoding="utf-8")
    return Read(text), text


def test_the_page_shows_changed_rows_with_both_intervals_and_what_else_changed(two, posologie):
    path = two / "results/other/tables/contrasts.csv"
    rows = read_rows(path)
    before = dict(rows[0])
    rows[0] |= {"value": str(float(rows[0]["value"]) + 50), "low": "1", "high": "99", "verdict": "better"}
    write_csv(path, list(rows[0]), rows)
    page, text = compared(posologie)
    head, first = page.tables["table-contrasts-rows"][:2]
    assert head == ["row", "value in A", "value in B", "B − A", "also changed"]
    assert first[-2:] == ["+50.00", f"verdict: {before['verdict']} → better"]
    assert "[1.00, 99.00]" in first
    assert "The same in both studies: composition, mcqa." in text
    assert "Specs, code and versions of the runs are the same." in text


def test_the_page_names_the_items_with_another_answer_and_links_into_both_reports(two, posologie):
    path = two / "results/other/predictions/tiny/NAT/seed-42/mcqa.parquet"
    table = read_parquet(path)
    rows = table.to_pylist()
    moved = next(row for row in rows if row["variant"] == "original")
    right = sorted(moved["constrained_labels"]) == sorted(moved["gold"])
    moved["constrained_labels"] = [(moved["gold"][0] + right) % 5] if len(moved["gold"]) == 1 else []
    write_parquet(path, pa.Table.from_pylist(rows, table.schema))
    for name in ("simulated", "other"):
        index = {"ids": [moved["item"]], "beginnings": ["<img src=x onerror=alert(1)> first words"]}
        write_text(f"results/{name}/report/items/index.js", f"posologie.index({json.dumps(index)});\n")
        write_text(f"results/{name}/report/index.html", "<p>")
    page, _ = compared(posologie)
    [row] = page.tables["table-items"][1:]
    assert row[0] == moved["item"]
    assert "<img src=x onerror=alert(1)> first words" in row
    assert "img" not in page.elements, "text from data is never markup"
    links = [f"../results/{name}/report/index.html#item={moved['item']}" for name in ("simulated", "other")]
    assert [link for link in page.links if "report" in link] == links
    row_shown = next(row for row in page.tables["table-models"] if row[:2] == ["tiny/NAT/seed-42", "mcqa"])
    assert row_shown[2:4] == ["24", "23"]


def test_studies_of_different_shapes_are_compared(two, posologie):
    other = two / "results" / "other"
    for mix in ("SYN", "ALL"):
        shutil.rmtree(other / "predictions" / "tiny" / mix)
        shutil.rmtree(other / "adapters" / "tiny" / mix)
    (other / "predictions" / "tiny" / "NAT" / "seed-42" / "oeq.parquet").rename(
        other / "predictions/tiny/NAT/essay.parquet"
    )
    (other / "tables" / "composition.csv").unlink()
    path = other / "tables" / "mcqa.csv"
    kept = [row for row in read_rows(path) if row["mix"] not in ("SYN", "ALL")]
    rows = [{**row, "judge": f"<b>{judge}</b>"} for row in kept for judge in range(2)]
    write_csv(path, list(rows[0]), rows)
    page, text = compared(posologie)
    assert "Only in A: composition (" in text
    assert "distinguished by judge; paired in order" in text
    assert "Only A has model tiny/ALL/seed-42, tiny/SYN/seed-42" in text
    assert "only A has tiny/ALL/seed-42, tiny/SYN/seed-42" in text.replace("Only A has", "only A has")
    assert "b" not in page.elements


def test_the_study_files_are_compared_key_by_key(two, posologie):
    write_text("a.yaml", "study: one\nmixes: {NAT: {size: 24}}\nsources: [x]\n")
    write_text("b.yaml", "study: one\nmixes: {NAT: {size: 48}, '<script>': {size: 1}}\nsources: [x]\n")
    path = two / "results/other/adapters/tiny/NAT/seed-42/run.json"
    change_record(path, code="another")
    page, text = compared(posologie, "--studies", "a.yaml", "b.yaml")
    assert page.tables["table-study-files"][1:] == [["mixes.NAT.size", "24", "48"], ["mixes.<script>.size", "–", "1"]]
    assert text.count("<script>") == 1, "the page's own"
    write_text("b.yaml", "- x")
    code, _, err = posologie(
        "compare", "results/simulated", "results/other", "--html", "x.html", "--studies", "a.yaml", "b.yaml"
    )
    assert (code, err) == (2, "error: b.yaml: expected a study file, a map of keys\n")


def test_the_study_file_of_the_last_run_is_found(two):
    seal = {"made": {"run": "r1", "started": "2026-01-01"}}
    write_text("results/other/tables/mcqa.csv.seal.json", json.dumps(seal))
    for path in Path("results/other/tables").glob("*.seal.json"):
        write_text(path, json.dumps(seal))
    assert study_document(Path("results/other")) is None
    write_text("work/other/runs/r1/study.json", json.dumps({"document": {"study": "other"}, "origin": "x.yaml"}))
    document, place = study_document(Path("results/other"))
    assert document == {"study": "other"}
    assert place == "work/other/runs/r1/study.json"


def test_a_page_on_two_run_records_is_refused(two, posologie):
    records = [f"results/simulated/adapters/tiny/{mix}/seed-42/run.json" for mix in ("NAT", "SYN")]
    code, _, err = posologie("compare", *records, "--html", "x.html")
    assert (code, err) == (2, "error: --html: expected the folders of two studies, not two run records\n")
