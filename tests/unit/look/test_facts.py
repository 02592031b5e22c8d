"""The facts of a study's data, and what of them is a reason to doubt."""

import json
import random

import numpy as np
import pytest

from looked import HOSTILE, item, spec, study, write_shard, write_study
from posologie.config.job_specs import mix_spec
from posologie.look import facts as doses
from posologie.look.facts import example, look
from posologie.look.page import pages, source_page
from posologie.mixes import __main__ as mixes
from posologie.records.files import read_json, write_json, write_parquet
from posologie.records.items import items_to_table
from posologie.records.prompting import Prompting, assistant_turn, user_turn


@pytest.fixture
def root(tmp_path):
    return write_study(tmp_path / "looked")


def doubts(facts, source="native"):
    return [doubt["text"] for doubt in facts["sources"][source]["doubts"]]


def only(facts, words, source="native"):
    """Return the one doubt that holds the words; there must be no other of its kind."""
    matching = [text for text in doubts(facts, source) if words in text]
    assert len(matching) == 1, doubts(facts, source)
    return matching[0]


def test_data_in_which_nothing_is_odd_raise_no_doubt(root):
    facts = look(spec(), root)
    assert facts["doubts"] == []
    assert {name: source["doubts"] for name, source in facts["sources"].items()} == {"native": [], "other": []}
    train = facts["sources"]["native"]["splits"]["train"]
    assert train["keys"] == [{"task": "mcqu", "options": 4, "items": 60, "labels": [15, 15, 15, 15]}]
    assert train["languages"]["items"] == {"fr": 60}
    assert facts["twins"]["pairs"] == facts["twins"]["tests"] == facts["twins"]["other_answer"] == []


def test_the_same_shards_give_the_same_facts_whatever_the_order_of_their_rows(root):
    first = look(spec(), root)
    items = [item(number) for number in range(60)]
    random.Random(3).shuffle(items)
    write_shard(root, items)
    second = look(spec(), root)
    assert second.pop("identity") != first.pop("identity")
    assert json.dumps(second) == json.dumps(first)


def test_keys_are_counted_by_task_and_number_of_options(root):
    three = ("un", "deux", "trois")
    several = [item(500 + number, task="mcq", gold=(0, number % 2 + 1), options=three) for number in range(4)]
    write_shard(root, [*(item(number, gold=(2,)) for number in range(80)), *several])
    facts = look(spec(), root)
    train = facts["sources"]["native"]["splits"]["train"]
    assert {"task": "mcqu", "options": 4, "items": 80, "labels": [0, 0, 80, 0]} in train["keys"]
    assert {"task": "mcq", "options": 3, "items": 4, "labels": [4, 2, 2]} in train["keys"]
    assert train["right_options"] == {"2": 4}
    assert only(facts, "never").startswith("A and B and D is never the right answer of 80 single-answer questions")
    assert "C is nearly always the right answer" in only(facts, "nearly always")


def test_many_rejects_are_a_problem_and_few_a_warning(root):
    rejects = [("train.jsonl", row, "empty question", "", '{"q": ""}') for row in range(30)]
    write_shard(root, [item(number) for number in range(60)], rejects)
    facts = look(spec(), root)
    assert "30 of 90 records of the train split (33 %) were rejected, most often because of" in only(facts, "rejected")
    assert [doubt["state"] for doubt in facts["sources"]["native"]["doubts"]] == ["problem"]
    shown = facts["sources"]["native"]["splits"]["train"]["rejects"]
    reasons = [(reject["reason"], reject["records"], len(reject["examples"])) for reject in shown]
    assert reasons == [("empty question", 30, 3)]
    write_shard(root, [item(number) for number in range(60)], rejects[:6])
    assert [doubt["state"] for doubt in look(spec(), root)["sources"]["native"]["doubts"]] == ["warning"]


def test_a_shard_without_any_item_is_a_problem_and_one_that_is_not_made_is_said_to_be_missing(root):
    write_shard(root, [], [("test.jsonl", 1, "empty question", "", "{}")], split="test")
    for file in (root / "shards/native").glob("validation.*"):
        file.unlink()
    facts = look(spec(), root)
    assert only(facts, "holds no item") == "The test split holds no item: 1 record read, all of them rejected."
    assert only(facts, "not read yet").startswith("The validation split is not read yet")
    assert facts["sources"]["native"]["splits"]["validation"] is None
    assert pages(facts)


