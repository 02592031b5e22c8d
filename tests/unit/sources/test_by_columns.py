"""What the readers of columns are given and what they detect: dialects, nested records, labels, flags, carving."""

import bz2
import gzip
import io
import json
import lzma

import openpyxl
import pyarrow
import pyarrow.parquet
import pytest

from posologie.running.errors import InputError

NAMES = {"question": "q", "options": ["a", "b"], "answer": "key", "answer_form": "labels"}
ROWS = "q,a,b,key\nWelches Organ?,Leber,Milz,A\nWelcher Knochen?,Femur,Ulna,B\n"
READ = [("Welches Organ?", "Leber"), ("Welcher Knochen?", "Ulna")]


def golds(shard):
    return [(item.question, *(item.options[place] for place in item.gold)) for item in shard.items]


def packed(content, suffix):
    if suffix == "zst":
        sink = pyarrow.BufferOutputStream()
        with pyarrow.CompressedOutputStream(sink, "zstd") as out:
            out.write(content)
        return sink.getvalue().to_pybytes()
    return {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[suffix](content)


def workbook(*sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets:
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


SHEET = [["q", "a", "b", "key"], ["Welches Organ?", "Leber", "Milz", "A"], ["Welcher Knochen?", "Femur", "Ulna", "B"]]


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zst"])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "json"])
def test_compressed_files_are_read(read, kind, suffix):
    records = [dict(zip(SHEET[0], row, strict=True)) for row in SHEET[1:]]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    text = {"csv": ROWS, "jsonl": lines, "json": json.dumps(records)}[kind]
    shard = read("columns", {f"a.{kind}.{suffix}": packed(text.encode(), suffix)}, options=NAMES)
    assert golds(shard) == READ
    ((_, facts),) = shard.report["files"].items()
    assert facts["read_as"]["compression"] == suffix


@pytest.mark.parametrize("suffix", ["gz", "xz", "zst"])
def test_a_compressed_file_that_is_cut_off_is_named(read, suffix):
    content = packed((ROWS * 200).encode(), suffix)
    with pytest.raises(InputError, match=r"a\.csv\.\w+"):
        read("columns", {f"a.csv.{suffix}": content[: len(content) // 2]}, options=NAMES)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (ROWS, "comma"),
        (ROWS.replace(",", ";"), "semicolon"),
        (ROWS.replace(",", "\t"), "tab"),
        (ROWS.replace(",", "|"), "bar"),
        ("sep=;\n" + ROWS.replace(",", ";"), "semicolon"),
        ("\ufeff" + ROWS.replace(",", ";"), "semicolon"),
        (ROWS.replace("\n", "\r\n"), "comma"),
        (("\ufeff" + ROWS.replace(",", "\t")).encode("utf-16-le"), "tab"),
        ('q;a;b;key\n"Welches Organ?";"Leber";"Milz";A\n"Welcher Knochen?";"Femur";"Ulna";B\n', "semicolon"),
        ("q;a;b;key;;\nWelches Organ?;Leber;Milz;A;;\nWelcher Knochen?;Femur;Ulna;B;;\n", "semicolon"),
    ],
)
def test_the_dialect_of_a_table_is_found_and_reported(read, content, name):
    shard = read("columns", {"a.csv": content}, options=NAMES)
    assert golds(shard) == READ
    ((_, facts),) = shard.report["files"].items()
    assert facts["read_as"]["delimiter"]["name"] == name


def test_a_dialect_may_be_told_and_quotes_are_then_text(read):
    options = {**NAMES, "delimiter": "~", "quoting": False, "encoding": "cp1251", "header": True}
    content = 'q~a~b~key\n"Какой?~"печень"~сердце~A\n'.encode("cp1251")
    shard = read("columns", {"a.csv": content}, options=options)
    assert golds(shard) == [('"Какой?', '"печень"')]
    ((_, facts),) = shard.report["files"].items()
    assert facts["read_as"]["encoding"] == {"name": "cp1251", "configured": True}
    assert shard.report["evidence"]["warnings"] == []


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Où est produite la bile près de l'œsophage ? Éléments évoqués à côté", "cp1252"),
        ("Какой орган вырабатывает желчь у человека и где он находится", "cp1251"),
        ("下列哪个器官产生胆汁，位于腹腔的右上部分，与消化有关", "gb18030"),
        ("胆汁を分泌する臓器はどれですか、次の中から一つ選びなさい", "cp932"),
    ],
)
def test_an_encoding_that_is_not_utf8_is_found_and_warned_of(read, text, encoding):
    content = f"q,a,b,key\n{text}?,x,y,B\n".encode(encoding)
    shard = read("columns", {"a.csv": content}, options=NAMES)
    assert [item.question for item in shard.items] == [f"{text}?"]
    assert any("not UTF-8" in warning for warning in shard.report["evidence"]["warnings"])


def test_a_table_without_a_header_has_numbers_for_names(read):
    content = 'Welches Organ?,Leber,Milz,A\n"Welcher Knochen?",Femur,Ulna,B\n'
    options = {"question": "1", "options": ["2", "3"], "answer": "4", "answer_form": "labels"}
    assert golds(read("columns", {"a.csv": content}, options=options)) == READ
    rows = [SHEET[1], SHEET[2]]
    assert golds(read("columns", {"a.xlsx": workbook(("x", rows))}, options=options)) == READ


def test_a_workbook_is_read_and_one_of_several_sheets_has_to_be_named(read):
    both = workbook(("eins", SHEET), ("zwei", SHEET[:2]), ("leer", []))
    assert golds(read("columns", {"a.xlsx": workbook(("eins", SHEET), ("leer", []))}, options=NAMES)) == READ
    assert len(read("columns", {"a.xlsx": both}, options={**NAMES, "sheet": "zwei"}).items) == 1
    with pytest.raises(InputError, match=r"several sheets hold rows \(eins, zwei\); choose one with sheet"):
        read("columns", {"a.xlsx": both}, options=NAMES)
    with pytest.raises(InputError, match="no sheet 'drei'; it has eins, zwei, leer"):
        read("columns", {"a.xlsx": both}, options={**NAMES, "sheet": "drei"})


def test_cells_that_a_spreadsheet_made_something_else_are_rejected(read):
    import datetime

    book = openpyxl.Workbook()
    sheet = book.active
    for row in [
        SHEET[0],
        ["Eins?", "#N/A", "x", "A"],
        ["Zwei?", 0.5, "x", "A"],
        ["Drei?", datetime.date(2026, 3, 1), "x", "A"],
        ["Vier?", 3, 4, "B"],
    ]:
        sheet.append(row)
    sheet["B3"].number_format = "0%"
    out = io.BytesIO()
    book.save(out)
    shard = read("columns", {"a.xlsx": out.getvalue()}, options=NAMES)
    assert golds(shard) == [("Vier?", "4")]
    assert [(reject["row"], reject["reason"]) for reject in shard.rejects] == [
        *((1, "not a record"), (2, "not a record"), (3, "field is not text"))
    ]
    assert "cell B2" in shard.rejects[0]["detail"]
    assert "percentage" in shard.rejects[1]["detail"]


def test_several_files_of_several_formats_are_one_split(read):
    files = {"a.csv": ROWS, "b.xlsx": workbook(("x", SHEET)), "c.jsonl": [dict(zip(*SHEET[:2], strict=True))]}
    shard = read("columns", files, options=NAMES)
    assert [len(facts["read_as"]) > 0 for facts in shard.report["files"].values()] == [True] * 3
    assert [facts["kept"] for facts in shard.report["files"].values()] == [2, 2, 1]


def test_a_file_may_be_one_pretty_printed_record_or_several_in_a_row(read):
    first, second = (dict(zip(SHEET[0], row, strict=True)) for row in SHEET[1:])
    assert golds(read("columns", {"a.json": json.dumps(first, indent=2)}, options=NAMES)) == READ[:1]
    both = json.dumps(first, indent=2) + "\n" + json.dumps(second, indent=2)
    assert golds(read("columns", {"a.json": both}, options=NAMES)) == READ


def test_records_inside_records_know_what_holds_them(read):
    data = {"data": [{"title": "T", "paragraphs": [{"context": "Ein Fall.", "qas": [{"id": 1}, {"id": 2}]}]}]}
    for number, question in enumerate(data["data"][0]["paragraphs"][0]["qas"]):
        choices = {"text": ["x", "y"], "label": ["1", "2"]}
        question |= {"question": f"Frage {'ab'[number]}?", "choices": choices, "key": 2}
    options = {
        "records": "data.*.paragraphs.*.qas.*",
        "question": "question",
        "context": "^.context",
        "meta": ["^.^.title"],
        "options": "choices.text",
        "option_labels": "choices.label",
        "answer": "key",
        "answer_form": "labels",
        "id": "id",
    }
    shard = read("columns", {"a.json": json.dumps(data, indent=1)}, options=options)
    assert [(item.context, item.meta["^.^.title"], item.gold) for item in shard.items] == [("Ein Fall.", "T", (1,))] * 2
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(data["data"]), sink)
    inner = {**options, "records": "paragraphs.*.qas.*"}
    table = read("columns", {"a.parquet": sink.getvalue().to_pybytes()}, options=inner)
    assert [item.id for item in table.items] == [item.id for item in shard.items]


