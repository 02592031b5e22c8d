"""What a shard shows of its files before its rows are believed."""

import json

import pytest

from posologie.running.errors import InputError

NAMES = {"question": "q", "options": ["a", "b", "c", "d"], "answer": "key", "answer_form": "labels"}
WORDS = [
    "Leber",
    "Milz",
    "Niere",
    "Herz",
    "Lunge",
    "Magen",
    "Darm",
    "Haut",
    "Auge",
    "Ohr",
    "Nase",
    "Zunge",
    "Hand",
    "Knie",
    "Hals",
    "Stirn",
]


def records(count, key=lambda number: "ABCD"[number % 4], question=lambda number: f"Welches Organ {number} ?"):
    return [
        {"q": question(number), **dict(zip("abcd", WORDS[number % 12 :], strict=False)), "key": key(number)}
        for number in range(count)
    ]


def warnings_of(shard):
    return shard.report["evidence"]["warnings"]


def test_a_shard_of_which_too_much_is_rejected_stops_with_the_reason_and_three_rows(read, tmp_path):
    rows = records(40, key=lambda number: "Z" if number % 4 == 0 else "" if number == 1 else "B")
    with pytest.raises(InputError) as error:
        read("columns", {"a.jsonl": rows}, options=NAMES, reject_limit=0.2)
    message = str(error.value)
    assert "11 of 40 records rejected, more than reject_limit 20%" in message
    assert "the commonest reason, 10 times: gold outside the options" in message
    assert [f"row {row} (" in message for row in (1, 5, 9, 13)] == [True, True, True, False]
    assert "\n" not in message
    assert list((tmp_path / "out-1").iterdir()) == []


def test_rejects_below_the_limit_are_a_warning_in_log_and_report(read, caplog):
    rows = records(40, key=lambda number: "Z" if number % 8 == 0 else "ABCD"[number % 4])
    shard = read("columns", {"a.jsonl": rows}, options=NAMES, reject_limit=0.2)
    assert warnings_of(shard) == ["5 of 40 records rejected: gold outside the options"]
    assert shard.report["evidence"]["rejected_share"] == 0.125
    assert "essai, train: 5 of 40 records rejected" in caplog.text


def test_a_source_of_which_every_row_is_rejected_stops(read):
    with pytest.raises(InputError, match="3 of 3 records rejected"):
        read("columns", {"a.jsonl": [{"x": 1}] * 3}, options=NAMES, reject_limit=0.2)


def test_a_latin_1_file_that_a_form_takes_for_utf8_stops_rather_than_lose_its_accents(read):
    lines = "".join(
        json.dumps({"question": f"{'Où' if n % 3 else 'Which'} {n} ?", "options": {"A": "x", "B": "y"},
                    "answer_idx": "A"}, ensure_ascii=False) + "\n"
        for n in range(30)
    )  # fmt: skip
    with pytest.raises(InputError, match=r"20 of 30 records rejected.*damaged characters"):
        read("medqa", {"train.jsonl": lines.encode("latin-1")}, reject_limit=0.2)


def test_a_balanced_file_gives_no_warning_and_its_facts(read):
    shard = read("columns", {"a.jsonl": records(60)}, options=NAMES, language="de")
    facts = shard.report["evidence"]
    assert facts["warnings"] == []
    assert facts["keys"] == {"A": 15, "B": 15, "C": 15, "D": 15}
    assert facts["languages"]["declared"] == "de"


def test_a_label_that_is_never_the_key_and_one_that_always_is_are_warned_of(read):
    never = read("columns", {"a.jsonl": records(60, key=lambda number: "BCD"[number % 3])}, options=NAMES)
    assert warnings_of(never) == ["label A is the key of none of 60 questions that offer it"]
    always = read("columns", {"a.jsonl": records(60, key=lambda number: "A" if number else "B")}, options=NAMES)
    assert "label A is the key of 59 of 60 questions" in warnings_of(always)
    few = read("columns", {"a.jsonl": records(12, key=lambda number: "B")}, options=NAMES)
    assert warnings_of(few) == []


def test_items_in_another_language_than_declared_are_warned_of(read):
    long = {
        "fr": "Quel organe produit la bile chez un patient adulte qui présente une douleur abdominale aiguë, cas {} ?",
        "en": "Which organ produces the bile in an adult patient who presents with acute abdominal pain, case {} ?",
    }
    rows = records(40, question=lambda number: long["en" if number < 8 else "fr"].format(number))
    rows = [{**row, "a": "le foie", "b": "la rate", "c": "le rein", "d": "le cœur"} for row in rows]
    shard = read("columns", {"a.jsonl": rows}, options=NAMES, language="fr")
    (warning,) = warnings_of(shard)
    assert warning == "8 of 40 sampled items look like another language than 'fr': 'en'"
    assert shard.report["evidence"]["languages"]["found"] == {"fr": 32, "en": 8}
    few = read("columns", {"a.jsonl": rows[6:]}, options=NAMES, language="fr")
    assert warnings_of(few) == []