def test_texts_that_were_read_wrongly_are_counted_with_the_place_where_it_shows(root):
    items = [item(number) for number in range(60)]
    items[3] = item(3, question="Quelle vitamine prÃ©vient le scorbut chez ce patient ?")
    items[4] = item(4, options=("nan", "le foie", "la rate", "le rein"))
    items[5] = item(5, context="Un patient de 40 ans &amp; sa femme sont fatigués.")
    items[6] = item(6, question="12 + 7 = ?")
    items[7] = item(7, options=("le foie", "Le foie ", "la rate", "le rein"), gold=(0,))
    write_shard(root, items)
    facts = look(spec(), root)
    assert "1 item of the train split (1.7 %): mojibake" in only(facts, "prÃ©vient")
    assert only(facts, "“nan”")
    assert "&amp;" in only(facts, "markup")
    assert only(facts, "without a letter")
    assert "a right and a wrong option" in only(facts, "right and a wrong")


def test_one_group_of_nearly_all_items_and_a_heading_of_some_are_doubts(root):
    items = [item(number, group="nan") for number in range(50)] + [item(number) for number in range(50, 60)]
    for number in range(30):
        items[number] = item(number, group="nan", question=f"Question {number} : {item(number).question}")
    write_shard(root, items)
    facts = look(spec(), root)
    assert "50 of 60 items of the train split are one group" in only(facts, "one group")
    assert "50 % of the questions of the train split begin like “\u2068Question 0 :\u2069”" in only(facts, "begin like")


def test_items_in_another_language_are_counted_in_the_sample(root):
    spanish = (
        "¿Cuál de las siguientes afirmaciones sobre el hígado es correcta en los pacientes adultos de edad avanzada?"
    )
    items = [item(number) for number in range(50)]
    options = ("el bazo", "el hígado", "el riñón", "la piel")
    items += [item(number, question=f"{spanish} ({number})", options=options) for number in range(50, 60)]
    write_shard(root, items)
    facts = look(spec(), root)
    assert facts["sources"]["native"]["splits"]["train"]["languages"]["items"] == {"fr": 50, "es": 10}
    assert "17 % of 60 sampled items" in only(facts, "other than the most frequent")
    facts = look(spec(report={"language": "es", "item_browser": False}), root)
    assert "report.language is “es”" in only(facts, "of the validation split are mostly")


def test_twins_are_found_in_a_split_across_splits_and_sources_and_with_tests(root):
    items = [item(number) for number in range(60)]
    same = item(10)
    items[1] = item(1, question=same.question.upper(), options=same.options[::-1], gold=(3 - same.gold[0],))
    items[2] = item(2, question=item(200).question, options=item(200).options, gold=item(200).gold)
    items[3] = item(3, question=item(301).question, options=item(301).options, gold=((item(301).gold[0] + 1) % 4,))
    items[5] = item(5, question=item(105).question, options=item(105).options, gold=item(105).gold)
    items[8] = item(8, question=item(302).question, options=item(302).options, gold=item(302).gold)
    items[7] = item(7, question=item(6).question, options=item(6).options, gold=item(6).gold)
    write_shard(root, items)
    facts = look(spec(), root)
    own_pairs = [pair for pair in facts["twins"]["pairs"] if pair["source"] == "native"]
    pairs = {(pair["split"], pair["with_source"], pair["with_split"]): pair["items"] for pair in own_pairs}
    assert pairs == {
        ("train", "native", "train"): 2,
        ("train", "native", "validation"): 1,
        ("validation", "native", "train"): 1,
        ("train", "native", "test"): 1,
        ("train", "other", "train"): 2,
        ("test", "native", "train"): 1,
    }
    assert facts["twins"]["tests"] == [{"source": "native", "split": "train", "suite": "exam", "items": 1}]
    assert only(facts, "a different right answer").startswith("1 item of the train split")
    assert not [text for text in doubts(facts) if "suite exam" in text], "screening removes it"
    reported = look(spec(screening={"mode": "report", "against": ["exam"]}), root)
    assert only(reported, "suite exam").startswith(
        "1 training item: the suite exam tests on an item with the same text"
    )
    kinds = [pair["kind"] for pair in facts["twins"]["examples"]["native"]]
    assert {"another key", "with a tested item", "in another split", "in another source", "in one split"} == set(kinds)
    torn = next(pair for pair in facts["twins"]["examples"]["native"] if pair["kind"] == "another key")
    assert torn["items"][0]["right"] != torn["items"][1]["right"]


