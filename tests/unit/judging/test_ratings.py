import csv
import gzip
import json

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from endpoint_server import Answer, EndpointServer, completion
from judging_made import PROMPT, items, predictions, shard

from posologie.judging import command, human, kit
from posologie.judging.answers import calibration_schema, human_schema
from posologie.judging.overlap import overlap
from posologie.records.files import read_json
from posologie.running.errors import InputError

COLUMNS = {
    "question": "q",
    "reference": "r",
    "candidate": "c",
    "item": "id",
    "generator": "model",
    "raters": ["Anne", "Bob"],
}
WIDE = [
    {"id": "1", "q": "Quel germe ?", "r": "E. coli", "c": "Le colibacille", "model": "base", "Anne": "1", "Bob": "oui"},
    {"id": "1", "q": "Quel germe ?", "r": "E. coli", "c": "Un virus", "model": "NAT", "Anne": "0", "Bob": ""},
    {"id": "2", "q": "Quel délai ?", "r": "3 jours", "c": "", "model": "base", "Anne": "", "Bob": ""},
]
SCALE = {"values": {"0": 0, "1": 1, "oui": 1, "non": 0}}


def written(folder, suffix, rows=WIDE):
    path = folder / f"ratings{suffix}"
    if suffix == ".xlsx":
        book = openpyxl.Workbook()
        book.active.append(list(rows[0]))
        for row in rows:
            book.active.append([int(value) if value.isdecimal() else value or None for value in row.values()])
        book.save(path)
    elif suffix == ".json":
        path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    elif suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter=";" if suffix == ".csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    return path


def imported(folder, path, ratings, *more):
    spec = {"set": "s", "ratings": {"files": {"f": str(path)}, **ratings}}
    outputs = folder / "human.parquet", folder / "human.json"
    human.main(
        [
            *("--spec", json.dumps(spec), "--ratings", f"f={path}", *more),
            *("--human", str(outputs[0]), "--report", str(outputs[1])),
        ]
    )
    return pq.read_table(outputs[0]), read_json(outputs[1])


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".xlsx", ".json", ".jsonl"])
def test_every_form_of_a_wide_table_gives_the_same_ratings(tmp_path, suffix):
    table, report = imported(tmp_path, written(tmp_path, suffix), {"columns": COLUMNS, "scale": SCALE})
    assert table.schema.equals(human_schema())
    ratings = {(row["candidate"], row["rater"]): row["rating"] for row in table.to_pylist()}
    assert ratings == {("Le colibacille", "Anne"): 1, ("Le colibacille", "Bob"): 1, ("Un virus", "Anne"): 0}
    assert (report["answers"], report["questions"], report["answers_without_rating"]) == (2, 1, 1)
    assert report["ratings"] == {"Anne": 2, "Bob": 1}


def test_a_long_table_gives_the_same_as_a_wide_one(tmp_path):
    wide, _ = imported(tmp_path, written(tmp_path, ".csv"), {"columns": COLUMNS, "scale": SCALE})
    rows = [
        {**{name: row[name] for name in ("id", "q", "r", "c", "model")}, "who": rater, "note": row[rater]}
        for row in WIDE
        for rater in ("Bob", "Anne")
    ]
    columns = {**COLUMNS, "raters": [], "rater": "who", "rating": "note"}
    long, _ = imported(tmp_path, written(tmp_path, ".json", rows), {"columns": columns, "scale": SCALE})
    assert long.equals(wide)


def test_one_item_with_two_references_is_refused(tmp_path):
    rows = [WIDE[0], {**WIDE[1], "r": "Un virus à ARN"}]
    problem = r"line 3: item '1' has the reference 'Un virus à ARN', and in .*line 2 it has 'E. coli'; expected one"
    with pytest.raises(InputError, match=problem):
        imported(tmp_path, written(tmp_path, ".csv", rows), {"columns": COLUMNS, "scale": SCALE})
    with pytest.raises(InputError, match="item '1' has the question 'Quel virus \\?'"):
        imported(
            tmp_path,
            written(tmp_path, ".csv", [WIDE[0], {**WIDE[1], "q": "Quel virus ?"}]),
            {"columns": COLUMNS, "scale": SCALE},
        )