def test_a_prefix_that_only_part_of_the_questions_have_is_warned_of(read):
    rows = records(40, question=lambda number: f"Frage {number}: wo ?" if number % 4 else "Wo liegt es ?")
    shard = read("columns", {"a.jsonl": rows}, options=NAMES)
    assert warnings_of(shard) == ["30 of 40 questions begin with 'Frage #:', and the others do not"]
    every = read("columns", {"a.jsonl": records(40, question=lambda number: f"Frage {number}: wo ?")}, options=NAMES)
    assert warnings_of(every) == []
    assert every.report["evidence"]["prefixes"]["questions"] == {"Frage #:": 40}


def test_letters_before_only_some_options_are_warned_of(read):
    rows = [{**row, "b": f"B) {row['b']}"} for row in records(30)]
    shard = read("columns", {"a.jsonl": rows}, options=NAMES)
    assert warnings_of(shard) == ["in 30 of 30 questions some options begin with a letter like A) and others do not"]


def test_native_ids_at_different_content_are_told_from_copies(read):
    rows = [{**row, "n": f"k{number % 28}"} for number, row in enumerate(records(30))]
    rows.append({**rows[5]})
    shard = read("columns", {"a.jsonl": rows}, options={**NAMES, "id": "n"})
    assert shard.report["evidence"]["duplicate_ids"] == {"ids": 2, "examples": ["k0", "k1"]}
    assert warnings_of(shard) == ["2 native ids stand at items of different content, such as k0, k1"]


def test_text_that_was_encoded_twice_is_warned_of(read):
    rows = records(30, question=lambda number: f"Où est-ce élevé {number} ?".encode().decode("cp1252"))
    assert any("encoded twice" in warning for warning in warnings_of(read("columns", {"a.jsonl": rows}, options=NAMES)))


def test_a_told_encoding_that_the_file_contradicts_is_an_error(read):
    rows = "q,a,b,c,d,key\nOù ?,w,x,y,z,A\n"
    with pytest.raises(InputError, match="is UTF-8 throughout, though encoding says cp1252"):
        read("columns", {"a.csv": rows}, options={**NAMES, "encoding": "cp1252"})


def test_a_context_that_most_items_share_is_warned_of(read):
    rows = [{**row, "case": "None" if number % 5 else f"Fall {number}"} for number, row in enumerate(records(40))]
    shard = read("columns", {"a.jsonl": rows}, options={**NAMES, "context": "case"})
    assert warnings_of(shard) == ["32 of 40 items share one group: is their context or group a filler?"]


def test_a_split_that_its_files_do_not_hold_is_warned_of(read):
    rows = [{**row, "s": "tr"} for row in records(5)]
    options = {**NAMES, "split_column": "s", "splits": {"tr": "train", "te": "test"}}
    shard = read("columns", {"a.jsonl": rows}, options=options, split="test")
    assert warnings_of(shard) == ["no record of this split: all 5 in its files are of others"]


def test_the_base_of_counting_is_a_property_of_each_file(read):
    good = [{**row, "key": number % 4 + 1} for number, row in enumerate(records(8))]
    bad = [{**row, "key": number % 4} for number, row in enumerate(records(8))]
    with pytest.raises(InputError, match=r"b\.jsonl, row 1: the key 0 among 4 options"):
        read("columns", {"a.jsonl": good, "b.jsonl": bad}, options={**NAMES, "answer_form": "index1"})
    with pytest.raises(InputError, match=r"a\.jsonl, row 4: the key 4 among 4 options"):
        read("columns", {"a.jsonl": good}, options={**NAMES, "answer_form": "index0"})


def test_a_key_of_0_in_casimedicos_and_numbers_in_lists_are_evidence_too(read):
    record = {"id": "x", "question": "Lequel ?", "options": ["un", "deux", "trois"], "correct": 1}
    rows = [{**record, "id": "y", "correct": 2}, {**record, "correct": 0}]
    with pytest.raises(InputError, match="row 2: the key 0 among 3 options"):
        read("casimedicos", {"fr.jsonl": rows})
    several = [{**row, "key": "1,4"} for row in records(3)]
    with pytest.raises(InputError, match="row 1: the key 4 among 4 options"):
        read("columns", {"a.jsonl": several}, options={**NAMES, "answer_form": "index0"})
