"""Small files that were read wrong or not at all, each with what is right; and the same inputs beside the project."""

import os
from pathlib import Path

import pytest

from posologie.language.languages import described_languages, language_digest
from posologie.running.errors import InputError

CASES = Path(os.environ.get("POSOLOGIE_CASES", Path(__file__).resolve().parents[4] / "shared" / "cases" / "data"))
PHRASES = {code: digest for code in described_languages() if (digest := language_digest(code)) is not None}
LETTERS = {"question": "q", "options": ["A", "B", "C", "D", "E"], "answer": "key", "answer_form": "labels"}
AB = {"question": "question", "options": ["a", "b"], "answer": "answer", "answer_form": "labels"}
MAPS = {"question": "question", "options": "options", "answer": "answer"}


def golds(shard):
    return [item.options[place] for item in shard.items for place in item.gold]


def case(name):
    if not (CASES / name).is_file():
        pytest.skip(f"no {name} in {CASES}; set POSOLOGIE_CASES to a folder that holds the cases")
    return {name: (CASES / name).read_bytes()}


def own(name):
    return {name: OWN[name]}


OWN = {
    "option_map_with_a_gap.jsonl": (
        '{"question": "Hauptstadt?", "options": {"A": "Bonn", "C": "Paris", "D": "Genf"}, "answer": "C"}\n'
        '{"question": "Wer?", "options": {"1": "Milz", "2": "Le foie", "4": "Herz", "5": "Magen"}, "answer": "2"}\n'
        '{"question": "Q?", "options": {"option1": "b", "option2": "x", "option10": "fémur"}, "answer": "option10"}\n'
    ),
    "medmcqa_counted_from_0.jsonl": "".join(
        f'{{"id": "n{key}", "question": "Which {key}?", "opa": "Liver", "opb": "Vitamin C", "opc": "Femur", '
        f'"opd": "Insulin", "cop": {key}}}\n'
        for key in (1, 0, 3, 2, 0)
    ),
    "options_in_one_line.jsonl": (
        '{"question": "Which?", "options": "(A) (retinol) (B) Vitamin B 12 (cobalamin) (C) C (D) D", "answer": "(B)"}\n'
        '{"question": "Combien ? A) 3,5 mmol/l  B) 7 (haut) mmol/l  C) 9 mmol/l", "answer": "A"}\n'
        '{"question": "Quel test ?\\nA. Le test (a) B. Le test (b) C. Aucun", "answer": "B"}\n'
    ),
    "not_a_number.jsonl": (
        '{"question": "Welches Organ?", "context": NaN, "a": "x", "b": "y", "answer": "B"}\n'
        '{"question": "Welcher Knochen?", "context": NaN, "a": "x", "b": "y", "answer": "A"}\n'
        '{"question": NaN, "context": "Ein Fall.", "a": "x", "b": "y", "answer": "A"}\n'
    ),
    "fewer_options.jsonl": (
        '{"q": "Eins", "A": "a", "B": "b", "C": "c", "D": "d", "E": "e", "key": "E"}\n'
        '{"q": "Zwei", "A": "a", "B": "b", "C": "c", "D": "d", "key": "D"}\n'
        '{"q": "Drei", "A": "a", "B": "b", "key": "C"}\n'
    ),
    "no_letters.jsonl": (
        '{"question": "......", "a": "ja", "b": "nein", "answer": "A"}\n'
        '{"question": "1 ?", "a": "ja", "b": "nein", "answer": "B"}\n'
    ),
    "excel_french.csv": 'numéro;question;réponse a;réponse b;bonne\n1;"Où ?";"Foie";"Rate";A\n'
    '2;"Quelle valeur ; la plus élevée ?";"1,5";"2,5";B\n'.encode("cp1252"),
    "pandas.tsv": 'id\tquestion\ta\tb\tkey\n1.0\t"Le ""foie"" produit"\tla bile\tle sang\tA\n'
    '2.0\t"Zwei\nZeilen ?"\tja\tnein\tB\n',
    "wrapped_exams.json": """{"version": "1", "exams": {"x": {"name": "x", "data": [
      {"qid": "7", "qtext": "¿Qué?", "ra": "2", "answers": [{"aid": 1, "atext": "Bazo"}, {"aid": 2, "atext": "Hígado"}],
       "image": ""},
      {"qid": "8", "qtext": "Véase", "ra": "1", "answers": [{"aid": 1, "atext": "A"}, {"aid": 2, "atext": "B"}],
       "image": "1.png"}]}}}""",
    "chat_messages.jsonl": (
        '{"messages": [{"role": "user", "content": "Welches Organ ?\\nA) Rate\\nB) Foie"}, '
        '{"role": "assistant", "content": "La réponse est B : Foie"}]}\n'
    ),
    "all_of_the_above.jsonl": (
        '{"question": "Welche?", "a": "Foie", "b": "Rate", "c": "A und B", "d": "Alle genannten", "answer": "C"}\n'
    ),
}