def test_two_models_may_have_written_the_same(tmp_path):
    same = [{**WIDE[0], "model": model, "Bob": ""} for model in ("base", "NAT")]
    table, report = imported(tmp_path, written(tmp_path, ".csv", same), {"columns": COLUMNS, "scale": SCALE})
    assert report["answers"] == 2
    unknown = {name: value for name, value in COLUMNS.items() if name != "generator"}
    table, report = imported(tmp_path, written(tmp_path, ".csv", same), {"columns": unknown, "scale": SCALE})
    assert (report["answers"], len(set(table["answer"].to_pylist()))) == (2, 2)
    long = [{**row, "who": rater, "note": "1"} for row in same for rater in ("Anne", "Bob")]
    columns = {**unknown, "raters": [], "rater": "who", "rating": "note"}
    table, report = imported(tmp_path, written(tmp_path, ".json", long), {"columns": columns, "scale": SCALE})
    assert (report["answers"], report["ratings"]) == (2, {"Anne": 2, "Bob": 2})


def test_ordinal_ratings_keep_the_numbers_of_their_scale(tmp_path):
    rows = [{**WIDE[0], "Anne": "très bien", "Bob": "moyen"}]
    scale = {"kind": "ordinal", "values": {"mal": 1, "moyen": 2, "très bien": 4}}
    table, _ = imported(tmp_path, written(tmp_path, ".csv", rows), {"columns": COLUMNS, "scale": scale})
    assert table["rating"].to_pylist() == [4, 2]


@pytest.mark.parametrize(
    ("rows", "columns", "problem"),
    [
        ([{**WIDE[0], "Anne": "2"}], {}, r"line 2: column 'Anne' is '2'; expected one of 0, 1, oui, non, or nothing"),
        ([WIDE[0], {**WIDE[1], "q": ""}], {}, r"line 3: column 'q' is empty"),
        (WIDE, {"reference": "ref"}, r"no column 'ref'; expected it among id, q, r"),
        ([WIDE[0], WIDE[0]], {}, r"line 3: rater 'Anne' rated this answer before"),
        ([WIDE[2]], {}, "no rating in any row"),
    ],
)
def test_a_cell_that_does_not_fit_is_named_with_its_place(tmp_path, rows, columns, problem):
    path = written(tmp_path, ".csv", rows)
    with pytest.raises(InputError, match=problem):
        imported(tmp_path, path, {"columns": {**COLUMNS, **columns}, "scale": SCALE})


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.ods", b"x", "expected .csv, .tsv, .xlsx, .json or .jsonl"),
        ("a.xlsx", b"PK no", "not an XLSX file"),
        ("a.csv", "q;é".encode("latin-1"), "line 1: not UTF-8; it seems to be Windows-1252"),
        ("a.csv", b"", "empty; expected a line of column names"),
        ("a.json", b"[1,", "line 1: not JSON"),
        ("a.json", b'{"q": 1}', "expected a list of records, found dict"),
        ("a.csv", b"q,r\n1,2,3", "line 2: 3 cells; expected 2"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_of_error(tmp_path, name, content, problem):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=problem):
        imported(tmp_path, tmp_path / name, {"columns": COLUMNS})


def made_kit(folder, questions=4, suffix=".xlsx", folder_name="kit"):
    made = items(8)
    shard(folder, made)
    texts = {f"q{number}": f"= réponse {number}" for number in range(8)}
    other = {**{name: f"- autre {name}" for name in texts}, "q3": texts["q3"]}
    predictions(folder, "base", made, texts)
    predictions(folder, "nat", made, other)
    target = folder / folder_name
    setting = {"models": ["base", "nat"], "suite": "s", "questions": questions, "raters": ["Anne", "Bob"]}
    sheets = {rater: target / f"{rater}{suffix}" for rater in setting["raters"]}
    kit.main(
        [
            *("--spec", json.dumps({"name": "k", "kit": setting}), "--key", str(target / "key.parquet")),
            *("--predictions", *(f"{name}={folder / name}.predictions.parquet" for name in ("base", "nat"))),
            *("--items", f"open={folder / 'open.parquet'}"),
            *("--sheets", *(f"{rater}={path}" for rater, path in sheets.items())),
        ]
    )
    return sheets, target / "key.parquet"


def fill_xlsx(path, rate):
    book = openpyxl.load_workbook(path)
    names = [cell.value for cell in book.active[1]]
    for row in book.active.iter_rows(min_row=2):
        row[names.index("rating")].value = rate(row[names.index("candidate")].value)
    book.save(path)


