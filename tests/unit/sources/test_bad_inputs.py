"""Input that is broken in ways that people and programs break it: an item that is right, a reason, or one line."""

import gzip
import io
import json
import zipfile

import pyarrow
import pyarrow.parquet
import pytest

from posologie.running.errors import InputError
from posologie.sources.cleaning import Rejected
from posologie.sources.options import labelled_list

LIST = {"question": "q", "options": "o", "answer": "k"}
CELLS = {"question": "q", "options": ["a", "b"], "answer": "k", "answer_form": "labels"}
INSIDE = {"question": "q", "answer": "k", "options_in_question": True, "answer_form": "labels"}


def with_form(form):
    return {**LIST, "answer_form": form}


def record(o, k, q="Welches Organ ?", **more):
    return {"q": q, "o": o, "k": k, **more}


ABC = ["Leber", "Milz", "Niere"]

REJECTED = {
    "answer beyond the options": (record(ABC, "D"), LIST, "gold outside the options"),
    "answer beyond numbered options": (record(dict(zip("123", ABC, strict=True)), 4), LIST, "gold outside the options"),
    "map with labels that differ by case": (record({"a": "x", "A": "y"}, "A"), LIST, "labels repeated"),
    "map with labels that differ by a mark": (record({"A)": "x", "A.": "y", "B": "z"}, "A"), LIST, "labels repeated"),
    "letter into a numbered map": (record({"1": "x", "2": "y"}, "B"), LIST, "gold outside the options"),
    "number into lettered options": (record(ABC, 2), LIST, "unreadable answer"),
    "count from 0 into a map from 1": (
        record({"1": "x", "2": "y", "3": "z"}, 1),
        with_form("index0"),
        "ambiguous answer",
    ),
    "count into letters with a gap": (
        record({"A": "x", "C": "y", "D": "z"}, 2),
        with_form("index1"),
        "ambiguous answer",
    ),
    "Cyrillic letter for a Latin one": (record(ABC, "А"), LIST, "unreadable answer"),
    "letter that is also a text": (record(["x", "A", "B"], "A"), LIST, "ambiguous answer"),
    "number that is a text and a place": (record(["2", "3", "1"], "2"), LIST, "ambiguous answer"),
    "true for a number": (record(ABC, True), with_form("index1"), "unreadable answer"),
    "half an index": (record(ABC, 1.5), with_form("index1"), "unreadable answer"),
    "a letter for an index": (record(ABC, "A"), with_form("index1"), "unreadable answer"),
    "an infinite answer": (record(ABC, float("inf")), with_form("index1"), "unreadable answer"),
    "a map for an answer": (record(ABC, {"A": 1}), LIST, "field is not text"),
    "no answer": (record(ABC, None), LIST, "unlabelled"),
    "an answer that is not a number": (record(ABC, float("nan")), LIST, "unlabelled"),
    "an empty list of answers": (record(ABC, "[]"), LIST, "unlabelled"),
    "flags for other options": (record(ABC, [0, 1]), with_form("one_hot"), "unreadable answer"),
    "flags beyond the options": (record(ABC, [0, 0, 0, 1]), with_form("one_hot"), "unreadable answer"),
    "no flag set": (record(ABC, [0, 0, 0]), with_form("one_hot"), "unlabelled"),
    "flags that are no flags": (record(ABC, [0.2, 0.7, 0.1]), with_form("one_hot"), "unreadable answer"),
    "flags where labels are expected": (record(ABC, [0, 1, 0]), LIST, "unreadable answer"),
    "two golds of one text": (record(["x", "x", "y"], "A"), LIST, "duplicate options with different keys"),
    "one option": (record(["x"], "A"), LIST, "fewer than two options"),
    "all options empty": (record(["", None, " "], "A"), LIST, "gold names an empty option"),
    "27 options": (record([f"x{n}" for n in range(27)], "A"), LIST, "more than 26 options"),
    "options without labels in a text": (record("Leber, Milz, Niere", "A"), LIST, "fewer than two options"),
    "labels out of order in a text": (record("A) x B) y A) z", "A"), LIST, "unreadable options"),
    "labels with a gap in a text": (record("A) x B) y D) z", "B"), LIST, "unreadable options"),
    "two lists in a text": (record("(1) Fieber (2) Husten (A) nur 1 (B) nur 2", "A"), LIST, "unreadable options"),
    "species where a list is expected": (record("A. niger B. subtilis E. coli", "A"), LIST, "unreadable options"),
    "text before the first label": (record("Optionen A) x B) y", "A"), LIST, "fewer than two options"),
    "letters in the texts against their places": (record(["B. x", "A. y"], "A"), LIST, "ambiguous answer"),
    "options as a list of maps": (record([{"t": "x"}, {"t": "y"}], "A"), LIST, "unreadable options"),
    "options as a map of lists": (record({"t": ["x", "y"]}, "A"), LIST, "unreadable options"),
    "options as a number": (record(7, "A"), LIST, "unreadable options"),
    "options as lists of lists": (record([["x"], ["y"]], "A"), LIST, "field is not text"),
    "an option that is a truth value": (record(["x", True], "A"), LIST, "field is not text"),
    "an infinite option": (record(["x", float("inf")], "A"), LIST, "field is not text"),
    "labels of another number than the options": (
        *(record(ABC, "1", l=["1", "2"]), {**LIST, "option_labels": "l"}, "unreadable options"),
    ),
    "a label that is missing": (
        record(ABC, "1", l=["1", None, "3"]),
        {**LIST, "option_labels": "l"},
        "unreadable options",
    ),
    "the same label twice": (record(ABC, "1", l=["1", "1", "3"]), {**LIST, "option_labels": "l"}, "labels repeated"),
    "an empty question": (record(ABC, "A", q="\u200b \u00a0"), LIST, "empty question"),
    "a question that pandas wrote": (record(ABC, "A", q="nan"), LIST, "empty question"),
    "a question of marks": (record(ABC, "A", q="<p>…</p> 12 ?"), LIST, "no letters in the question"),
    "an open answer that is not a number": (
        *(record(None, float("nan")), {"question": "q", "answer": "k"}, "empty answer"),
    ),
    "an open answer that pandas wrote": (record(None, "nan"), {"question": "q", "answer": "k"}, "empty answer"),
    "a list for a question": (record(ABC, "A", q=["x"]), LIST, "field is not text"),
    "a replacement character": (record(["x", "y\ufffd"], "A"), LIST, "damaged characters"),
    "two members that fit": (
        *({"m": [{"r": "u", "c": "Wo?"}, {"r": "u", "c": "Was?"}]}, {"question": "m[r=u].c", "answer": "k"}),
        "ambiguous field",
    ),
    "no member that fits": ({"m": []}, {"question": "m[r=u].c", "answer": "k"}, "missing field"),
    "a path into a text": (record(ABC, "A"), {**LIST, "question": "q.text"}, "missing field"),
    "a pattern that does not fit": (record(ABC, "B"), {**LIST, "answer_pattern": "ist (.)"}, "unreadable answer"),
    "an image": (record(ABC, "A", image=["1.png"]), {**LIST, "must_be_empty": ["image"]}, "not for readers of text"),
    "a column of no option": ({"q": "Wo ?", "k": "A", "a": "x"}, CELLS, "missing field"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_a_record_that_is_not_certain_is_rejected_with_its_reason(read, name):
    bad, options, reason = REJECTED[name]
    shard = read("columns", {"a.jsonl": json.dumps(bad) + "\n"}, options=options)
    assert shard.items == []
    assert shard.reasons == {reason: 1}


KEPT = {
    "full-width letter": (record(ABC, "Ｂ"), LIST, "Milz"),
    "label with marks": (record(ABC, " b). "), LIST, "Milz"),
    "answer that begins with its label": (record(ABC, "B: Milz"), LIST, "Milz"),
    "option whose text is a letter": (record(["x", "d", "y", "z"], "B. d"), with_form("labels"), "d"),
    "map in no order": (record({"10": "x", "9": "y", "1": "z"}, "10"), LIST, "x"),
    "map with an empty option": (record({"A": "x", "B": None, "C": "z"}, "C"), LIST, "z"),
    "map from 0": (record({"0": "x", "1": "y"}, 1), LIST, "y"),
    "Cyrillic labels": (record({"А": "x", "Б": "y", "В": "z"}, "Б"), LIST, "y"),
    "Arabic labels": (record("أ) نعم ب) لا ج) ربما", "ب", q="أين ؟"), LIST, "لا"),
    "Chinese list": (record("A、肝 B、脾 C、肾", "C", q="哪个器官"), LIST, "肾"),
    "circled numbers": (record("①肝 ②脾 ③肾", "②", q="哪个器官"), LIST, "脾"),
    "Japanese labels": (record("ア．肝臓 イ．脾臓", "イ", q="どれか"), LIST, "脾臓"),
    "Hindi labels": (record("(क) यकृत (ख) प्लीहा", "ख", q="कौन सा अंग"), LIST, "प्लीहा"),
    "letters in the texts in another order": (record(["B) x", "A) y"], "A"), LIST, "y"),
    "letters in the texts with a gap": (record(["A) x", "C) y", "D) z"], "C"), LIST, "y"),
    "inner parentheses": (record("(A) x (siehe (B) oben) (B) y (C) z", "B"), LIST, "y"),
    "statements, then options": (
        *(record(None, "A", q="1) Fieber 2) Husten. Was trifft zu? A) nur 1 B) nur 2"), INSIDE, "nur 1"),
    ),
    "context that pandas wrote": (record(ABC, "A", c="nan"), {**LIST, "context": "c"}, "Leber"),
    "entities": (record(["&lt;5 mg", "&gt;5 mg"], "<5 mg"), LIST, "<5 mg"),
    "a list written as text": (record("['Leber', 'Milz']", "B"), LIST, "Milz"),
    "last member of a list": (
        *({"m": [{"c": "x"}, {"c": "Wo ?"}], "o": ABC, "k": "A"}, {**LIST, "question": "m.-1.c"}, "Leber"),
    ),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_record_that_only_looks_broken_gives_its_item(read, name):
    odd, options, gold = KEPT[name]
    shard = read("columns", {"a.jsonl": json.dumps(odd) + "\n"}, options=options)
    assert shard.reasons == {}
    assert [item.options[place] for item in shard.items for place in item.gold] == [gold]


def twice_in_parquet():
    sink = pyarrow.BufferOutputStream()
    column = pyarrow.array(["x"])
    table = pyarrow.Table.from_arrays([column, column, column, column], names=["q", "a", "a", "k"])
    pyarrow.parquet.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def zipped():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("x.txt", "x")
    return out.getvalue()


STOPPED = {
    "a column twice": ("a.csv", "q,a,b,a,k\nx,1,2,3,A\n", "column 'a' occurs twice, as 2 and 4"),
    "a column twice but for blanks": ("a.csv", "q,a,b,a ,k\nx,1,2,3,A\n", "column 'a' occurs twice"),
    "a column twice in Parquet": ("a.parquet", twice_in_parquet(), "column 'a' occurs twice"),
    "a key twice in a line": (
        "a.jsonl",
        '{"q": "x"}\n{"k": "A", "k": "B"}\n',
        "line 2: a record has the key 'k' twice",
    ),
    "a key twice in a list": ("a.json", '[{"q": "x"}, {"k": 1, "k": 2}]', "record 2: a record has the key 'k' twice"),
    "a key twice inside": ("a.jsonl", '{"o": {"A": "x", "A": "y"}}\n', "line 1: a record has the key 'A' twice"),
    "a key twice in one object": ("a.json", '{"q": 1,\n"q": 2}', "record 1: a record has the key 'q' twice"),
    "an empty table": ("a.csv", "", "empty; expected a line of column names"),
    "an empty tab-separated table": ("a.tsv", "\n\n", "empty; expected a line of column names"),
    "a quote that never closes": ("a.csv", 'q,a,b,k\n"x",1,2,A\n"y,1,2,A\n', "needs quoting: false"),
    "columns of another name": ("a.csv", "frage,a,b,k\nx,1,2,A\n", "no column 'q'; it has frage, a, b, k"),
    "a workbook under the name of a table": ("a.csv", zipped(), "a.csv"),
    "a table under the name of a workbook": ("a.xlsx", b"q,a,b,k\nx,1,2,A\n", "not a whole XLSX file"),
    "an archive under the name of a workbook": ("a.xlsx", zipped(), "not a whole XLSX file"),
    "text under the name of gzip": ("a.csv.gz", b"q,a,b,k\nx,1,2,A\n", "not a whole .gz file"),
    "gzip of half a file": ("a.csv.gz", gzip.compress(b"q,a,b,k\n" * 999)[:30], "not a whole .gz file"),
    "text under the name of zstandard": ("a.csv.zst", b"q,a,b,k\nx,1,2,A\n", "a.csv.zst"),
    "a JSON text": ("a.json", '"q"', "begins with"),
    "an HTML page": ("a.json", "<html>", "begins with '<'"),
    "an object that breaks off": ("a.json", '{"q": \n"x",', "record 1: not JSON"),
    "a format that is none": ("a.xml", "<q/>", "is not a known format"),
    "a compression of nothing": ("a.gz", gzip.compress(b"x"), "is not a known format"),
}


@pytest.mark.parametrize("name", STOPPED)
def test_a_file_that_cannot_be_read_for_certain_stops_in_one_line(read, name):
    file, content, message = STOPPED[name]
    with pytest.raises(InputError, match=message) as error:
        read("columns", {file: content}, options=CELLS)
    assert "\n" not in str(error.value)
    assert file in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoding": "klingon"}, "the name of an encoding"),
        ({"encoding": "base64"}, "the name of an encoding"),
        ({"delimiter": ";;"}, "delimiter"),
        ({"records": "a..b"}, "records as names"),
        ({"answer": ["x", "y"]}, "answer_form: one_hot"),
        ({"answer_pattern": "no group"}, "answer_pattern with one group"),
        ({"answer_pattern": "(?P<label>.)(?P<other>.)"}, "answer_pattern with one group"),
        ({"question_pattern": "("}, "a regular expression"),
        ({"carve": {"test": 1.0}}, "carve.test"),
        ({"carve": {"seed": 1}}, "carve = .*shares of validation and test"),
        ({"carve": {"test": 0.6, "validation": 0.5}}, "shares of validation and test"),
        ({"carve": {"test": 0.5}, "split_column": "s", "splits": {"a": "test"}}, "either carve or split_column"),
        ({"option_separator": "|", "option_labels": "l"}, "option_labels only with"),
    ],
)
def test_an_option_that_makes_no_sense_is_one_line(read, options, message):
    with pytest.raises(InputError, match=message) as error:
        read("columns", {"a.csv": "q,a,b,k\nx,1,2,A\n"}, options={**CELLS, **options})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A)",
        "A) ",
        "A) x",
        "((((",
        "))))",
        "A) B) C)",
        "1. 2. 3.",
        "(A)(B)",
        "A) x" * 500,
        "①",
        "A) x B)" + " " * 99,
    ],
)
def test_a_text_of_labels_and_nothing_else_is_no_list_and_no_crash(text):
    try:
        _, labels, options = labelled_list(text, whole=True)
    except Rejected:
        return
    assert len(labels) == len(options) > 1