def test_what_a_mix_takes_is_what_its_draw_takes(root, tmp_path):
    facts = look(spec(), root)
    for name in ("NAT", "BOTH"):
        whole_spec = mix_spec(study(), name, 42)
        outputs = [str(tmp_path / f"{name}.{part}") for part in ("train", "validation", "json")]
        sources = ("native",) if name == "NAT" else ("native", "other")
        train = [f"{source}={root}/shards/{source}/train.parquet" for source in sources]
        validation = f"native={root}/shards/native/validation.parquet"
        words = ["--spec", whole_spec.canonical_json(), "--train", *train, "--validation", validation]
        mixes.main([*words, "--out-train", outputs[0], "--out-validation", outputs[1], "--composition", outputs[2]])
        drawn = read_json(outputs[2])["parts"]
        quotas = {part["part"]: part["taken"] for part in facts["mixes"][name]["parts"]}
        assert quotas == {part: composition["taken"] for part, composition in drawn.items()}
    assert facts["mixes"]["BOTH"]["items"] == 31


def test_a_mix_that_cannot_be_met_is_a_problem_and_a_part_without_a_seat_a_warning(root):
    mixes = {
        "MUCH": {"counts": {"native": 900}},
        "NONE": {"shares": {"native": 1000, "synthetic": 1}, "size": 10},
        "STRATA": {"shares": {"native": 1}, "size": 50, "strata": ["task"], "stratum_shares": {"mcq": 1}},
    }
    facts = look(spec(mixes=mixes), root)
    states = {doubt["text"]: doubt["state"] for doubt in facts["doubts"]}
    much = (
        "Mix MUCH: 900 items of 'native' requested, 60 of tasks mcqu+mcq held by native (60); lower the share or the "
        "size, or repeat items with epochs: {native: 15}."
    )
    assert states[much] == "problem"
    assert states["Mix NONE: the part synthetic gets no item at all."] == "warning"
    assert any(text.startswith("Mix STRATA: source native: 50 items requested") for text in states)
    assert not any(str(root) in text or "/tmp/" in text for text in states)


def test_a_small_study_is_screened_here_and_a_screened_one_is_read(root, monkeypatch):
    items = [item(number) for number in range(60)]
    leaked = item(200)
    items[2] = item(2, question=leaked.question.replace("dans ce", "dans le"), options=leaked.options, gold=leaked.gold)
    write_shard(root, items)
    facts = look(spec(), root)
    screening = facts["sources"]["native"]["screening"]["train"]
    assert (screening["by"], screening["removed"], screening["suites"]["exam"]["near"]) == ("this look", 1, 1)
    assert facts["mixes"]["NAT"]["parts"][0]["held"] == {"native": 59}
    monkeypatch.setattr(doses, "SCREENED_AT_MOST", 50)
    facts = look(spec(), root)
    screening = facts["sources"]["native"]["screening"]["train"]
    assert screening == {"by": None, "reason": "100 items would have to be compared"}
    assert facts["mixes"]["NAT"]["parts"][0]["held"] == {"native": 60}
    screened = root / "screened/native/train.parquet"
    write_parquet(screened, items_to_table(items[:50]))
    write_json(screened.with_suffix(".json"), {"read": 60, "kept": 50, "removed": 10})
    facts = look(spec(), root, [screened])
    assert facts["sources"]["native"]["screening"]["train"]["by"] == "the study"
    assert facts["mixes"]["NAT"]["parts"][0]["held"] == {"native": 50}


class Template:
    """A tokenizer with a chat template: one token a word."""

    def apply_chat_template(self, turns, tokenize, add_generation_prompt=False):
        text = "".join(f"<|{turn['role']}|>\n{turn['content']}<|end|>\n" for turn in turns)
        return text + ("<|assistant|>\n" if add_generation_prompt else "")

    def __call__(self, text, add_special_tokens):
        return {"input_ids": text.split()}