def test_a_kit_goes_out_blind_and_comes_back(tmp_path):
    sheets, key = made_kit(tmp_path, questions=8)
    texts = [openpyxl.load_workbook(path).active for path in sheets.values()]
    orders = [[row[0] for row in sheet.iter_rows(min_row=2, values_only=True)] for sheet in texts]
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1], "another order for each rater"
    assert len(orders[0]) == 15, "the equal answers to one question are one row"
    for path in sheets.values():
        shown = [str(cell) for row in openpyxl.load_workbook(path).active.iter_rows(values_only=True) for cell in row]
        assert not {"base", "nat"} & set(shown)
    fill_xlsx(sheets["Anne"], lambda candidate: 1 if candidate.startswith("=") else 0)
    fill_xlsx(sheets["Bob"], lambda candidate: None if "7" in candidate else 0)
    spec = {"set": "s", "ratings": {"files": {name: str(path) for name, path in sheets.items()}, "kit": "k"}}
    human.main(
        [
            *("--spec", json.dumps(spec), "--key", str(key), "--human", str(tmp_path / "h.parquet")),
            *("--ratings", *(f"{name}={path}" for name, path in sheets.items()), "--report", str(tmp_path / "h.json")),
        ]
    )
    rows = pq.read_table(tmp_path / "h.parquet").to_pylist()
    assert sum(row["rater"] == "Anne" for row in rows) == 16, "the shared answer counts for both models"
    by_anne = {(row["item"], row["generator"]): row["rating"] for row in rows if row["rater"] == "Anne"}
    assert (by_anne["q0", "base"], by_anne["q0", "nat"], by_anne["q3", "nat"]) == (1, 0, 1)
    assert sum(row["rater"] == "Bob" for row in rows) == 14
    assert all(row["candidate"][0] in "=-" for row in rows), "the texts are those of the key"


@pytest.mark.parametrize("suffix", [".xlsx", ".csv"])
def test_equal_kits_have_equal_bytes(tmp_path, suffix):
    first, key = made_kit(tmp_path, suffix=suffix, folder_name="one")
    second, other_key = made_kit(tmp_path, suffix=suffix, folder_name="two")
    for rater in first:
        assert first[rater].read_bytes() == second[rater].read_bytes()
    assert key.read_bytes() == other_key.read_bytes()


def test_no_cell_of_a_sheet_is_a_formula(tmp_path):
    sheets, _ = made_kit(tmp_path)
    cells = [cell for row in openpyxl.load_workbook(sheets["Anne"]).active.iter_rows() for cell in row]
    assert any(str(cell.value).startswith("= ") for cell in cells)
    assert {cell.data_type for cell in cells} <= {"s", "n"}
    sheets, _ = made_kit(tmp_path, suffix=".csv")
    with sheets["Anne"].open(encoding="utf-8-sig", newline="") as file:
        assert all(row["candidate"].startswith(("'=", "'-")) for row in csv.DictReader(file))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda rows: [*rows[:-1]], "1 rows are missing"),
        (lambda rows: [*rows, rows[0]], "occurs twice"),
        (lambda rows: [{**rows[0], "code": "zzz"}, *rows[1:]], "code 'zzz' is not in the kit's key"),
        (lambda rows: [{**rows[0], "rating": "peut-être"}, *rows[1:]], "'peut-être'; expected one of 0, 1"),
    ],
)
def test_a_sheet_that_was_damaged_is_refused(tmp_path, change, problem):
    sheets, key = made_kit(tmp_path, suffix=".csv")
    with sheets["Anne"].open(encoding="utf-8-sig", newline="") as file:
        rows = [{**row, "rating": "1"} for row in csv.DictReader(file)]
    path = tmp_path / "Anne.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(change(rows))
    with pytest.raises(InputError, match=problem):
        imported(tmp_path, path, {"kit": "k"}, "--key", str(key))


LONG = "Quel est le traitement de première intention d'une cystite aiguë simple chez la femme ?"


@pytest.mark.parametrize(
    ("name", "content", "occurs"),
    [
        ("t.json", [{"messages": [{"content": f"Question : {LONG.upper()}  Réponse : A"}]}], {LONG}),
        ("t.jsonl", {"prompt": LONG.replace("é", "e")}, {LONG}),
        ("t.json", [{"q": "Quel est le diagnostic ?"}], {"Quel est le diagnostic ?"}),
        ("t.json", [{"q": "Cas 3. Quel est le diagnostic ? A. Grippe"}], set()),
        ("t.json", [{"q": LONG.replace("femme", "fille")}], set()),
        ("t.csv", f'a,b\n1,"{LONG}"\n', {LONG}),
    ],
)
def test_questions_of_a_training_file_are_found(tmp_path, name, content, occurs):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False), encoding="utf-8")
    assert overlap(asked(), [path]).questions == occurs