LABELLED = {"question": "q", "options": "o", "option_labels": "l", "answer": "k", "answer_form": "labels"}
ONE_HOT = {"question": "q", "options": ["a", "b", "c"], "answer": ["ka", "kb", "kc"], "answer_form": "one_hot"}


def test_labels_in_a_field_of_their_own_are_the_key_and_not_the_numbers_beside_them(read):
    record = {"q": "Wie viele?", "o": ["2", "4", "1", "3"], "l": [1, 2, 3, 4], "k": 2}
    (item,) = read("columns", {"a.jsonl": [record]}, options=LABELLED).items
    assert item.options[item.gold[0]] == "4"
    assert item.meta["labels"] == ["1", "2", "3", "4"]
    shard = read("columns", {"a.jsonl": [record]}, options={"question": "q", "options": "o", "answer": "k"})
    assert shard.reasons == {"ambiguous answer": 1}


def test_one_hot_flags_name_the_options_whatever_their_texts(read):
    flags = {"q": "Wie viele?", "a": "0", "b": "1", "c": "2", "ka": 0, "kb": 0, "kc": 1}
    several = {**flags, "q": "Welche?", "ka": True, "kc": "true"}
    none = {**flags, "q": "Keine?", "kc": 0}
    odd = {**flags, "q": "Was?", "kc": "vielleicht"}
    shard = read("columns", {"a.jsonl": [flags, several, none, odd]}, options=ONE_HOT)
    assert [(item.task, item.gold) for item in shard.items] == [("mcqu", (2,)), ("mcq", (0, 2))]
    assert shard.reasons == {"unlabelled": 1, "unreadable answer": 1}
    listed = {"q": "Wie viele?", "o": ["0", "1", "2"], "k": [0, 1, 0]}
    (item,) = read(
        "columns",
        {"a.jsonl": [listed]},
        options={"question": "q", "options": "o", "answer": "k", "answer_form": "one_hot"},
    ).items
    assert item.gold == (1,)


