"""The tables over scores: what they hold, and what they refuse."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from study_tables import EM, pick, table, two_benchmarks, write_models

from posologie.records.files import read_parquet, write_parquet
from posologie.running.errors import InputError
from posologie.statistics import mcqa, oeq
from posologie.statistics.means import COLUMNS
from posologie.statistics.oeq import BLEU_COUNTS, CHRF_COUNTS


def test_aggregates_are_the_means_that_their_names_say(small):
    rows = table(small, mcqa)
    base = {"model": "q/base", "metric": "em", "variants": "original"}
    whole = {**base, "scope": "all", "task": "all"}
    assert float(pick(rows, **whole, aggregate="item_weighted")["value"]) == 50
    assert float(pick(rows, **whole, aggregate="mean_of_benchmarks")["value"]) == 50
    # mcqu: 50 right of 80; mcq: 0 of 20.
    assert float(pick(rows, **whole, aggregate="mean_of_tasks")["value"]) == 100 * (50 / 80 + 0) / 2
    trad = {**base, "scope": "trad", "aggregate": "item_weighted"}
    assert [float(pick(rows, **trad, task=task)["value"]) for task in ("all", "mcqu", "mcq")] == [50, 100, 0]


def test_every_row_has_its_n_clusters_and_interval(small):
    rows = table(small, mcqa)
    assert list(rows[0]) == [name for name in COLUMNS if name not in ("published", "published_aggregate", "difference")]
    assert all(int(row["n"]) > 0 and int(row["clusters"]) > 0 for row in rows)
    assert all(
        row["low"] and row["high"] and float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in rows
    )
    certain = pick(rows, model="q/base", scope="trad", task="mcqu")
    assert (certain["interval"], certain["note"], certain["high"]) == ("wilson", "n too small", "100")
    assert float(certain["low"]) == pytest.approx(83.887, abs=1e-3)  # Wilson, 20 of 20


def test_clusters_are_groups_and_not_items(study, make_item):
    items = [make_item(number, group=f"case-{number // 4}") for number in range(200)]
    write_models(study, items, {"q/base": [float(number // 4 % 2) for number in range(200)]})
    row = pick(table(study, mcqa), scope_kind="all", aggregate="item_weighted")
    assert (row["n"], row["clusters"]) == ("200", "50")
    half_width = (float(row["high"]) - float(row["low"])) / 2
    assert half_width == pytest.approx(100 * 1.96 * np.sqrt(0.25 / 50), rel=0.1)


def test_a_table_has_the_same_bytes_for_any_order_of_rows(small, tmp_path):
    table(small, mcqa, "first")
    for file in (small.root / "scores").rglob("*.parquet"):
        rows = read_parquet(file).to_pylist()
        rows.sort(key=lambda row: row["item"], reverse=True)
        write_rows(file, sorted(rows, key=lambda row: (row["decoding"], row["metric"])))
    table(small, mcqa, "second")
    first, second = (small.root / "tables" / f"{name}.csv" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


def test_scores_that_one_model_lacks_are_an_error_that_lists_them(small, make_item):
    items = two_benchmarks(make_item)[:-7]
    study = small
    write_models(study, items, {"q/NAT/seed-42": [1.0] * len(items)})
    expected = "items trad-0033, trad-0034, trad-0035, trad-0036, trad-0037 and 2 more; expected one each"
    with pytest.raises(InputError, match=expected):
        table(study, mcqa)
    assert not (study.root / "tables" / "table.csv").exists()


def test_an_item_without_one_of_the_variants_is_an_error(study, make_item):
    items = [make_item(number) for number in range(3)]
    study.scores("q/base", "mcqa", items, {EM: {"original": [1, 0, 1]}})
    file = study.root / "scores/q/base/mcqa.parquet"
    more = read_parquet(file).to_pylist()[1] | {"variant": "permuted-1"}
    study.scores("q/base", "mcqa", [], {})
    rows = sorted([*read_back(study, items), more], key=lambda row: (row["item"], row["variant"]))
    write_rows(file, rows)
    with pytest.raises(
        InputError, match="items b-0000, b-0002 not scored in each of the variants original, permuted-1"
    ):
        table(study, mcqa)


def read_back(study, items) -> list[dict[str, object]]:
    study.scores("q/base", "mcqa", items, {EM: {"original": [1, 0, 1]}})
    return read_parquet(study.root / "scores/q/base/mcqa.parquet").to_pylist()


def write_rows(file: Path, rows: list[dict[str, object]]) -> None:
    import pyarrow as pa

    from posologie.scoring.spec import score_schema

    write_parquet(file, pa.Table.from_pylist(rows, schema=score_schema()))


def test_a_metric_defined_for_one_model_only_is_an_error(study, make_item):
    items = [make_item(number) for number in range(3)]
    study.scores("q/base", "mcqa", items, {EM: {"original": [1, 0, 1]}})
    study.scores("q/NAT/seed-42", "mcqa", items, {EM: {"original": [1, None, 1]}})
    with pytest.raises(InputError, match="em of item b-0001 is defined for q/base and not for q/NAT/seed-42"):
        table(study, mcqa)


def test_permuted_runs_are_averaged_and_belong_to_their_items_cluster(study, make_item):
    items = [make_item(number) for number in range(40)]
    nothing = {variant: [None] * 40 for variant in ("original", "permuted-1", "permuted-2")}
    right = {"original": [1.0] * 40, "permuted-1": [1.0] * 20 + [0.0] * 20, "permuted-2": [0.0] * 40}
    study.scores(
        "q/base", "mcqa", items,
        {EM: right, ("confidence", "probabilities"): nothing, ("right_at_first_step", "probabilities"): nothing},
    )  # fmt: skip
    rows = table(study, mcqa)
    chosen = {"scope_kind": "all", "aggregate": "item_weighted", "metric": "em"}
    values = {variants: pick(rows, **chosen, variants=variants) for variants in ("original", "permuted", "all")}
    assert [float(values[name]["value"]) for name in values] == [100, 25, 50]
    assert {row["n"] for row in values.values()} == {"40"}
    assert {row["clusters"] for row in values.values()} == {"40"}


def test_calibration_error_by_hand(study, make_item):
    # Bins of width 1/2: 0.25 (right) and 0.75 (right, wrong, wrong, wrong): (|1 - .25| + |1 - 3|) / 5
    items = [make_item(number) for number in range(5)]
    scores = {
        EM: {"original": [1, 1, 0, 0, 0]},
        ("confidence", "probabilities"): {"original": [0.25, 0.75, 0.75, 0.75, 0.75]},
        ("right_at_first_step", "probabilities"): {"original": [1, 1, 0, 0, 0]},
    }
    study.scores("q/base", "mcqa", items, scores)
    rows = table(study, mcqa, statistics={"calibration_bins": 2, "minimum_clusters": 2})
    row = pick(rows, metric="calibration_error", scope_kind="all")
    assert float(row["value"]) == pytest.approx(100 * (0.75 + 2) / 5)
    assert row["interval"] == "shifted"


def test_a_model_that_tells_no_probabilities_for_some_questions_has_no_calibration(study, make_item):
    items = [make_item(number) for number in range(5)]

    def scores(*confidence):
        labels = [None if value is None else 1 for value in confidence]
        return {
            EM: {"original": [1, 1, 0, 0, 0]},
            ("brier", "probabilities"): {"original": list(confidence)},
            ("confidence", "probabilities"): {"original": list(confidence)},
            ("right_at_first_step", "probabilities"): {"original": labels},
        }

    study.scores("q/base", "mcqa", items, scores(0.5, 0.75, 0.75, 0.75, 0.75))
    alone = table(study, mcqa, name="alone")
    study.scores("q/NAT/seed-42", "mcqa", items, scores(0.5, None, 0.75, None, 0.75))
    rows = table(study, mcqa)
    assert [row for row in rows if row["model"] == "q/base"] == alone
    metrics = {row["metric"] for row in alone}
    assert {"em", "brier", "confidence", "calibration_error"} <= metrics
    assert {row["metric"] for row in rows if row["model"] == "q/NAT/seed-42"} == {"em"}


def test_corpus_scores_of_the_table_are_sacrebleus(study, make_item):
    import sacrebleu

    from posologie.scoring.spec import TextMetrics
    from posologie.scoring.text import text_scorer

    answers = ["La metformine s'accumule.", "Alerter le 15 et masser.", "Acidose lactique grave", "Rien"] * 10
    references = [
        "La metformine, éliminée par le rein, s'accumule.",
        "Alerter le 15, masser.",
        "Acidose lactique",
        "Tout",
    ] * 10
    items = [make_item(number, task="oeq") for number in range(40)]
    rows = [
        text_scorer(TextMetrics())(answer, reference) for answer, reference in zip(answers, references, strict=True)
    ]
    scores = {(metric, "greedy"): {"original": [row[metric] for row in rows]} for metric in rows[0]}
    study.scores("q/base", "oeq", items, scores)
    printed = table(study, oeq)
    whole = {"scope_kind": "all", "aggregate": "item_weighted"}
    bleu = sacrebleu.corpus_bleu(answers, [references], use_effective_order=True).score
    assert float(pick(printed, **whole, metric="bleu_corpus")["value"]) == pytest.approx(bleu, abs=1e-6)
    chrf = sacrebleu.corpus_chrf(answers, [references]).score
    assert float(pick(printed, **whole, metric="chrf_corpus")["value"]) == pytest.approx(chrf, abs=1e-6)
    assert float(pick(printed, **whole, metric="words")["value"]) == pytest.approx(
        np.mean([row["words"] for row in rows])
    )
    assert pick(printed, **whole, metric="words")["unit"] == "words"
    assert not any(":" in row["metric"] for row in printed)


def test_corpus_functions_are_sacrebleus_for_random_sums():
    from sacrebleu.metrics import BLEU, CHRF

    from posologie.statistics.oeq import corpus_bleu, corpus_chrf

    numbers = np.random.default_rng(9)
    for _ in range(200):
        totals = np.sort(numbers.integers(0, 30, 4))[::-1]
        matches = [int(numbers.integers(0, total + 1)) for total in totals]
        answer, reference = int(totals[0]), int(numbers.integers(1, 40))
        theirs = BLEU.compute_bleu(matches, list(map(int, totals)), answer, reference, smooth_method="exp").score
        sums = np.array(
            [answer, reference, *(value for pair in zip(matches, totals, strict=True) for value in pair)], float
        )
        assert len(sums) == len(BLEU_COUNTS)
        assert 100 * corpus_bleu(sums) == pytest.approx(theirs, abs=1e-9)
        counts = numbers.integers(0, 20, 18)
        assert len(counts) == len(CHRF_COUNTS)
        assert 100 * corpus_chrf(counts.astype(float)) == pytest.approx(CHRF()._compute_f_score(list(counts)), abs=1e-9)


def test_published_numbers_stand_beside_ours_where_there_are_any(small, tmp_path):
    published = tmp_path / "published.yaml"
    published.write_text(
        json.dumps(
            {
                "title": "here",
                "source": "here",
                "aggregates": {
                    "first": {
                        "title": "an aggregate",
                        "unit": "%",
                        "suite": "mcqa",
                        "compared_with": {"metric": "em", "decoding": "constrained", "aggregates": ["item_weighted"]},
                        "values": {"q": {"base": 40.0, "NAT": 61.5}},
                    }
                },
            }
        )
    )
    out = small.root / "tables" / "mcqa.csv"
    arguments = [
        "--spec",
        small.spec(),
        "--results",
        str(small.root),
        "--table",
        str(out),
        "--published",
        str(published),
    ]
    mcqa.main(arguments)
    rows = list(csv.DictReader(out.open(encoding="utf-8", newline="")))
    shown = [row for row in rows if row["published"]]
    assert [(row["model"], row["published"], row["difference"], row["published_aggregate"]) for row in shown] == [
        ("q/base", "40", "10", "first"),
        ("q/NAT/seed-42", "61.5", "-1.5", "first"),
    ]
    assert all((row["scope"], row["task"], row["aggregate"]) == ("all", "all", "item_weighted") for row in shown)
