"""Position: does the position of an option change the answer."""

import csv

import numpy as np
import pyarrow as pa
import pytest

from posologie.prediction.spec import prediction_schema
from posologie.records import layout
from posologie.records.files import write_parquet
from posologie.records.items import stable_id
from posologie.records.prompting import displayed_gold, option_order, variants
from posologie.running.errors import InputError
from posologie.statistics import position
from posologie.statistics.correlations import kendall_tau

COUNT, OPTIONS, PERMUTATIONS = 120, 5, 3


def predict(study, model: str, answer, change=lambda row: row) -> None:
    """Write predictions; `answer` gives the displayed labels from (item number, gold option, order, variant)."""
    rows = []
    for number in range(COUNT):
        item, gold = stable_id("s", str(number)), (number % OPTIONS,)
        for variant in variants(PERMUTATIONS):
            order = option_order(item, OPTIONS, variant, 42)
            answered = answer(number, gold[0], order, variant)
            rows.append(change(
                {
                    "item": item, "benchmark": "b", "variant": variant, "source": "s", "provenance": "native",
                    "task": "mcqu", "group": item, "option_order": list(order),
                    "gold": list(displayed_gold(gold, order)), "greedy_text": "", "greedy_outcome": "labels",
                    "greedy_labels": answered, "constrained_labels": answered, "label_probabilities": None,
                    "label_mass": None, "prompt_tokens": 1, "generated_tokens": 1, "finish": "stop",
                }
            ))  # fmt: skip
    write_parquet(
        study.root / layout.predictions(model, "mcqa"), pa.Table.from_pylist(rows, schema=prediction_schema())
    )
    backbone, *rest = model.split("/")
    study.models[model] = {"name": model, "kind": "base", "backbone": backbone}
    if rest != ["base"]:
        study.models[model] |= {"kind": "mix", "mix": rest[0], "seed": 42}
    study.suites["mcqa"] = {"benchmarks": {}}


def table(study) -> list[dict[str, str]]:
    out = study.root / "tables" / "position.csv"
    position.main(["--spec", study.spec(), "--results", str(study.root), "--table", str(out)])
    with open(out, encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["scope_kind"] == "all" and row["decoding"] == "constrained"]


def value(rows, statistic: str, variants_: str = "permuted", label: str = "", model: str = "q/base") -> float:
    (row,) = [
        row
        for row in rows
        if (row["statistic"], row["variants"], row["label"], row["model"]) == (statistic, variants_, label, model)
    ]
    return float(row["value"])


def test_a_model_that_always_says_a_is_found_out(study):
    predict(study, "q/base", lambda number, gold, order, variant: [0])
    rows = table(study)
    assert value(rows, "predicted_share", label="A") == 100
    assert [value(rows, "recall", label=label) for label in "ABCDE"] == [100, 0, 0, 0, 0]
    assert value(rows, "recall_spread") == 100
    assert value(rows, "gold_share", "original", "A", model="") == pytest.approx(20)
    assert value(rows, "consistency", "all") < 20


def test_a_model_whose_labels_come_from_another_procedure_says_so(study):
    predict(study, "q/base", lambda number, gold, order, variant: [0])
    by_schema = {"constrained_by": "json_schema"}
    predict(study, "q/NAT/seed-42", lambda number, gold, order, variant: [0], change=lambda row: row | by_schema)
    notes = {row["model"]: row["note"] for row in table(study) if row["statistic"] == "recall_spread"}
    assert notes["q/NAT/seed-42"].endswith("labels by json_schema")
    assert "labels by" not in notes["q/base"]


def test_items_that_depend_on_position_are_counted(study):
    def first_six(row):
        return {**row, "position_dependent": row["item"] in {stable_id("s", str(number)) for number in range(6)}}

    predict(study, "q/base", lambda number, gold, order, variant: [0], change=first_six)
    out = study.root / "tables" / "position.csv"
    position.main(["--spec", study.spec(), "--results", str(study.root), "--table", str(out)])
    with open(out, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["statistic"] == "position_dependent"]
    assert {(row["scope_kind"], row["value"], row["n"]) for row in rows} == {
        *(("all", "6", "120"), ("provenance", "6", "120"), ("benchmark", "6", "120"))
    }


def test_a_model_that_knows_keeps_its_answer_wherever_it_stands(study):
    predict(study, "q/base", lambda number, gold, order, variant: [order.index(gold)])
    rows = table(study)
    assert value(rows, "consistency", "all") == 100
    assert value(rows, "em_mapped") == 100
    assert value(rows, "em_drop") == 0
    assert value(rows, "recall_spread") == 0


def test_scored_against_unmapped_letters_a_model_that_knows_seems_to_fall(study):
    # PAPER, section 5: a right answer whose option moved counts as wrong against the letter that it had before.
    predict(study, "q/base", lambda number, gold, order, variant: [order.index(gold)])
    rows = table(study)
    stayed = np.mean(
        [
            option_order(stable_id("s", str(number)), OPTIONS, variant, 42).index(number % OPTIONS) == number % OPTIONS
            for number in range(COUNT)
            for variant in variants(PERMUTATIONS)[1:]
        ]
    )
    assert value(rows, "em_unmapped") == pytest.approx(100 * stayed, abs=1e-5)
    assert value(rows, "em_drop_unmapped") == pytest.approx(100 * (1 - stayed), abs=1e-5)
    assert value(rows, "em_unmapped", "original") == 100


def test_answers_that_cannot_be_read_are_no_consistency(study):
    predict(study, "q/base", lambda number, gold, order, variant: None)
    rows = table(study)
    assert value(rows, "consistency", "all") == 0
    assert not [row for row in rows if row["statistic"] == "predicted_share"], "no label was given: no share"


def test_the_ranking_of_models_is_compared_between_orders(study):
    for place, mix in enumerate(("base", "NAT/seed-42", "SYN/seed-42")):
        predict(
            study,
            f"q/{mix}",
            lambda number, gold, order, variant, place=place: (
                [order.index(gold)] if number % 4 <= place else [(order.index(gold) + 1) % OPTIONS]
            ),
        )
    (row,) = [row for row in table(study) if row["statistic"] == "ranking_tau"]
    assert (row["value"], row["model"], row["unit"]) == ("1", "", "")
    assert (row["low"], row["note"]) == ("", "the same in every draw")


def test_a_model_that_answered_other_orders_is_refused(study):
    predict(study, "q/base", lambda number, gold, order, variant: [0])
    predict(study, "q/NAT/seed-42", lambda number, gold, order, variant: [0])
    file = study.root / layout.predictions("q/NAT/seed-42", "mcqa")
    rows = pa.parquet.read_table(file).to_pylist()
    rows[1]["gold"] = [(rows[1]["gold"][0] + 1) % OPTIONS]
    write_parquet(file, pa.Table.from_pylist(rows, schema=prediction_schema()))
    with pytest.raises(InputError, match="items, variants or option orders differ from those of q/base"):
        table(study)


def test_kendalls_tau_is_scipys_for_many_rankings_at_once():
    from scipy import stats

    numbers = np.random.default_rng(1)
    first, second = numbers.integers(0, 6, size=(2, 40, 8)).astype(float)
    for ours, x, other in zip(kendall_tau(first, second), first, second, strict=True):
        assert ours == pytest.approx(stats.kendalltau(x, other).statistic, abs=1e-9)
    assert np.isnan(kendall_tau(np.ones(4), np.arange(4.0)))