both = pytest.mark.parametrize("files", [own, case], ids=["own", "shared"])


@both
def test_the_printed_label_of_a_map_is_the_key_whatever_is_left_out_before_it(read, files):
    shard = read("columns", files("option_map_with_a_gap.jsonl"), options=MAPS)
    assert golds(shard) == ["Paris", "Le foie", "fémur"]
    assert [item.meta["labels"] for item in shard.items] == [
        ["A", "C", "D"],
        ["1", "2", "4", "5"],
        ["option1", "option2", "option10"],
    ]


@both
def test_a_key_0_stops_a_file_that_is_read_as_counted_from_1_and_names_its_row(read, files):
    with pytest.raises(
        InputError, match=r"row 2: the key 0 among 4 options shows that the file counts from 0"
    ) as error:
        read("medmcqa", files("medmcqa_counted_from_0.jsonl"))
    assert "\n" not in str(error.value)


def test_a_file_counted_from_0_is_read_so_where_that_is_said(read):
    shard = read("medmcqa", case("medmcqa_counted_from_0.jsonl"), options={"cop_from": 0})
    assert golds(shard) == ["Vitamin C", "Liver", "Insulin", "Femur", "Erythrocytes"]
    assert shard.report["evidence"]["counting"] == {"index0": {"smallest": 0, "largest": 3}}
    assert golds(read("medmcqa", own("medmcqa_counted_from_0.jsonl"), options={"cop_from": 0})) == [
        *("Vitamin C", "Liver", "Insulin", "Femur", "Liver")
    ]


@pytest.mark.parametrize(("form", "key", "shown"), [("index1", 0, "from 0"), ("index0", 2, "from 1")])
def test_a_key_that_no_file_of_the_declared_base_can_have_stops_columns_too(read, form, key, shown):
    records = [{"question": f"Nummer {n}?", "a": "x", "b": "y", "answer": 1} for n in range(9)]
    records.append({**records[0], "answer": key})
    with pytest.raises(InputError, match=rf"row 10: the key {key} among 2 options shows that the file counts {shown}"):
        read("columns", {"a.jsonl": records}, options={**AB, "answer_form": form})


@both
def test_options_in_one_line_are_split_at_the_outermost_labels(read, files):
    (name, content), *_ = files("options_in_one_line.jsonl").items()
    lines = content.splitlines(keepends=True)
    first = read("columns", {name: lines[0]}, options=MAPS)
    rest = read(
        "columns",
        {name: lines[1] + lines[2]},
        options={"question": "question", "answer": "answer", "options_in_question": True, "answer_form": "labels"},
    )
    assert [len(item.options) for item in first.items + rest.items] == [4, 3, 3]
    assert golds(first) + golds(rest) == ["Vitamin B 12 (cobalamin)", "3,5 mmol/l", "Le test (b)"]


@both
def test_not_a_number_is_nothing(read, files):
    shard = read("columns", files("not_a_number.jsonl"), options={**AB, "context": "context"})
    assert [item.context for item in shard.items] == ["", ""]
    assert shard.report["groups"]["groups"] == 2
    assert shard.reasons == {"empty question": 1}


