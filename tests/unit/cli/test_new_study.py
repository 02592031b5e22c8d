"""`posologie new-study`: a study file that is valid at once and says what to fill in."""

import datetime
import json

import openpyxl
import pytest
import yaml

from posologie.config import job_specs
from posologie.config.load import load_study
from posologie.records.items import read_items
from posologie.sources import columns

HEADER = "id,question,a,b,c,d,answer,split\n"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A project with a native and a synthetic file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    rows = "1,¿Qué?,w,x,y,z,B,train\n2,¿Cuál?,w,x,y,z,A,validation\n3,¿Dónde?,w,x,y,z,C,test\n"
    (tmp_path / "mine" / "native.csv").write_text(HEADER + rows)
    (tmp_path / "mine" / "made.jsonl").write_text('{"question": "¿Quién?", "a": "w", "b": "x", "answer": "A"}\n')
    return tmp_path


def test_the_file_is_a_valid_study_of_the_given_files(data, posologie):
    code, out, _ = posologie(
        "new-study", "mine", "--language", "es", "--native", "mine/native.csv", "--synthetic", "mine/made.jsonl"
    )
    assert code == 0
    assert "posologie check --configfile config/mine.yaml" in out
    study = load_study("config/mine.yaml")
    assert list(study.sources) == ["native", "synthetic"]
    assert list(study.mixes) == ["NAT", "SYN", "NAT-SYN"]
    assert study.prompting.choices_line == "Opciones de respuesta:"
    assert study.language == "es"
    text = (data / "config" / "mine.yaml").read_text()
    assert "# columns of the file: id, question, a, b, c, d, answer, split" in text
    assert "# columns of the file: question, a, b, answer" in text
    assert "# CONFIRM: 3 of 3 records of native.csv that were looked at become items" in text
    assert "splits: {train: train, validation: validation, test: test}" in text
    assert "answer: answer" in out, "what was guessed is shown"
    assert "answer: answer    # read as one of the options in 3 of 3 records" in text


def test_its_data_can_be_read_as_it_says(data, posologie):
    posologie("new-study", "mine", "--native", "mine/native.csv")
    study = load_study("config/mine.yaml")
    for split in ("train", "validation", "test"):
        outputs = [part for name in ("items", "rejects", "report") for part in (f"--{name}", str(data / name))]
        spec = job_specs.shard_spec(study, "native", split).canonical_json()
        columns.main(["--spec", spec, "--inputs", "mine/native.csv", *outputs])
        (item,) = read_items(data / "items")
        assert item.options == ("w", "x", "y", "z")


def test_without_files_it_says_where_to_put_them(data, asked):
    code, answer = asked("new-study", "own", "--output", "study.yaml")
    assert (code, answer) == (0, {"study": "own", "file": "study.yaml", "guessed": {}})
    text = (data / "study.yaml").read_text()
    assert "put the file at data/own/native.csv and name its columns here" in text
    assert list(yaml.safe_load(text)["mixes"]) == ["NAT", "TRAD", "SYN", "NAT-TRAD", "NAT-SYN", "TRAD-SYN", "ALL"]


IN_TEN_LANGUAGES = {
    "ar": ("السؤال", "الإجابة", ["ما عاصمة فرنسا؟", "ما لون السماء؟"], [["باريس", "لندن"], ["أحمر", "أزرق"]]),
    "de": ("Frage", "Antwort", ["Wo wird Galle gebildet?", "Was fehlt bei Skorbut?"], [["Leber", "Milz"], ["D", "C"]]),
    "en": ("question", "answer", ["Where is bile made?", "What lacks in scurvy?"], [["Liver", "Spleen"], ["D", "C"]]),
    "es": ("pregunta", "respuesta", ["¿Dónde se forma la bilis?", "¿Qué falta?"], [["Hígado", "Bazo"], ["D", "C"]]),
    "fr": ("énoncé", "réponse", ["Où se forme la bile ?", "Que manque-t-il ?"], [["Foie", "Rate"], ["D", "C"]]),
    "hi": ("प्रश्न", "उत्तर", ["पित्त कहाँ बनता है?", "स्कर्वी में क्या कम है?"], [["यकृत", "प्लीहा"], ["डी", "सी"]]),
    "it": ("domanda", "risposta", ["Dove si forma la bile?", "Che cosa manca?"], [["Fegato", "Milza"], ["D", "C"]]),
    "ja": (
        "問題",
        "正解",
        ["胆汁はどこで作られるか。", "不足するものは何か。"],
        [["肝臓", "脾臓"], ["D", "C"]],
    ),
    "pt": ("pergunta", "resposta", ["Onde se forma a bile?", "O que falta?"], [["Fígado", "Baço"], ["D", "C"]]),
    "zh": ("题目", "答案", ["胆汁在哪里产生？", "坏血病缺乏什么？"], [["肝", "脾"], ["丁", "丙"]]),
}