def test_flags_inside_a_list_of_maps(read):
    record = {"q": "Welches?", "o": [{"t": "Leber", "ok": False}, {"t": "Milz", "ok": True}]}
    options = {"question": "q", "options": "o.*.t", "answer": "o.*.ok", "answer_form": "one_hot"}
    assert golds(read("columns", {"a.jsonl": [record]}, options=options)) == [("Welches?", "Milz")]


def test_an_answer_given_twice_has_to_agree(read):
    options = {**NAMES, "answer_text": "text"}
    rows = "q,a,b,key,text\nEins?,x,y,A,x\nZwei?,x,y,A,y\nDrei?,x,y,B,\nVier?,x,y,B,z\n"
    shard = read("columns", {"a.csv": rows}, options=options)
    assert [item.question for item in shard.items] == ["Eins?", "Drei?"]
    assert shard.reasons == {"answers disagree": 1, "unreadable answer": 1}


@pytest.mark.parametrize("names", [["option_b", "option_a"], ["B", "A"], ["b)", "a)"]])
def test_the_letters_in_the_names_of_columns_are_labels_whatever_the_order_of_the_names(read, names):
    record = {"q": "Welches?", names[0]: "Leber", names[1]: "Milz", "k": "A"}
    options = {"question": "q", "options": names, "answer": "k", "answer_form": "labels"}
    assert golds(read("columns", {"a.jsonl": [record]}, options=options)) == [("Welches?", "Milz")]


def test_a_name_of_a_column_may_be_the_answer(read):
    record = {"q": "Welches?", "right": "Leber", "wrong": "Milz", "k": "right"}
    options = {"question": "q", "options": ["wrong", "right"], "answer": "k"}
    assert golds(read("columns", {"a.jsonl": [record]}, options=options)) == [("Welches?", "Leber")]


