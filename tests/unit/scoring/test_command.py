"""The scoring command: from predictions and shards to a scores file."""

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from posologie.prediction.spec import prediction_schema
from posologie.records.files import read_parquet, write_parquet
from posologie.records.items import Item, items_to_table
from posologie.records.prompting import displayed_gold, option_order, variants
from posologie.running.code_digest import modules_behind
from posologie.running.errors import InputError
from posologie.scoring.__main__ import main
from posologie.scoring.spec import read_scores, score_schema

OPTIONS = ("Paracétamol", "Aspirine", "Ibuprofène", "Morphine")


def items() -> list[Item]:
    def item(number: int, task: str, gold: tuple[int, ...], answer: str = "") -> Item:
        options = OPTIONS if task != "oeq" else ()
        return Item(
            f"i{number}",
            "s",
            "native",
            split="test",
            task=task,
            question="Question ?",
            context="",
            options=options,
            gold=gold,
            answer=answer,
            group=f"g{number // 2}",
        )

    return [
        item(1, "mcqu", (0,)),
        item(2, "mcq", (1, 2)),
        item(3, "mcqu", (3,)),
        item(4, "oeq", (), "Une acidose lactique."),
    ]


SUITE = {
    "benchmarks": {"choice": {"source": "s", "tasks": ["mcqu", "mcq"]}, "open": {"source": "s", "tasks": ["oeq"]}},
    "permutations": 1,
}


def predictions() -> list[dict[str, object]]:
    rows = []
    for item in items():
        for variant in variants(1) if item.task != "oeq" else ("original",):
            order = option_order(item.id, len(item.options), variant, 42)
            gold = list(displayed_gold(item.gold, order))
            rows.append(
                {
                    "item": item.id,
                    "benchmark": "open" if item.task == "oeq" else "choice",
                    "variant": variant,
                    "source": "s",
                    "provenance": "native",
                    "task": item.task,
                    "group": item.group,
                    "option_order": list(order),
                    "gold": gold,
                    "greedy_text": "acidose lactique" if item.task == "oeq" else "A",
                    "greedy_outcome": None if item.task == "oeq" else "labels",
                    "greedy_labels": None if item.task == "oeq" else gold,
                    "constrained_labels": None if item.task == "oeq" else [0],
                    "label_probabilities": None if item.task == "oeq" else [0.7, 0.1, 0.1, 0.1],
                    "label_mass": None,
                    "prompt_tokens": 10,
                    "generated_tokens": 1,
                    "finish": "stop",
                }
            )
    return rows


def score(folder: Path, rows: list[dict[str, object]], suite: dict[str, object] = SUITE, name: str = "scores") -> Path:
    write_parquet(folder / "items.parquet", items_to_table(items()))
    write_parquet(folder / "predictions.parquet", pa.Table.from_pylist(rows, schema=prediction_schema()))
    out = folder / f"{name}.parquet"
    spec = json.dumps({"suite": suite})
    shard, asked = str(folder / "items.parquet"), str(folder / "predictions.parquet")
    main(["--spec", spec, "--predictions", asked, "--items", f"s={shard}", "--scores", str(out)])
    return out


def test_every_item_variant_and_metric_has_one_row(tmp_path):
    table = read_scores(score(tmp_path, predictions()))
    rows = table.to_pylist()
    keys = {(row["item"], row["variant"], row["metric"], row["decoding"]) for row in rows}
    assert len(keys) == len(rows)
    exact = {
        (row["item"], row["variant"]): row["value"]
        for row in rows
        if (row["metric"], row["decoding"]) == ("em", "greedy")
    }
    assert exact == {(f"i{number}", variant): 1.0 for number in (1, 2, 3) for variant in ("original", "permuted-1")}
    assert [row["value"] for row in rows if row["metric"] == "rouge1"] == [pytest.approx(4 / 5)]
    assert all(row["signature"] for row in rows)


def test_the_file_has_the_written_schema_and_order(tmp_path):
    table = read_parquet(score(tmp_path, predictions()))
    assert table.schema.equals(score_schema())
    keys = [
        (row["decoding"], row["metric"], row["benchmark"], row["item"], row["variant"]) for row in table.to_pylist()
    ]
    assert keys == sorted(keys)


def test_the_bytes_do_not_depend_on_the_order_of_predictions(tmp_path):
    rows = predictions()
    first = score(tmp_path, rows, name="first").read_bytes()
    random.Random(1).shuffle(rows)
    assert score(tmp_path, rows, name="second").read_bytes() == first


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: rows.pop(0) and rows.pop(0), "choice: no prediction for item i1; expected 3 items"),
        (lambda rows: rows.pop(1), "item i1: no prediction of variant permuted-1"),
        (lambda rows: rows.append(dict(rows[0])), "item i1: two predictions of variant 'original'"),
        (lambda rows: rows[0].update(item="x"), "item x not of this benchmark"),
        (lambda rows: rows[0].update(gold=[1]), "gold of item i1 differs from the shard's"),
        (lambda rows: rows[0].update(benchmark="other"), "benchmark 'other': expected one of choice, open"),
    ],
)
def test_predictions_that_do_not_fit_the_items_are_refused_by_name(tmp_path, spoil, message):
    rows = predictions()
    spoil(rows)
    with pytest.raises(InputError, match=message):
        score(tmp_path, rows)
    assert not (tmp_path / "scores.parquet").exists()


def test_a_limit_expects_so_many_items_and_no_more(tmp_path):
    suite = {"benchmarks": {"choice": {"source": "s", "limit": 2}}, "permutations": 1}
    rows = [row for row in predictions() if row["item"] in ("i1", "i2")]
    score(tmp_path, rows, suite)
    with pytest.raises(InputError, match="predictions for 1 items; expected 2"):
        score(tmp_path, rows[:2], suite)


def test_reading_some_metrics_skips_row_groups_and_loses_no_row(tmp_path):
    table = read_scores(score(tmp_path, predictions()))
    small = tmp_path / "small.parquet"
    pa.parquet.write_table(table, small, row_group_size=2)
    asked = []

    def needed(metric: str, decoding: str) -> bool:
        asked.append(metric)
        return (metric, decoding) == ("em", "greedy")

    part = read_scores(small, needed)
    assert len(part) < len(table) / 2
    assert asked, "row groups of a single metric are asked about"
    whole, of_part = (
        [row for row in scores.to_pylist() if (row["metric"], row["decoding"]) == ("em", "greedy")]
        for scores in (table, part)
    )
    assert of_part == whole


def test_no_command_that_may_ask_for_a_gpu_rests_on_the_metrics_of_the_cpu():
    asking = ("judging.command", "generation.synthesis")
    asking = ("training", "prediction", "scoring.neural", *(f"{module}+posologie.backends.causal" for module in asking))
    for stage in asking:
        behind = modules_behind(f"posologie.{stage}")
        assert not behind & {f"posologie.scoring.{name}" for name in ("choices", "text", "__main__")}, stage
    assert {"posologie.scoring.choices", "posologie.scoring.text"} <= modules_behind("posologie.scoring")
