"""Each reader on small files of exactly the published form."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from posologie.running.errors import InputError


def lettered(question, *options, line="Choix de réponses :"):
    lines = [f"({letter}) {option}" for letter, option in zip("ABCDEFGHIJ", options, strict=False)]
    return "\n".join([question, line, *lines])


def parquet(records, path):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), path)
    return path.read_bytes()


HUB = [
    {"instruction": lettered("Un ?", "a", "b"), "context": "", "answer": "B", "type": "mcqu", "origin": "MediQAl"},
    {
        "instruction": lettered("Deux ?", "a", "b", "c"),
        "context": "Cas.",
        "answer": "A,C",
        "type": "mcq",
        "origin": "X",
    },
    {"instruction": "Trois ?", "context": "", "answer": "Ceci.", "type": "oeq", "origin": "X"},
]


@pytest.mark.parametrize("form", ["json", "jsonl", "parquet"])
def test_hub_records_are_read_from_json_lists_json_lines_and_parquet(read, tmp_path, form):
    content = parquet(HUB, tmp_path / "made.parquet") if form == "parquet" else HUB
    items = read("hub_records", {f"Train/mcq/mcq_training.{form}": content}).items
    assert [item.task for item in items] == ["mcqu", "mcq", "oeq"]
    assert [item.question for item in items] == ["Un ?", "Deux ?", "Trois ?"]
    assert [item.options for item in items] == [("a", "b"), ("a", "b", "c"), ()]
    assert [item.gold for item in items] == [(1,), (0, 2), ()]
    assert [item.answer for item in items] == ["", "", "Ceci."]
    assert [item.context for item in items] == ["", "Cas.", ""]
    assert [item.meta["origin"] for item in items] == ["MediQAl", "X", "X"]


@pytest.mark.parametrize(
    ("published", "task"),
    [
        *((spelling, "mcqu") for spelling in ("MCQU", "QCU", "mcq-u", "single answer", None, "")),
        *((spelling, "mcq") for spelling in ("MCQ", "MCQM", "qcm", "Multiple")),
    ],
)
def test_the_type_of_a_hub_record_is_known_in_either_spelling_or_by_its_folder(read, published, task):
    (item,) = read("hub_records", {"Test/mcqu/mcqu_test.json": [{**HUB[0], "type": published}]}).items
    assert item.task == task


@pytest.mark.parametrize("published", ["OEQ", "open-ended", "QROC"])
def test_open_questions_of_the_hub_are_known_in_either_spelling(read, published):
    assert read("hub_records", {"a/b.json": [{**HUB[2], "type": published}]}).items[0].task == "oeq"


def test_a_single_answer_hub_record_with_several_labels_is_rejected(read):
    shard = read("hub_records", {"Test/mcqu/mcqu_test.json": [{**HUB[1], "type": "mcqu"}]})
    assert shard.reasons == {"several gold labels on a single-answer question": 1}


def test_origins_pick_one_provenance_out_of_the_data_set_of_all_parts(read):
    shard = read("hub_records", {"data/train-00000-of-00001.json": HUB}, options={"origins": ["MediQAl"]})
    assert shard.report["origins"] == {"MediQAl": 1}
    assert shard.report["of_other_splits"] == 2


MCQA = {
    "id": "abc",
    "question": "Laquelle\u00a0?",
    "answers": {"a": "un", "b": "deux", "c": "trois", "d": "quatre", "e": "cinq"},
    "correct_answers": ["b", "e"],
    "subject_name": "pharmacie",
    "type": "multiple",
    "nbr_correct_answers": 2,
}


def test_frenchmedmcqa_is_read_with_and_without_its_type(read):
    test = {key: value for key, value in MCQA.items() if key != "type"} | {"correct_answers": ["c"], "id": "def"}
    first, second = read("frenchmedmcqa", {"test.json": [MCQA, test]}).items
    assert (first.task, first.gold, first.question) == ("mcq", (1, 4), "Laquelle ?")
    assert (second.task, second.gold) == ("mcqu", (2,))
    assert first.meta["native_id"] == "abc"
    assert first.meta["subject"] == "pharmacie"


def test_frenchmedmcqa_counts_a_duplicate_native_id_and_keeps_both(read):
    shard = read("frenchmedmcqa", {"train.json": [MCQA, {**MCQA, "question": "Autre ?"}]})
    assert shard.items[1].id == shard.items[0].id + "-2"
    assert shard.report["repeated_ids"] == {"same native id": 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": "simple"}, "type contradicts the key"),
        ({"type": "autre"}, "unknown type"),
        ({"correct_answers": []}, "unlabelled"),
        ({"correct_answers": ["a", "f"]}, "gold outside the options"),
        ({"answers": {"a": "un", "c": "trois"}}, "unreadable options"),
        (
            {"answers": {"a": "un", "b": "un", "c": "trois", "d": "4", "e": "5"}},
            "duplicate options with different keys",
        ),
        ({"question": ""}, "empty question"),
    ],
)
def test_frenchmedmcqa_rejects_by_reason(read, change, reason):
    assert read("frenchmedmcqa", {"train.json": [{**MCQA, **change}]}).reasons == {reason: 1}


MEDIQAL = {
    "id": "q1",
    "clinical_case": "Un homme de 50 ans.",
    "question": "Que faire ?",
    **{f"answer_{letter}": f"texte {letter}" for letter in "abcde"},
    "correct_answers": "A,C",
    "task": "mcqm",
    "medical_subject": "Cardiologie",
    "question_type": "Reasoning",
}


def test_mediqal_is_read_in_its_three_tasks(read):
    oeq = {"id": "q3", "clinical_case": "Un homme de 50 ans.", "question": "Pourquoi ?", "answer": "Ainsi."}
    files = {
        "mcqm/test.json": [{key: value for key, value in MEDIQAL.items() if key != "task"}],
        "mcqu/test.json": [{**MEDIQAL, "id": "q2", "task": "mcqu", "correct_answers": "B", "answer_e": None}],
        "oeq/test.json": [{**oeq, "cc_question_number": "1"}],
    }
    several, single, oeq = read("mediqal", files, split="test").items
    assert (several.task, several.gold, len(several.options)) == ("mcq", (0, 2), 5)
    assert (single.task, single.gold, len(single.options)) == ("mcqu", (1,), 4)
    assert (oeq.task, oeq.answer) == ("oeq", "Ainsi.")
    assert several.group == single.group == oeq.group
    assert several.meta["subject"] == "Cardiologie"


def test_frbmedqa_is_read_as_a_choice_among_entities_or_openly(read):
    records = [
        {"context": "Le coeur bat.", "question": "Le XXXX bat.", "candidates": ["foie", "coeur"], "answer": "coeur"},
        {"passage": "Le foie.", "question": "Le XXXX ?", "answer": "foie"},
        {"context": "c", "question": "Le XXXX ?", "candidates": ["foie", "coeur"], "answer": "rein"},
    ]
    shard = read("frbmedqa", {"train.json": records})
    assert [(item.task, item.gold, item.answer) for item in shard.items] == [("mcqu", (1,), ""), ("oeq", (), "foie")]
    assert shard.reasons == {"unreadable answer": 1}


def test_instruction_pairs_are_choices_where_the_question_ends_with_options(read, tmp_path):
    records = [
        {"instruction": lettered("Laquelle ?", "un", "deux", line="Options :"), "input": "Cas.", "output": "A,B"},
        {"instruction": "Pourquoi ?", "input": "", "output": "A cause de cela."},
    ]
    choice, oeq = read("instruction_pairs", {"data/train-0.parquet": parquet(records, tmp_path / "x.parquet")}).items
    assert (choice.task, choice.gold, choice.context) == ("mcq", (0, 1), "Cas.")
    assert (oeq.task, oeq.answer, oeq.meta["origin"]) == ("oeq", "A cause de cela.", "essai")


def test_instruction_pairs_take_the_names_of_their_fields(read):
    record = {"Enonce": "Pourquoi ?", "Corrige": "Ainsi.", "Serie": 3, "Specialite": "Cardio"}
    options = {"question": ["Enonce"], "answer": ["Corrige"], "group": ["Specialite", "Serie"], "origin": "cas"}
    (item,) = read("instruction_pairs", {"train.json": [record]}, options=options).items
    assert (item.question, item.answer) == ("Pourquoi ?", "Ainsi.")
    assert item.meta == {"origin": "cas", "subject": "Cardio"}
    assert item.group != item.id


MEDQA = {
    "question": "Which?",
    "answer": "two",
    "options": {"A": "one", "B": "two", "C": "three", "D": "four", "E": "five"},
    "meta_info": "step2&3",
    "answer_idx": "B",
}


def test_medqa_is_read_with_and_without_the_label(read):
    unlettered = {key: value for key, value in MEDQA.items() if key != "answer_idx"}
    first, second = read("medqa", {"US/train.jsonl": [MEDQA, {**unlettered, "question": "What?"}]}).items
    assert first.gold == second.gold == (1,)
    assert first.meta["exam"] == "step2&3"


def test_medqa_rejects_a_label_that_contradicts_its_text(read):
    shard = read("medqa", {"US/train.jsonl": [{**MEDQA, "answer_idx": "C"}]})
    assert shard.reasons == {"answer contradicts its label": 1}


MEDMCQA = {
    "id": "m1",
    "question": "Which?",
    "opa": "one",
    "opb": "two",
    "opc": "three",
    "opd": "four",
    "cop": 4,
    "choice_type": "single",
    "exp": "Because.",
    "subject_name": "Anatomy",
    "topic_name": None,
}


def test_medmcqa_counts_from_one_and_rejects_the_unlabelled_test_questions(read):
    test = {key: value for key, value in MEDMCQA.items() if key not in ("cop", "exp")}
    shard = read("medmcqa", {"dev.json": "".join(json.dumps(r) + "\n" for r in (MEDMCQA, {**test, "id": "m2"}))})
    assert shard.items[0].gold == (3,)
    assert shard.items[0].meta["explanation"] == "Because."
    assert shard.reasons == {"unlabelled": 1}


def test_medmcqa_of_the_hub_counts_from_zero(read, tmp_path):
    records = [{**MEDMCQA, "cop": 3}, {**MEDMCQA, "id": "m2", "cop": -1}]
    content = parquet(records, tmp_path / "x.parquet")
    shard = read("medmcqa", {"data/train-0.parquet": content}, options={"cop_from": 0})
    assert shard.items[0].gold == (3,)
    assert shard.reasons == {"unlabelled": 1}


PUBMEDQA = {
    "QUESTION": "Does it?",
    "CONTEXTS": ["Background.", "Results."],
    "LABELS": ["BACKGROUND", "RESULTS"],
    "MESHES": ["Humans"],
    "YEAR": "2011",
    "final_decision": "maybe",
    "LONG_ANSWER": "Perhaps.",
}


def test_pubmedqa_divides_by_the_ids_of_its_test_half(read):
    files = {"ori_pqal.json": {"1": PUBMEDQA, "2": PUBMEDQA}, "test_ground_truth.json": {"2": "maybe"}}
    (train,), (test,) = (read("pubmedqa", files, split=split).items for split in ("train", "test"))
    assert (train.meta["native_id"], test.meta["native_id"]) == ("1", "2")
    assert train.options == ("yes", "no", "maybe")
    assert train.gold == (2,)
    assert train.context == "Background.\nResults."
    with pytest.raises(InputError, match="there is no validation"):
        read("pubmedqa", files, split="validation")


def test_pubmedqa_may_be_read_as_open_questions(read):
    (item,) = read("pubmedqa", {"ori_pqal.json": {"1": PUBMEDQA}}, options={"task": "oeq"}).items
    assert (item.task, item.answer, item.meta["decision"]) == ("oeq", "Perhaps.", "maybe")


def test_mmlu_takes_the_subject_from_the_name_of_the_file(read):
    rows = 'Which\n"one"?,"a, b",c,d,e,B\nshort,A\nlast,a,b,c,d,E\n'.replace('\n"one"?', "?")
    shard = read("mmlu", {"test/clinical_knowledge_test.csv": rows}, split="test")
    (item,) = shard.items
    assert (item.question, item.options, item.gold) == ("Which?", ("a, b", "c", "d", "e"), (1,))
    lineage = [{"source": "MMLU", "id": "MMLU:clinical_knowledge_test:1"}]
    assert item.meta == {"origin": "MMLU", "subject": "clinical knowledge", "lineage": lineage}
    assert shard.reasons == {"not a record of this form": 1, "gold outside the options": 1}


MEDXPERTQA = {
    "id": "Text-0",
    "question": "A woman presents. Which?\nAnswer Choices: (A) a (B) b",
    "options": {letter: f"text {letter}" for letter in "ABCDEFGHIJ"},
    "label": "J",
    "medical_task": "Diagnosis",
    "body_system": "Nervous",
    "question_type": "Reasoning",
}


@pytest.mark.parametrize(
    "change",
    [{}, {"label": ["J"]}, {"options": [{"letter": letter, "content": f"text {letter}"} for letter in "ABCDEFGHIJ"]}],
)
def test_medxpertqa_has_ten_options_and_no_copy_of_them_in_the_question(read, change):
    (item,) = read("medxpertqa", {"Text/test.jsonl": [{**MEDXPERTQA, **change}]}).items
    assert item.question == "A woman presents. Which?"
    assert len(item.options) == 10
    assert item.gold == (9,)


def test_medxpertqa_rejects_questions_that_need_an_image(read):
    shard = read("medxpertqa", {"MM/test.jsonl": [{**MEDXPERTQA, "images": ["MM-1-a.jpeg"]}]})
    assert shard.reasons == {"needs an image": 1}


def test_casimedicos_is_read_in_both_forms_and_takes_the_records_of_one_split(read):
    rebuilt = {
        "id": "fr-train-0",
        "clinical_case": "Femme de 27 ans.",
        "question": "Lequel ?",
        "options": ["un", "deux", "trois", "quatre", "nan"],
        "correct": 4,
        "explanation": "Parce que.",
        "split": "train",
    }
    published = {
        "id": 7,
        "full_question": "Femme de 27 ans. Lequel ?",
        "options": {"1": "un", "2": "deux", "3": "trois", "4": "quatre", "5": ""},
        "correct_option": 4,
        "full_answer": "Parce que.",
        "type": "DIGESTIF",
    }
    records = [rebuilt, {**rebuilt, "id": "x", "split": "dev"}, published, {**rebuilt, "id": "y", "correct": 5}]
    shard = read("casimedicos", {"fr.jsonl": records})
    assert [(item.gold, len(item.options)) for item in shard.items] == [((3,), 4), ((3,), 4)]
    assert shard.repaired == {"'nan' options dropped": 1, "empty options dropped": 1}
    assert shard.reasons == {"gold names an empty option": 1}
    assert shard.report["of_other_splits"] == 1


def test_columns_are_mapped_by_configuration_in_any_language(read):
    rows = "Frage;A;B;C;Lösung".replace(";", ",") + "\nWelches?,eins,zwei,drei,2\nWelche?,eins,zwei,,3\n"
    options = {"question": "Frage", "options": ["A", "B", "C"], "answer": "Lösung", "answer_form": "index1"}
    shard = read("columns", {"fragen.csv": rows}, options=options)
    assert [(item.question, item.options, item.gold) for item in shard.items] == [
        ("Welches?", ("eins", "zwei", "drei"), (1,))
    ]
    assert shard.reasons == {"gold names an empty option": 1}


def test_columns_reach_into_nested_records_and_name_tasks_splits_and_groups(read):
    record = {"data": {"q": "Which?", "o": "one | two"}, "key": 5, "a": "two", "t": "single", "s": "tr", "case": 3}
    options = {
        "question": "data.q",
        "options": "data.o",
        "option_separator": "|",
        "answer": "a",
        "id": "key",
        "task_column": "t",
        "tasks": {"single": "mcqu", "open": "oeq"},
        "split_column": "s",
        "splits": {"tr": "train", "te": "test"},
        "group": "case",
        "meta": ["t"],
        "origin": "mine",
    }
    records = [record, {**record, "key": 6, "t": "open"}, {**record, "s": "te"}, {**record, "t": "?"}, {"s": "tr"}]
    shard = read("columns", {"rows.jsonl": records}, options=options)
    choice, oeq = shard.items
    assert (choice.options, choice.gold, choice.meta["native_id"]) == (("one", "two"), (1,), "5")
    assert (oeq.task, oeq.answer, oeq.meta["origin"], oeq.meta["t"]) == ("oeq", "two", "mine", "open")
    assert choice.group == oeq.group != choice.id
    assert shard.report["of_other_splits"] == 1
    assert shard.reasons == {"unknown type": 1, "missing field": 1}


def test_columns_may_hold_the_options_inside_the_question(read):
    record = {"q": "Qual?\nAlternativas:\nA) um\nB) dois", "a": "dois"}
    options = {"question": "q", "answer": "a", "options_in_question": True, "choices_line": "^alternativas:$"}
    (item,) = read("columns", {"rows.json": [record]}, options=options).items
    assert (item.question, item.options, item.gold) == ("Qual?", ("um", "dois"), (1,))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"answer": "a"}, r"options\.question: missing"),
        ({"question": "q", "answer": "a", "options": "o", "options_in_question": True}, "either options or"),
        ({"question": "q", "answer": "a", "task_column": "t"}, "task_column together with tasks"),
        ({"question": "q", "answer": "a", "choices_line": "("}, "a regular expression"),
        ({"question": "q", "answer": "a", "answer_form": "letters"}, "answer_form = 'letters'"),
    ],
)
def test_a_mapping_that_does_not_fit_is_named_in_one_line(read, options, message):
    with pytest.raises(InputError, match=message) as error:
        read("columns", {"rows.json": [{"q": "a"}]}, options=options)
    assert "\n" not in str(error.value)


def test_options_by_label_keep_their_places_where_one_is_empty_or_there_are_ten(read):
    lettered = {"q": "Lequel ?", "o": {"A": "un", "B": None, "C": "trois", "D": "quatre"}, "a": "C"}
    numbered = {"q": "Lequel des dix ?", "o": {str(number): f"texte {number}" for number in range(1, 11)}, "a": "10"}
    columns = {"question": "q", "options": "o", "answer": "a"}
    (item,) = read("columns", {"a.jsonl": [lettered]}, options=columns).items
    assert (item.options, item.gold) == (("un", "trois", "quatre"), (1,))
    (item,) = read("columns", {"b.jsonl": [numbered]}, options={**columns, "answer_form": "index1"}).items
    assert item.options[item.gold[0]] == "texte 10"


def test_medmcqa_in_parquet_has_to_say_from_where_its_key_counts(read):
    record = {"question": "Which?", "opa": "1", "opb": "2", "opc": "3", "opd": "4", "cop": 3}
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([record]), sink)
    files = {"data/train.parquet": sink.getvalue().to_pybytes()}
    with pytest.raises(InputError, match=r"options.cop_from: missing for Parquet files; expected 0 .* or 1"):
        read("medmcqa", files)
    (item,) = read("medmcqa", files, options={"cop_from": 0}).items
    assert item.gold == (3,)
