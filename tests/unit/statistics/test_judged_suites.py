"""Judgements, neural scores and length over whole suites."""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from posologie.judging.answers import judgement_schema
from posologie.records import layout
from posologie.records.files import write_parquet
from posologie.running.errors import InputError
from posologie.statistics import contrasts, length, oeq


def judge(study, model: str, items, labels, outcome="label", probability=None) -> None:
    outcomes = [outcome] * len(items) if isinstance(outcome, str) else outcome
    rows = [
        {
            **{name: item[name] for name in ("item", "benchmark", "provenance", "group")},
            "variant": "original",
            "source": "s",
            "outcome": outcome,
            "label": None if outcome != "label" else int(label),
            "probability": probability,
            "label_mass": None,
            "text": "",
            "finish": "stop",
            "error": None,
            "prompt_sha256": "0",
            "prompt_tokens": 1,
            "generated_tokens": 1,
        }
        for item, label, outcome in zip(items, labels, outcomes, strict=True)
    ]
    write_parquet(
        study.root / layout.judgements("j", model, "oeq"), pa.Table.from_pylist(rows, schema=judgement_schema())
    )


def table(study, module, **spec) -> list[dict[str, str]]:
    out = Path(study.root / "tables" / "table.csv")
    module.main(["--spec", study.spec(**spec), "--results", str(study.root), "--table", str(out)])
    with open(out, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def judged(study, make_item):
    """Return a study in which the base model writes long answers, and a judge that likes nothing but length."""
    items = [make_item(number, task="oeq") for number in range(200)]
    numbers = np.random.default_rng(1)
    for model, low, high in (("q/base", 20, 60), ("q/NAT/seed-42", 5, 45)):
        words = numbers.integers(low, high, 200).astype(float)
        study.scores(model, "oeq", items, {("words", "greedy"): {"original": list(words)}})
        judge(study, model, items, words > 30)
    return study, items


def test_a_judges_verdicts_are_a_metric_of_the_table(judged):
    study, _ = judged
    rows = [row for row in table(study, oeq, judges=["j"]) if row["scope_kind"] == "all"]
    metrics = {row["metric"] for row in rows}
    assert metrics == {"words", "judge:j", "judge_unparsable:j"}
    assert {row["value"] for row in rows if row["metric"] == "judge_unparsable:j"} == {"0"}


def test_few_replies_without_a_verdict_stay_in_the_denominator(judged):
    study, items = judged
    outcomes = ["unparsable"] * 4 + ["label"] * 196
    judge(study, "q/base", items, [1] * 200, outcome=outcomes)
    rows = table(study, oeq, judges=["j"])
    base = {row["metric"]: row for row in rows if row["model"] == "q/base" and row["scope_kind"] == "all"}
    assert (base["judge:j"]["value"], base["judge:j"]["n"], base["judge:j"]["silent"]) == ("98", "200", "4")
    assert base["judge_unparsable:j"]["value"] == "2"
    assert {row["silent"] for row in rows if row["metric"] == "words"} == {""}
    assert {row["silent"] for row in table(study, length, judges=["j"]) if row["model"] == "q/base"} == {"4"}


def test_more_of_them_leave_bounds_and_nothing_that_could_be_tested(judged):
    study, items = judged
    judge(study, "q/base", items, [1] * 200, outcome=["unparsable"] * 5 + ["label"] * 195)
    rows = table(study, oeq, judges=["j"])
    row = next(row for row in rows if (row["model"], row["scope_kind"], row["metric"]) == ("q/base", "all", "judge:j"))
    assert (row["value"], row["interval"], row["silent"]) == ("", "bounds", "5")
    assert row["note"].startswith("5 of 200 replies without a verdict")
    assert float(row["low"]) < 97.5 < float(row["high"]) == 100
    assert next(row for row in rows if (row["model"], row["metric"]) == ("q/NAT/seed-42", "judge:j"))["value"]
    assert not [row for row in rows if row["metric"].startswith("judge_upper")]
    families = {"statistics": {"primary_text": {"metric": "judge:j", "decoding": "judged"}}}
    assert table(study, contrasts, judges=["j"], **families) == []
    lengths = [row for row in table(study, length, judges=["j"]) if row["model"] == "q/base"]
    assert {(row["value"], row["note"]) for row in lengths} == {("", "5 of 200 replies without a verdict")}


def test_a_judge_without_any_verdict_says_nothing_but_that(judged):
    study, items = judged
    for model in study.models:
        judge(study, model, items, [1] * 200, outcome="unparsable")
    rows = [row for row in table(study, oeq, judges=["j"]) if row["metric"] == "judge:j"]
    assert {(row["value"], row["low"], row["high"]) for row in rows} == {("", "0", "100")}
    assert {row["value"] for row in table(study, length, judges=["j"])} == {""}


def test_a_missing_judgement_is_an_error_that_lists_the_items(judged):
    study, items = judged
    judge(study, "q/base", items[:-1], [1] * 199)
    with pytest.raises(InputError, match="no judgement of item b-0199; expected one per answer"):
        table(study, oeq, judges=["j"])


def test_probabilities_are_shown_where_every_answer_has_one(judged):
    study, items = judged
    for model in study.models:
        judge(study, model, items, [1] * 200, probability=0.25)
    rows = table(study, oeq, judges=["j"])
    assert {row["value"] for row in rows if row["metric"] == "judge_probability:j"} == {"25"}


def test_at_matched_length_a_judge_of_length_prefers_no_model(judged):
    study, _ = judged
    rows = [row for row in table(study, length, judges=["j"]) if row["scope_kind"] == "all"]
    value = {(row["statistic"], row["model"]): float(row["value"]) for row in rows}
    assert value["mean", "q/base"] - value["mean", "q/NAT/seed-42"] > 25
    assert abs(value["at_matched_length", "q/base"] - value["at_matched_length", "q/NAT/seed-42"]) < 10
    assert value["length_correlation", "q/base"] > 0.6
    assert all(float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in rows)


def test_models_without_a_common_length_are_compared_by_regression(study, make_item):
    """The judge likes length and the first model; the first model's answers are all longer than the second's."""
    items = [make_item(number, task="oeq") for number in range(400)]
    numbers = np.random.default_rng(1)
    for model, low, high, better in (("q/base", 60, 200, 0.2), ("q/NAT/seed-42", 5, 50, 0.0)):
        words = np.minimum(numbers.integers(low, high + 12, 400), high).astype(float)
        study.scores(model, "oeq", items, {("words", "greedy"): {"original": list(words)}})
        judge(study, model, items, numbers.random(400) < better + 0.1 * np.log1p(words))
    rows = {
        (row["statistic"], row["model"]): row
        for row in table(study, length, judges=["j"])
        if row["scope_kind"] == "all"
    }
    matched = rows["at_matched_length", "q/base"]
    assert (matched["n"], matched["value"], matched["note"]) == ("0", "", "no length that all have in common")
    equal = [rows["at_equal_length", model] for model in ("q/base", "q/NAT/seed-42")]
    difference = float(equal[0]["value"]) - float(equal[1]["value"])
    assert difference == pytest.approx(20, abs=10)
    assert float(rows["mean", "q/base"]["value"]) - float(rows["mean", "q/NAT/seed-42"]["value"]) > 30
    assert {row["note"] for row in equal} == {"extrapolated: the models have few answers of one length"}
    effect = rows["length_effect", ""]
    assert float(effect["low"]) < 100 * 0.1 * np.log(2) < float(effect["high"])


def test_neural_scores_stand_beside_the_others(judged, make_item):
    study, items = judged
    for model in study.models:
        study.scores(model, "oeq", items, {("bertscore", "greedy"): {"original": [0.5] * 200}})
        source, target = (study.root / path(model, "oeq") for path in (layout.scores, layout.scores_neural))
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
        study.scores(model, "oeq", items, {("words", "greedy"): {"original": [5.0] * 200}})
    rows = table(study, oeq, neural=True)
    assert {row["value"] for row in rows if row["metric"] == "bertscore"} == {"50"}