def asked():
    """Return two answers to a long question, and one to a short one."""
    rows = [(LONG, "La fosfomycine", "De la fosfomycine, 3 g"), (LONG, "La fosfomycine", "Du repos")]
    rows.append(("Quel est le diagnostic ?", "Une grippe", "Un rhume"))
    names = ("question", "reference", "candidate")
    return [{"answer": f"a{number}", **dict(zip(names, row, strict=True))} for number, row in enumerate(rows)]


def test_every_file_is_searched_and_says_what_it_holds(tmp_path):
    folder = tmp_path / "train"
    (folder / "deep").mkdir(parents=True)
    graded = {"question": LONG, "gold": "la fosfomycine", "answer": "De la fosfomycine (3 g).", "label": 1}
    (folder / "one.jsonl").write_text(json.dumps(graded) + "\n" + json.dumps({"question": LONG}), encoding="utf-8")
    prompt = f"{LONG} Référence : La fosfomycine. Réponse : Du repos. Verdict : 0"
    with gzip.open(folder / "deep" / "two.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps({"messages": [{"content": prompt}]}))
    (folder / "three.csv").write_text("q;r\nQuel est le diagnostic ?;Une grippe\n", encoding="utf-8")
    (folder / "four.json").write_text(json.dumps({"data": [{"q": LONG}, {"q": "La fosfomycine ? Du repos ?"}]}))
    (folder / "LICENSE").write_text("none")
    overlaps = overlap(asked(), [folder])
    assert overlaps.questions == {LONG, "Quel est le diagnostic ?"}
    assert overlaps.triples == {"a0", "a1"}
    assert {name.removeprefix(f"{folder}/"): entry for name, entry in overlaps.by_file.items()} == {
        "one.jsonl": {"records": 2, "questions": 1, "triples": 1},
        "deep/two.jsonl.gz": {"records": 1, "questions": 1, "triples": 1},
        "three.csv": {"records": 2, "questions": 1, "triples": 0},
        "four.json": {"records": 2, "questions": 1, "triples": 0},
    }, "a triple is in one record, not spread over two"


def test_a_training_file_that_cannot_be_read_is_one_line_of_error(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"x")
    (tmp_path / "b.jsonl").write_bytes(b"\xff\xfe")
    (tmp_path / "c.jsonl.gz").write_bytes(b"no")
    (tmp_path / "empty").mkdir()
    for name, problem in (
        ("none.json", "no such training file"),
        ("a.bin", "expected .json, .jsonl"),
        ("b.jsonl", "not UTF-8 text"),
        ("c.jsonl.gz", "not UTF-8 text"),
        ("empty", "a folder without a training file"),
    ):
        with pytest.raises(InputError, match=problem):
            overlap(asked(), [tmp_path / name])


def test_all_rated_answers_are_judged_and_those_the_judge_was_trained_on_are_marked(tmp_path):
    async def yes(body, before):
        return Answer(completion("1"))

    imported(tmp_path, written(tmp_path, ".csv"), {"columns": COLUMNS, "scale": SCALE})
    training = tmp_path / "train.parquet"
    pq.write_table(pa.table({"text": ["quel germe", "autre chose"]}), training)
    with EndpointServer(yes) as server:
        backend = {"kind": "openai_endpoint", "url": server.url, "model": "m", "key_variable": None}
        spec = {"name": "j", "set": "s", "judge": {"backend": backend}}
        command.main(
            [
                *("--backend", "openai_endpoint"),
                *("--spec", json.dumps(spec), "--prompt", str(PROMPT), "--work", str(tmp_path / "work")),
                *("--human", str(tmp_path / "human.parquet"), "--trained-on", str(training)),
                *("--judgements", str(tmp_path / "j.parquet"), "--run", str(tmp_path / "j.json")),
            ]
        )
    table = pq.read_table(tmp_path / "j.parquet")
    assert table.schema.equals(calibration_schema())
    assert table["excluded"].to_pylist() == [True, True]
    assert table["triple_seen"].to_pylist() == [False, False]
    assert table["label"].to_pylist() == [1, 1]
    run = read_json(tmp_path / "j.json")
    assert (run["excluded"], run["triples_seen"]) == (2, 0)
    assert run["trained_on"] == {str(training): {"records": 2, "questions": 1, "triples": 0}}