@both
def test_an_absent_column_is_an_option_less_and_an_answer_beyond_is_rejected(read, files):
    shard = read("columns", files("fewer_options.jsonl"), options=LETTERS)
    assert [len(item.options) for item in shard.items] == [5, 4]
    assert golds(shard) == ["e", "d"]
    assert [(reject["row"], reject["reason"]) for reject in shard.rejects] == [(3, "gold outside the options")]


@both
def test_a_question_without_a_letter_is_no_question(read, files):
    assert read("columns", files("no_letters.jsonl"), options=AB).reasons == {"no letters in the question": 2}


@both
def test_a_semicolon_file_of_windows_is_read_and_the_report_says_how(read, files):
    options = {
        "question": "question",
        "options": ["réponse a", "réponse b"],
        "answer": "bonne",
        "answer_form": "labels",
        "id": "numéro",
    }
    shard = read("columns", files("excel_french.csv"), options=options)
    assert golds(shard) == ["Foie", "2,5"]
    assert shard.items[0].question.startswith("Où ")
    ((_, facts),) = shard.report["files"].items()
    assert facts["read_as"]["encoding"] == {"name": "cp1252", "configured": False}
    assert facts["read_as"]["delimiter"] == {"name": "semicolon", "configured": False}
    (warning,) = shard.report["evidence"]["warnings"]
    assert "read as cp1252, which is a guess" in warning


@both
def test_quoted_cells_of_a_tsv_and_keys_that_pandas_made_floats(read, files):
    options = {"question": "question", "options": ["a", "b"], "answer": "key", "answer_form": "labels", "id": "id"}
    shard = read("columns", files("pandas.tsv"), options=options)
    assert [item.meta["native_id"] for item in shard.items] == ["1", "2"]
    assert shard.items[0].question == 'Le "foie" produit'
    assert "\n" in shard.items[1].question
    assert golds(shard)[0] == "la bile"


@both
def test_exams_in_a_file_are_read_by_a_path_with_the_labels_of_their_options(read, files):
    options = {
        "records": "exams.*.data.*",
        "question": "qtext",
        "options": "answers.*.atext",
        "option_labels": "answers.*.aid",
        "answer": "ra",
        "answer_form": "labels",
        "must_be_empty": ["image"],
        "meta": ["qid", "^.name", "^.@key"],
    }
    shard = read("columns", files("wrapped_exams.json"), options=options)
    assert golds(shard) == ["Hígado"]
    assert [(reject["row"], reject["reason"]) for reject in shard.rejects] == [(2, "not for readers of text")]
    assert "1.png" in shard.rejects[0]["detail"]
    assert shard.items[0].meta["^.name"] == shard.items[0].meta["^.@key"]


@both
def test_the_turns_of_a_chat_are_a_question_and_its_answer(read, files):
    options = {
        "question": "messages[role=user].content",
        "options_in_question": True,
        "answer": "messages[role=assistant].content",
        "answer_pattern": "réponse est (?P<label>[A-Z]) : (?P<text>.+)",
        "answer_form": "labels",
    }
    shard = read("columns", files("chat_messages.jsonl"), options=options)
    assert [item.options for item in shard.items] == [("Rate", "Foie")]
    assert golds(shard) == ["Foie"]
    swapped = {name: text.replace(b"est B", b"est A") for name, text in _as_bytes(files("chat_messages.jsonl")).items()}
    assert read("columns", swapped, options=options).reasons == {"answers disagree": 1}


def _as_bytes(files):
    return {name: text if isinstance(text, bytes) else text.encode() for name, text in files.items()}


@both
def test_options_that_depend_on_their_place_are_kept_and_flagged(read, files):
    options = {"question": "question", "options": ["a", "b", "c", "d"], "answer": "answer", "answer_form": "labels"}
    shard = read("columns", files("all_of_the_above.jsonl"), options=options, phrases=PHRASES)
    (item,) = shard.items
    assert item.meta["position_dependent"] is True
    assert item.gold == (2,)
    assert shard.report["evidence"]["position_dependent"] == 1