@pytest.mark.parametrize("language", IN_TEN_LANGUAGES)
def test_a_folder_in_any_language_becomes_a_study_whose_items_are_right(data, posologie, language):
    question, answer, texts, options = IN_TEN_LANGUAGES[language]
    rows = [
        {"号": number, "A": choices[0], "B": choices[1], answer: "AB"[number], question: text}
        for number, (text, choices) in enumerate(zip(texts, options, strict=True))
    ]
    folder = data / "folder"
    folder.mkdir()
    (folder / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    (folder / "test.jsonl").write_text(json.dumps(rows[1]), encoding="utf-8")
    code, out, _ = posologie("new-study", "own", "--language", language, "--folder", "folder")
    assert code == 0
    assert "2 of 2 records of train.jsonl" in out
    study = load_study("config/own.yaml")
    assert study.language == study.report.language == study.sources["folder"].language == language
    assert study.sources["folder"].files == {"train": ("train.jsonl",), "test": ("test.jsonl",)}
    spec = job_specs.shard_spec(study, "folder", "train").canonical_json()
    outputs = [part for name in ("items", "rejects", "report") for part in (f"--{name}", str(data / name))]
    columns.main(["--spec", spec, "--inputs", "folder/train.jsonl", *outputs])
    made = {item.question: (item.options, item.gold) for item in read_items(data / "items")}
    assert list(made.values()) == [(tuple(options[0]), (0,)), (tuple(options[1]), (1,))]


EXAMS = {
    "exams": {
        name: {"name": name, "data": [
            {"qid": str(number), "qtext": f"¿Qué órgano es el {number} de {name}?", "ra": str(number % 3 + 1),
             "answers": [{"aid": place, "atext": f"Órgano {place}{number}"} for place in (1, 2, 3)],
             "image": "figura.png" if number == 4 else ""}
            for number in range(5)
        ]}
        for name in ("uno", "dos")
    }
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "exams.json",
            json.dumps(EXAMS),
            {"records": "exams.*.data.*", "question": "qtext", "options": "answers.*.atext",
             "option_labels": "answers.*.aid", "answer": "ra", "answer_form": "labels", "must_be_empty": ["image"]},
        ),
        (
            "headless.csv",
            "¿Qué produce la bilis?,Hígado,Bazo,Riñón,A\n¿Qué filtra la orina?,Hígado,Bazo,Riñón,C\n"
            "¿Qué guarda plaquetas?,Hígado,Bazo,Riñón,B\n¿Qué filtra la sangre?,Hígado,Bazo,Riñón,C\n",
            {"header": False, "question": "1", "options": ["2", "3", "4"], "answer": "5", "answer_form": "labels"},
        ),
        (
            "map.jsonl",
            "\n".join(
                json.dumps({"question": text, "options": {"A": "Foie", "B": "Rate"}, "answer": "Foie",
                            "answer_idx": "A", "meta_info": "x"})
                for text in ("Quel organe fait la bile ?", "Quel est le plus gros ?")
            ),
            {"question": "question", "options": "options", "answer": "answer_idx", "answer_form": "labels",
             "answer_text": "answer", "subject": "meta_info"},
        ),
        (
            "list.jsonl",
            "\n".join(
                json.dumps({"q": f"Which organ makes {text}?", "choices": ["Liver", "Spleen", "Kidney"], "key": key,
                            "case": f"A patient with {text}.", "part": part})
                for text, key, part in (("bile", 0, "training"), ("urine", 2, "dev"), ("platelets", 1, "prueba"))
            ),
            {"question": "q", "options": "choices", "answer": "key", "answer_form": "index0", "context": "case",
             "split_column": "part", "splits": {"training": "train", "dev": "validation", "prueba": "test"}},
        ),
        (
            "open.jsonl",
            "\n".join(
                json.dumps({"pregunta": f"¿Por qué {text}?", "respuesta": f"Porque {text} así es siempre."})
                for text in ("late el corazón", "duele la cabeza")
            ),
            {"question": "pregunta", "answer": "respuesta", "task": "oeq"},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 20 else "",
)  # fmt: skip
def test_the_columns_of_many_forms_are_guessed(data, asked, name, text, expected):
    folder = data / "folder"
    folder.mkdir()
    (folder / name).write_text(text, encoding="utf-8")
    _, answer = asked("new-study", "own", "--language", "es", "--folder", "folder")
    (guessed,) = answer["guessed"].values()
    assert guessed == expected
    load_study("config/own.yaml")


def test_a_number_that_may_count_from_0_or_1_is_asked_to_be_confirmed(data, posologie):
    folder = data / "folder"
    folder.mkdir()
    rows = [{"q": f"Which is number {text}?", "options": ["a1", "b2", "c3"], "key": 1} for text in ("one", "two")]
    (folder / "odd.jsonl").write_text("\n".join(map(json.dumps, rows)))
    posologie("new-study", "own", "--folder", "folder")
    text = (data / "config" / "own.yaml").read_text()
    assert "# CONFIRM: 'key' may count from 0 (index0) or from 1 (index1): no record looked at has 0 or 3" in text


@pytest.mark.parametrize(
    ("names", "problem"),
    [(None, "--folder folder: no such folder"), ([], "found nothing"), (["notes.csv"], "found notes.csv")],
)
def test_a_folder_without_questions_is_one_line(data, posologie, names, problem):
    if names is not None:
        (data / "folder").mkdir()
        for name in names:
            (data / "folder" / name).write_text("day,weight\n1,80\n2,81\n")
    code, _, err = posologie("new-study", "own", "--folder", "folder")
    assert code == 2
    assert problem in err
    assert not (data / "config" / "own.yaml").exists()


def test_text_of_a_file_cannot_leave_its_comment(data, posologie):
    folder = data / "folder"
    folder.mkdir()
    nasty = "Is this\u2028study: other\nhere? \u0085x: y"
    rows = [{"question": nasty, "options": ["p", "q"], "answer": "A", "x\ny: z": "1"}] * 2
    (folder / "bad.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert posologie("new-study", "own", "--folder", "folder")[0] == 0
    assert load_study("config/own.yaml").study == "own"


def test_a_file_that_is_there_is_not_replaced_unless_asked(data, posologie):
    posologie("new-study", "own", "--output", "study.yaml")
    code, _, err = posologie("new-study", "own", "--output", "study.yaml")
    assert code == 2
    assert "study.yaml: already exists; --force replaces it" in err
    assert posologie("new-study", "own", "--output", "study.yaml", "--force")[0] == 0


@pytest.mark.parametrize("name", ["../own", "a/b", ""])
def test_a_name_that_would_leave_its_folder_is_refused(data, posologie, name):
    code, _, err = posologie("new-study", name)
    assert code == 2
    assert f"NAME = '{name}'" in err


def test_native_items_are_needed(data, posologie):
    code, _, err = posologie("new-study", "own", "--synthetic", "mine/made.jsonl")
    assert code == 2
    assert "--native FILE: missing" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--language", "klingon"],
            "--language klingon: expected a code of two or three letters (ISO 639), such as ar",
        ),
        (["--language", "DE"], "--language DE: expected a code"),
        (["--native", "missing.csv"], "--native missing.csv: no such file; leave the option out"),
        (["--component", "book=gone.csv"], "--component book=gone.csv: no such file"),
        (["--native", "mine"], "--native mine: no such file"),
        (["--native", "mine/not.parquet"], "mine/not.parquet: not a whole Parquet file"),
    ],
)
def test_what_cannot_be_started_from_is_refused_in_one_line(data, posologie, arguments, message):
    (data / "mine/not.parquet").write_bytes(b"no parquet at all")
    code, out, err = posologie("new-study", "mine", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
    assert not (data / "config").exists()


def hospital_workbook(path):
    """A title, column names in cells merged over two rows, blank rows, a formula without a result, a second sheet."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "QCM"
    top = [["Banque de l'hôpital"], ["N°", "Date", "Énoncé", "Propositions", None, None, "Réponse(s)"]]
    names = [None, None, None, "A", "B", "C"]
    questions = [[place, f"Question {place} ?", "oui", "non", None if place % 2 else "peut-être"] for place in range(9)]
    rows = [[row[0], datetime.date(2024, 1, 1), *row[1:], "AB" if row[0] else '=UPPER("a")'] for row in questions]
    for row in [*top, names, *rows[:4], [], *rows[4:]]:
        sheet.append(row)
    sheet.merge_cells("A1:G1")
    sheet.merge_cells("D2:F2")
    for column in "ABCG":
        sheet.merge_cells(f"{column}2:{column}3")
    book.create_sheet("Relecture").append(["Relu par Mme Lefèvre"])
    book.save(path)


def test_a_workbook_with_titles_merged_names_and_remarks_is_read(data, posologie):
    (data / "hopital").mkdir()
    hospital_workbook(data / "hopital" / "Gériatrie 2024.xlsx")
    code, out, _ = posologie("new-study", "ger", "--language", "fr", "--folder", "hopital")
    assert code == 0
    remark = (
        "8 of 9 records of Gériatrie 2024.xlsx that were looked at become items (1 rejected: a cell holds a formula"
    )
    assert remark in out
    study = load_study("config/ger.yaml")
    (source,) = study.sources.values()
    assert source.options["sheet"] == "QCM"
    assert source.options["options"] == ["A", "B", "C"]
    outputs = [part for name in ("items", "rejects", "report") for part in (f"--{name}", str(data / name))]
    spec = job_specs.shard_spec(study, next(iter(study.sources)), "train").canonical_json()
    columns.main(["--spec", spec, "--inputs", "hopital/Gériatrie 2024.xlsx", *outputs])
    assert {item.gold for item in read_items(data / "items")} == {(0, 1)}
    assert json.loads((data / "report").read_text())["files"]["hopital/Gériatrie 2024.xlsx"]["read_as"]["header"] == {
        "name": "filled row 3",
        "configured": False,
    }


def test_a_name_of_digits_stays_text(data, posologie):
    assert posologie("new-study", "2024", "--native", "mine/native.csv")[0] == 0
    assert load_study("config/2024.yaml").title == "2024"
