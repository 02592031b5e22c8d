"""What a study's judges would be asked and cost, before and after its models have answered."""

import json
from dataclasses import asdict

import pytest
from judging_made import PROMPT, items, predictions, shard

from posologie.judging.plan_study import estimated as estimate_of_entry
from posologie.judging.plan_study import main

ENDPOINT = {"kind": "openai_endpoint", "model": "a-judge", "key_variable": None}
LENGTH = 40
"""Tokens that an answer of the suite may have."""


@pytest.fixture
def entry(tmp_path):
    """Return an entry for the verdicts of one judge on the answers of three models, none of which has answered."""
    return {
        "made": "judgements/small/open",
        "kind": "judgements",
        "spec": {"name": "small", "model": "tiny/base", "suite": "open", "judge": {"backend": ENDPOINT}},
        "table": {"open": [str(shard(tmp_path, items(5)))]},
        "prompts": {"judge": str(PROMPT)},
        "running": {"price_prompt": 2, "price_generated": 10},
        "work": str(tmp_path / "work"),
        "suite": {
            "benchmarks": {"bench": {"source": "open", "tasks": ["mcqu", "oeq"]}},
            "max_new_tokens": LENGTH,
        },
        "seed": 1,
        "predictions": [str(tmp_path / f"{name}.predictions.parquet") for name in ("base", "NAT", "SYN")],
    }


def test_each_model_is_asked_about_each_open_question_before_it_has_answered(entry):
    estimate = estimate_of_entry(entry)
    assert estimate.requests == 3 * 5
    assert estimate.money is not None
    assert estimate.money > 0
    assert "no model has given yet" in estimate.basis


def test_answers_that_are_there_count_as_long_as_they_are(entry, tmp_path):
    before = estimate_of_entry(entry)
    predictions(tmp_path, "base", items(5), {f"q{number}": "mot " * 500 for number in range(5)})
    after = estimate_of_entry(entry)
    assert after.requests == before.requests
    characters = 5 * len("mot " * 500)
    assert after.prompt_tokens - before.prompt_tokens == pytest.approx(characters / 4, rel=0.1)


def test_only_answers_that_are_not_there_yet_are_bounded_by_what_the_suite_allows(entry, tmp_path):
    before = estimate_of_entry(entry)
    references = {f"q{number}": f"Référence {number}" for number in range(5)}
    for name in ("base", "NAT", "SYN"):
        predictions(tmp_path, name, items(5), references)
    after = estimate_of_entry(entry)
    assert before.most_tokens - after.most_tokens == 3 * 5 * LENGTH * 4
    assert {**asdict(before), "most_tokens": 0, "basis": ""} == {**asdict(after), "most_tokens": 0, "basis": ""}
    assert "no model has given yet" not in after.basis


def test_answers_to_other_questions_count_as_none(entry, tmp_path):
    before = estimate_of_entry(entry)
    predictions(tmp_path, "base", items(4), {})
    assert estimate_of_entry(entry) == before


def test_the_plan_of_a_study_names_what_it_cannot_count(entry, capsys):
    main(["--entries", json.dumps([entry]), "--not-counted", "judgements/small/translated"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Not counted, because its items are still to be made: judgements/small/translated."
    assert [line.split()[:2] for line in lines[2:4]] == [["judgements/small/open", "15"], ["all", "15"]]