def test_lists_and_maps_that_were_written_as_text_are_read(read):
    rows = "q;o;k\nEins?;['x', 'y, z'];B\nZwei?;\"{'A': 'x', 'C': 'z'}\";C\n"
    shard = read("columns", {"a.csv": rows}, options={"question": "q", "options": "o", "answer": "k"})
    assert golds(shard) == [("Eins?", "y, z"), ("Zwei?", "z")]


def test_values_of_an_answer_may_mean_that_there_is_none(read):
    records = [{"q": f"Nummer {'abcd'[n]}?", "a": "x", "b": "y", "key": key} for n, key in enumerate((0, 1, -1, "?"))]
    options = {**NAMES, "answer_form": "index0", "no_answer": ["-1", "?"]}
    assert read("columns", {"a.jsonl": records}, options=options).reasons == {"unlabelled": 2}


def test_a_column_that_no_record_has_is_warned_of(read):
    records = [{"q": "Eins?", "a": "x", "b": "y", "key": "A"}]
    shard = read("columns", {"a.jsonl": records}, options={**NAMES, "context": "contxt", "subject": "fach"})
    assert shard.report["kept"] == 1
    (warning,) = shard.report["evidence"]["warnings"]
    assert warning.endswith("a.jsonl: no record has contxt, fach")


CARVED = {**NAMES, "group": "case", "carve": {"validation": 0.2, "test": 0.3, "seed": 7}}


def test_splits_are_carved_by_group_and_no_record_moves_when_others_come(read):
    records = [
        {"q": f"Frage {n} ?", "a": "x", "b": "y", "key": "A", "case": f"Fall {n // 3}", "n": n} for n in range(300)
    ]
    options = {**CARVED, "id": "n"}
    shards = {
        split: read("columns", {"a.jsonl": records}, split=split, options=options)
        for split in ("train", "validation", "test")
    }
    ids = {split: {item.meta["native_id"] for item in shard.items} for split, shard in shards.items()}
    assert sum(map(len, ids.values())) == len(set().union(*ids.values())) == 300
    groups = [{item.group for item in shard.items} for shard in shards.values()]
    assert sum(map(len, groups)) == len(set().union(*groups)) == 100
    assert [round(len(group) / 100, 1) for group in groups] == [0.5, 0.2, 0.3]
    fewer = read("columns", {"a.jsonl": records[:90][::-1]}, split="test", options=options)
    assert {item.meta["native_id"] for item in fewer.items} == {name for name in ids["test"] if int(name) < 90}
    other = read("columns", {"a.jsonl": records}, split="test", options={**options, "carve": {"test": 0.3, "seed": 8}})
    assert {item.group for item in other.items} != groups[2]


def test_without_a_group_equal_questions_are_carved_alike(read):
    records = [{"q": f"Frage {n // 2}  ?", "a": "x", "b": f"y{n}", "key": "A"} for n in range(100)]
    options = {**NAMES, "carve": {"test": 0.5}}
    test = read("columns", {"a.jsonl": records}, split="test", options=options)
    assert len(test.items) == 2 * len({item.question for item in test.items})


def test_a_split_that_is_not_carved_is_an_error(read):
    with pytest.raises(InputError, match=r"options\.carve\.validation: missing for the split validation"):
        read("columns", {"a.csv": ROWS}, split="validation", options={**NAMES, "carve": {"test": 0.5}})


def test_documents_are_read_by_columns(collect):
    rows = "id;titre;texte;cas\n1.0;T;Un résumé.;x\n2.0;;Deux.;x\n3.0;;;y\n".encode("cp1252")
    options = {"text": "texte", "title": "titre", "id": "id", "group": "cas", "meta": ["cas"]}
    collection = collect("document_columns", {"a.csv": rows}, options)
    assert [(row["title"], row["text"]) for row in collection.items] == [("T", "Un résumé."), ("", "Deux.")]
    assert [json.loads(row["meta"]) for row in collection.items] == [{"cas": "x", "native_id": n} for n in "12"]
    assert collection.items[0]["group"] == collection.items[1]["group"]
    assert collection.reasons == {"empty text": 1}
    assert any("cp1252" in warning for warning in collection.report["evidence"]["warnings"])