@pytest.mark.parametrize("tokenizer", [None, Template()])
@pytest.mark.parametrize(
    "item",
    [
        item(7, options=("foie", "le foie", "oie", "foie gras"), gold=(2,)),
        item(8, task="mcq", options=("(A) x", "x", "(B) x"), gold=(0, 2), context="Un cas."),
        item(9, task="oeq", options=(), gold=(), answer="Le foie\nproduit la bile."),
        HOSTILE,
    ],
)
def test_an_item_is_shown_as_it_is_put_to_the_model_with_its_gold_marked(item, tokenizer):
    prompting = Prompting(system="Réponds.")
    order = tuple(range(len(item.options)))
    prompt, answer = user_turn(item, order, prompting), assistant_turn(item, order, prompting)
    shown = example(item, prompting, tokenizer)
    whole = "".join(piece["text"] for piece in shown["pieces"])
    turns = [{"role": "system", "content": "Réponds."}, {"role": "user", "content": prompt}]
    expected = f"Réponds.\n\n{prompt}\n\n{answer}"
    if tokenizer is not None:
        expected = tokenizer.apply_chat_template([*turns, {"role": "assistant", "content": answer}], False)
    assert whole == expected
    gold = [piece["text"] for piece in shown["pieces"] if piece["kind"] == "gold"]
    assert gold == [item.options[index] for index in item.gold]
    assert shown["pieces"][-1]["text"].startswith(answer)
    before = shown["pieces"][
        : next(i for i, piece in enumerate(shown["pieces"]) if piece["kind"] in ("gold", "answer"))
    ]
    assert gold == [] or "".join(piece["text"] for piece in before).endswith("(" + "ABC"[item.gold[0]] + ") ")


def test_whatever_a_shards_report_says_is_shown_and_its_warnings_stand_at_the_top(root):
    evidence = {
        "warnings": ["label B is the key of none of 60 questions that offer it"],
        "languages": {"declared": "fr", "found": {"fr": 60}},
        "keys": {"A": 60},
    }
    files = {
        "train.csv": {"read": 60, "kept": 60, "encoding": {"name": "cp1252", "configured": False}, "delimiter": ";"}
    }
    write_shard(root, [item(number, gold=(0,)) for number in range(60)], evidence=evidence, files=files, sheet="Feuil1")
    facts = look(spec(), root)
    page = source_page(facts, "native")
    assert only(facts, "key of none") == f"The files of the train split: {evidence['warnings'][0]}."
    assert not [text for text in doubts(facts) if "never" in text], "the report said it already"
    reading = next(section for section in page.sections if section.id == "reading")
    shown = next(block for block in reading.blocks if block.kind == "table" and block.id == "table-reports")
    assert [column.title for column in shown.columns] == ["what", "train", "validation", "test"]
    cells = {row[0].text: row[1].text for row in shown.rows}
    assert cells["sheet"] == "Feuil1"
    assert cells["train.csv · encoding · name"] == "cp1252"
    assert cells["train.csv · delimiter"] == ";"
    assert cells["evidence · languages · declared"] == "fr"
    silent = " ".join(text for block in reading.blocks if block.kind == "prose" for text in block.paragraphs)
    assert "(validation, test) do not mention dialect" in silent


def test_real_questions_are_counted_as_an_independent_reading_counts_them(real_data, tmp_path):
    from posologie.sources import frenchmedmcqa

    root = tmp_path / "looked"
    file = real_data / "frenchmedmcqa" / "train.json"
    stem = root / "shards/native/train"
    outputs = ["--items", f"{stem}.parquet", "--rejects", f"{stem}.rejects.parquet", "--report", f"{stem}.json"]
    shard_spec = {"source": "native", "provenance": "native", "split": "train", "patterns": []}
    frenchmedmcqa.main(["--spec", json.dumps(shard_spec), "--inputs", str(file), *outputs, "--processes", "1"])
    facts = look(spec(mixes={}, suites={"exam": {"benchmarks": {"n": {"source": "native", "tasks": ["mcqu"]}}}}), root)
    records = json.loads(file.read_text(encoding="utf-8"))
    right = np.zeros(5, dtype=int)
    for record in records:
        for letter in record["correct_answers"]:
            right["abcde".index(letter)] += 1
    train = facts["sources"]["native"]["splits"]["train"]
    counted = np.zeros(5, dtype=int)
    for entry in train["keys"]:
        counted[: len(entry["labels"])] += entry["labels"]
    # one record loses an option that it has twice, so that its key may move by one place
    assert abs(counted - right).sum() <= 2
    assert train["items"] == len(records) == 2171
    assert sum(train["right_options"].values()) == sum(len(record["correct_answers"]) > 1 for record in records)
