"""Kits whose answers are drawn by what a judge says of them."""

import json
import random

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from judging_made import items, predictions, shard

from posologie.judging import human, kit
from posologie.judging.answers import human_schema, judgement_schema
from posologie.judging.kit import allocation, drawn, stratum
from posologie.records.files import write_parquet
from posologie.running.errors import InputError


def verdict(probability=None, label=None):
    return {"probability": probability, "label": label}


def rank(question):
    return f"{random.Random(question[1]).random():.12f}"


def probabilities(count, seed=1):
    numbers = random.Random(seed)
    sure = [numbers.choice((0.01, 0.99)) if numbers.random() < 0.7 else numbers.random() for _ in range(count)]
    return {("s", f"q{number:03d}"): verdict(chance) for number, chance in enumerate(sure)}


def test_unsure_answers_are_drawn_more_often_and_weigh_less():
    answers = probabilities(400)
    chosen = drawn({"m": answers}, 60, rank)
    assert len(chosen) == 60
    by_stratum = {}
    for (_, question), (name, weight) in chosen.items():
        assert name == f"m, {stratum(answers[question])}"
        by_stratum.setdefault(name, []).append(weight)
    assert by_stratum["m, 0.35 to 0.65"][0] < by_stratum["m, below 0.05"][0] / 1.5
    sizes = {name: sum(f"m, {stratum(answer)}" == name for answer in answers.values()) for name in by_stratum}
    assert {name: sum(weights) for name, weights in by_stratum.items()} == pytest.approx(sizes), "weights count all"
    assert min(map(len, by_stratum.values())) >= 2


def test_models_share_their_questions_where_the_strata_allow_it():
    both = {model: probabilities(400) for model in ("a", "b")}
    chosen = drawn(both, 100, rank)
    of_model = {model: {question for of_model, question in chosen if of_model == model} for model in both}
    assert of_model["a"] == of_model["b"], "equal verdicts, equal questions"
    other = {"a": probabilities(400), "b": probabilities(400, seed=2)}
    chosen = drawn(other, 100, rank)
    of_model = {model: {question for of_model, question in chosen if of_model == model} for model in other}
    assert len(of_model["a"] & of_model["b"]) > 2 * 50 * 50 / 400, "twice what independent draws would share"


def test_a_larger_draw_contains_a_smaller_one():
    answers = {"m": probabilities(300)}
    assert set(drawn(answers, 40, rank)) < set(drawn(answers, 90, rank))


def test_without_probabilities_the_verdicts_are_the_strata():
    answers = {("s", f"q{n}"): verdict(label=None if n % 10 == 0 else n % 2) for n in range(100)}
    strata = {}
    for question, answer in answers.items():
        strata.setdefault(stratum(answer), []).append(question)
    assert set(strata) == {"no verdict", "verdict 0", "verdict 1"}
    numbers = allocation(strata, answers, 20)
    assert sum(numbers.values()) == 20
    assert numbers["no verdict"] / 10 > numbers["verdict 1"] / 50, "who says nothing is unsure"


def test_more_answers_than_there_are_is_an_error():
    with pytest.raises(InputError, match="answers = 50: 50 of m, which has 20; expected at most 20"):
        drawn({"m": probabilities(20)}, 50, rank)


def judged(folder, name, made, chances):
    rows = [
        {
            "item": item.id, "benchmark": "bench", "variant": "original", "source": item.source, "provenance": "native",
            "group": item.group, "outcome": "label", "label": int(chances[item.id] > 0.5),
            "probability": chances[item.id], "label_mass": 1.0, "text": "", "finish": "stop", "error": None,
            "prompt_sha256": "", "prompt_tokens": 0, "generated_tokens": 0,
        }
        for item in made if item.task == "oeq"
    ]  # fmt: skip
    path = folder / f"{name}.judgements.parquet"
    write_parquet(path, pa.Table.from_pylist(rows, schema=judgement_schema()))
    return path


def test_the_weights_of_a_kit_come_back_with_its_ratings(tmp_path):
    made = items(60)
    shard(tmp_path, made)
    numbers = random.Random(3)
    judgements = []
    for name in ("base", "nat"):
        predictions(tmp_path, name, made, {item.id: f"{name} {item.id}" for item in made})
        path = judged(tmp_path, name, made, {item.id: numbers.choice((0.02, 0.5, 0.9)) for item in made})
        judgements.append(f"{name}={path}")
    setting = {"models": ["base", "nat"], "suite": "s", "judge": "j", "answers": 24, "raters": ["anne"]}
    sheet, key = tmp_path / "anne.xlsx", tmp_path / "key.parquet"
    command = [
        *("--spec", json.dumps({"name": "k", "kit": setting}), "--items", f"open={tmp_path / 'open.parquet'}"),
        *("--predictions", *(f"{name}={tmp_path / name}.predictions.parquet" for name in ("base", "nat"))),
        *("--sheets", f"anne={sheet}", "--key", str(key)),
    ]
    with pytest.raises(InputError, match="--judgements: those of base are missing"):
        kit.main(command)
    kit.main([*command, "--judgements", *judgements])
    book = openpyxl.load_workbook(sheet)
    assert len(list(book.active.iter_rows(min_row=2))) == 24
    assert "weight" not in [cell.value for cell in book.active[1]], "raters see neither model nor stratum"
    for row in book.active.iter_rows(min_row=2):
        row[5].value = 1
    book.save(sheet)
    spec = {"set": "s", "ratings": {"files": {"anne": str(sheet)}, "kit": "k"}}
    outputs = tmp_path / "h.parquet", tmp_path / "h.json"
    arguments = ["--spec", json.dumps(spec), "--ratings", f"anne={sheet}", "--key", str(key)]
    human.main([*arguments, "--human", str(outputs[0]), "--report", str(outputs[1])])
    rows = pq.read_table(outputs[0])
    assert rows.schema.equals(human_schema())
    total = {}
    for row in rows.to_pylist():
        assert row["stratum"].startswith(f"{row['generator']}, ")
        total[row["generator"]] = total.get(row["generator"], 0) + row["weight"]
    assert total == pytest.approx({"base": 60, "nat": 60})


def test_the_weights_of_a_table_have_a_column(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("item,question,reference,candidate,anne,w\n1,Q,R,C,1,2.5\n", encoding="utf-8")
    spec = {"set": "s", "ratings": {"files": {"f": str(path)}, "columns": {"raters": ["anne"], "weight": "w"}}}
    arguments = ["--spec", json.dumps(spec), "--ratings", f"f={path}", "--report", str(tmp_path / "h.json")]
    human.main([*arguments, "--human", str(tmp_path / "h.parquet")])
    assert pq.read_table(tmp_path / "h.parquet")["weight"].to_pylist() == [2.5]
    path.write_text("item,question,reference,candidate,anne,w\n1,Q,R,C,1,0\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"line 2: column 'w' is '0'; expected a number above 0"):
        human.main([*arguments, "--human", str(tmp_path / "h.parquet")])