def test_parallel_text_is_read_by_columns(collect):
    rows = "en\tde\tdoc\nOne.\tEins.\t1\nTwo.\tZwei.\t1\nThree.\t\t2\n"
    options = {"source_text": "en", "target_text": "de", "target_language": "de", "group": "doc"}
    collection = collect("parallel_columns", {"a.tsv": rows}, options)
    assert [(row["source_text"], row["target_text"], row["target_language"]) for row in collection.items] == [
        *(("One.", "Eins.", "de"), ("Two.", "Zwei.", "de"))
    ]
    assert collection.items[0]["group"] == collection.items[1]["group"] != collection.items[0]["id"]
    assert collection.reasons == {"empty segment": 1}


def test_a_collection_of_which_too_much_is_rejected_stops(collect):
    with pytest.raises(InputError, match=r"collections\.essai: 1 of 2 records rejected.*empty text"):
        collect("document_columns", {"a.csv": 't\nUn.\n" "\n'}, {"text": "t"}, reject_limit=0.2)


PARTS = [
    {"q": f"Which bone is number {number}?", "o": ["femur", "tibia"], "a": 0, "field": field, "year": year}
    for number, (field, year) in enumerate([("bio", 1), ("bio", 2), ("law", 1), ("law", 1)])
]
ASKED = {"question": "q", "options": "o", "answer": "a", "answer_form": "index0"}


def test_a_source_can_be_a_part_of_its_files(read):
    shard = read("columns", {"all.jsonl": PARTS}, options=ASKED | {"only": {"field": ["bio"], "year": ["1", "2"]}})
    assert [item.question for item in shard.items] == ["Which bone is number 0?", "Which bone is number 1?"]
    assert (shard.report["read"], shard.report["of_other_splits"], shard.reasons) == (2, 2, {})
    (item,) = read("columns", {"all.jsonl": PARTS}, options=ASKED | {"only": {"field": ["bio"], "year": ["2"]}}).items
    assert item.question == "Which bone is number 1?"


def test_a_part_that_no_record_belongs_to_is_refused(read):
    with pytest.raises(InputError, match=r"options.only.field = 'boi': no record has this value; found bio, law"):
        read("columns", {"all.jsonl": PARTS}, options=ASKED | {"only": {"field": ["law", "boi"]}})


PAIRS = {"question": "prompt", "answer": "chosen", "rejected": "rejected"}


def turns(*contents):
    roles = ("user", "assistant") if len(contents) > 1 else ("assistant",)
    return [{"role": role, "content": content} for role, content in zip(roles, contents, strict=True)]


@pytest.mark.parametrize("as_text", [False, True])
def test_preference_pairs_are_texts_or_chats_of_one_question(read, as_text):
    records = [
        {"prompt": "Why?", "chosen": "A good reason.", "rejected": "No reason."},
        {"prompt": "How?", "chosen": turns("How?", "Slowly."), "rejected": turns("Fast.")},
        {"prompt": [{"role": "user", "content": "Who?"}], "chosen": turns("He."), "rejected": turns("She.")},
        {"prompt": "What?", "chosen": turns("This.") * 2, "rejected": "That."},
        {"prompt": "Same?", "chosen": "Yes.", "rejected": "Yes. "},
        {"prompt": "None?", "chosen": "Yes.", "rejected": ""},
    ]
    if as_text:  # as pandas writes lists into a table
        records = [{name: str(value) for name, value in record.items()} for record in records]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    shard = read("columns", {"a.jsonl": lines.encode()}, options=PAIRS)
    assert [(item.task, item.question, item.options, item.gold, item.answer) for item in shard.items] == [
        ("preference", "Why?", ("A good reason.", "No reason."), (0,), ""),
        ("preference", "How?", ("Slowly.", "Fast."), (0,), ""),
        ("preference", "Who?", ("He.", "She."), (0,), ""),
    ]
    reasons = {"not one question and one answer": 1, "both answers are the same": 1, "empty answer": 1}
    assert shard.report["rejected"]["by_reason"] == reasons


@pytest.mark.parametrize(
    "changes",
    [{"options": ["a", "b"]}, {"task": "oeq"}, {"answer": ["chosen", "b"]}, {"rejected": None, "task": "preference"}],
)
def test_pairs_beside_options_or_another_task_are_refused(read, changes):
    with pytest.raises(InputError, match="rejected"):
        read("columns", {"a.csv": b"prompt,chosen,rejected\n"}, options={**PAIRS, **changes})
