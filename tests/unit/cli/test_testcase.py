"""`posologie testcase`: one item and one model as one small file."""

import json

import pytest

from posologie.records.files import read_parquet
from posologie.records.items import read_items


@pytest.fixture
def item(project):
    """A choice question of the study."""
    return next(item for item in read_items("results/simulated/shards/native/test.parquet") if item.task == "mcqu")


def test_the_file_holds_item_prompts_answers_scores_and_runs(project, item, posologie):
    code, out, _ = posologie("testcase", item.id[:10], "NAT", "--output", "case.json")
    assert code == 0
    assert out.startswith("case.json: ")
    case = json.loads((project / "case.json").read_text())
    assert case["model"] == "tiny/NAT/seed-42"
    assert case["item"]["question"] == item.question
    (answers,) = case["answers"]
    assert [prompt["variant"] for prompt in answers["prompts"]] == ["original", "permuted-1"]
    for prompt, row in zip(answers["prompts"], answers["predictions"], strict=True):
        shown = [item.options[index] for index in row["option_order"]]
        assert prompt["chat"][0]["content"].endswith(
            "\n".join(f"({'ABCDE'[n]}) {text}" for n, text in enumerate(shown))
        )
        assert prompt["right"] == ",".join("ABCDE"[label] for label in row["gold"])
    assert {"em", "hamming"} <= {row["metric"] for row in answers["scores"]}
    assert case["training_run"]["stage"] == "training"
    assert (project / "case.json").stat().st_size < 100_000


def test_without_an_output_it_is_printed(project, item, asked):
    code, case = asked("testcase", item.id, "base")
    assert code == 0
    assert case["model"] == "tiny/base"
    assert case["training_run"] is None


def test_a_training_mix_that_holds_the_tested_item_is_named(project, item, asked):
    held = set(read_parquet("results/simulated/mixes/NAT/seed-42/train.parquet")["id"].to_pylist())
    _, case = asked("testcase", item.id, "NAT")
    assert ("mixes/NAT/seed-42" in case["trained_on"]) == (item.id in held)


def test_what_is_not_there_or_not_clear_is_refused(project, posologie):
    code, _, err = posologie("testcase", "ffffffffffffffff", "NAT")
    assert code == 2
    assert "no shard of results/simulated has it" in err
    code, _, err = posologie("testcase", "", "NAT")
    assert code == 2
    assert "is the beginning of" in err
    item = read_items("results/simulated/shards/native/test.parquet")[0]
    code, _, err = posologie("testcase", item.id, "tiny")
    assert code == 2
    assert "MODEL = 'tiny': expected one of tiny/ALL/seed-42" in err
    code, _, err = posologie("testcase", item.id, "NAT", "--results", "results/none")
    assert code == 2
    assert "--results results/none: no such folder" in err
