"""`posologie audit`: two evaluations by other programs, compared item by item."""

import csv
import json

import numpy as np
import pytest
from scipy.stats import binomtest, t

SIZES = {"alpha": 80, "beta": 60, "gamma": 50}
BETTER = {"alpha": 0.35, "beta": 0.0, "gamma": -0.05}


def sample(number, right, gold, options=4, **more):
    """Return a multiple-choice sample in the form of the harness's logs."""
    chosen = gold if right else (gold + 1) % options
    likelihoods = [-1.0 if place == chosen else -2.0 - place for place in range(options)]
    return {
        "doc_id": number,
        "doc": {"question": f"q{number}", "case": f"case {number // 2}"},
        "target": str(gold),
        "arguments": {f"gen_args_{place}": {"arg_0": "prompt", "arg_1": "ABCDE"[place]} for place in range(options)},
        "resps": [[[str(value), "False"]] for value in likelihoods],
        "filtered_resps": [[str(value), "False"] for value in likelihoods],
        "filter": "none",
        "metrics": ["acc", "acc_norm"],
        "doc_hash": f"hash {number}",
        "prompt_hash": "same",
        "target_hash": f"gold {gold}",
        "acc": float(right),
        "acc_norm": 1.0 - right,
        **more,
    }  # fmt: skip


def write(folder, task, samples, date="2026-01-02T03-04-05.678"):
    folder.mkdir(parents=True, exist_ok=True)
    lines = "\n".join(json.dumps(sample) for sample in samples)
    (folder / f"samples_{task}_{date}.jsonl").write_text(lines + "\n", encoding="utf-8")


def answers(task):
    """Return [model, item], whether A and B answered right, and [item], the gold places."""
    numbers = np.random.default_rng(len(task))
    ease = numbers.random(SIZES[task])
    right = np.stack([ease + numbers.normal(0, 0.1, len(ease)) > 0.5, ease + BETTER[task] > 0.5])
    return right, numbers.integers(0, 4, SIZES[task])


@pytest.fixture
def two(tmp_path, monkeypatch):
    """Folders of two models on three tasks."""
    monkeypatch.chdir(tmp_path)
    for task in SIZES:
        right, gold = answers(task)
        for side, name in enumerate(("one", "other")):
            write(tmp_path / name, task, [sample(i, bool(right[side, i]), int(gold[i])) for i in range(len(gold))])
    return tmp_path


def by_task(audit):
    return {row["task"] if row["task"] != "all" else row["aggregate"]: row for row in audit["differences"]}


def test_each_task_has_the_paired_interval_mcnemars_p_and_holms_correction(two, asked):
    code, audit = asked("audit", "one", "other")
    assert code == 0
    rows = by_task(audit)
    assert set(rows) == {*SIZES, "items", "tasks"}
    for task, size in SIZES.items():
        right, _ = answers(task)
        gap = right[1].astype(float) - right[0]
        half = t.ppf(0.975, size - 1) * gap.std(ddof=1) / np.sqrt(size)
        row = rows[task]
        assert (row["n"], row["metric"]) == (size, "acc")
        expected = (100 * right[0].mean(), 100 * right[1].mean(), 100 * gap.mean())
        assert (row["a"], row["b"], row["value"]) == pytest.approx(expected)
        assert (row["low"], row["high"]) == pytest.approx(
            (100 * (gap.mean() - half), 100 * (gap.mean() + half)), abs=1e-6
        )
        won, lost = int((gap > 0).sum()), int((gap < 0).sum())
        assert row["p_mcnemar"] == pytest.approx(binomtest(won, won + lost).pvalue if won + lost else 1.0)
    order = sorted(SIZES, key=lambda task: rows[task]["p_value"])
    assert rows[order[0]]["p_adjusted"] == pytest.approx(min(1, 3 * rows[order[0]]["p_value"]))
    assert {rows[task]["correction"] for task in SIZES} == {"holm"}
    assert rows["alpha"]["verdict"] == "better"
    assert rows["beta"]["detectable"] > 0
    pooled = np.concatenate([answers(task)[0][1].astype(float) - answers(task)[0][0] for task in SIZES])
    assert rows["items"]["value"] == pytest.approx(100 * pooled.mean())
    means = [(answers(task)[0][1].astype(float) - answers(task)[0][0]).mean() for task in SIZES]
    assert rows["tasks"]["value"] == pytest.approx(100 * np.mean(means))


def test_the_place_of_the_right_option_is_beside_what_each_model_answers(two, asked):
    _, audit = asked("audit", "one", "other")
    rows = {(r["task"], r["statistic"], r["label"], r["model"]): r["value"] for r in audit["positions"]}
    right, gold = answers("alpha")
    answered = np.where(right[0], gold, (gold + 1) % 4)
    assert rows["alpha", "gold_share", "A", ""] == pytest.approx(100 * (gold == 0).mean())
    assert rows["alpha", "predicted_share", "A", "A"] == pytest.approx(100 * (answered == 0).mean())
    assert rows["alpha", "recall", "A", "B"] == pytest.approx(100 * right[1][gold == 0].mean())


def test_the_metric_the_tasks_and_the_cases_can_be_chosen(two, asked):
    _, audit = asked("audit", "one", "other", "--metric", "acc_norm", "--tasks", "al*", "--group", "doc.case")
    (row,) = audit["differences"]
    assert (row["task"], row["metric"], row["n"], row["clusters"]) == ("alpha", "acc_norm", 80, 40)
    assert row["verdict"] == "worse"
    assert row["correction"] == ""


def test_tables_and_pages_are_written(two, posologie):
    code, out, _ = posologie("audit", "one", "other", "--output", "audit.csv")
    assert code == 0
    assert "B differs from A on 1 of 3 tasks after Holm's correction: alpha" in out
    with open("audit.csv", newline="") as file:
        assert [row["task"] for row in csv.DictReader(file)].count("all") == 2
    assert (two / "audit.positions.csv").is_file()
    posologie("audit", "one", "other", "--output", "audit.html")
    page = (two / "audit.html").read_text()
    assert "other against one" in page
    assert "Position of the right option" in page


def test_what_is_left_aside_is_named(two, posologie):
    right, gold = answers("beta")
    samples = [sample(i, bool(right[0, i]), int(gold[i]), prompt_hash="another") for i in range(40)]
    write(two / "one", "beta", samples, "2026-02-02T03-04-05.678")
    write(two / "one", "alone", [sample(0, True, 1)])
    for name in ("one", "other"):
        write(
            two / name, "text", [{**sample(i, True, 1), "metrics": ["perplexity"], "perplexity": 7.5} for i in range(3)]
        )
    _, out, _ = posologie("audit", "one", "other")
    assert "Not compared: alone: only in A." in out
    assert "Not compared: text: no metric between 0 and 1 where higher is better (it has: perplexity)." in out
    assert "beta: 0 items only in A and 20 only in B are left out; 40 are compared." in out
    assert "beta: the prompts differ on 40 of 40 items" in out
    assert "A: beta: 2 files; the newest, samples_beta_2026-02-02T03-04-05.678.jsonl, counts." in out


def test_metrics_where_lower_is_better_are_not_compared(two, asked):
    stated = {"higher_is_better": {"alpha": {"acc": False}, "beta": {"acc": True}}}
    (two / "one" / "results_2026-01-02T03-04-05.678.json").write_text(json.dumps(stated))
    _, audit = asked("audit", "one", "other")
    assert by_task(audit)["alpha"]["metric"] == "acc_norm"


def test_samples_of_several_filters_count_once(two, posologie):
    samples = [sample(i, i % 3 > 0, 0, filter=name) for i in range(40) for name in ("strict-match", "flexible-extract")]
    for name in ("one", "other"):
        write(two / name, "delta", samples)
    code, out, _ = posologie("audit", "one", "other", "--tasks", "delta")
    assert code == 0
    assert "A: delta: filter strict-match counts, of strict-match, flexible-extract." in out
    _, _, err = posologie("audit", "one", "other", "--tasks", "delta", "--filter", "strict")
    assert "no filter 'strict'; choose one of strict-match, flexible-extract" in err


def test_other_questions_and_other_keys_under_one_id_are_refused(two, posologie):
    write(two / "x", "alpha", [sample(0, True, 1, doc_hash="something else")])
    write(two / "y", "alpha", [sample(0, True, (int(answers("alpha")[1][0]) + 1) % 4)])
    for name, words in (("x", "is not the question of"), ("y", "has another right option than in")):
        code, _, err = posologie("audit", "one", name)
        assert (code, err.count("\n")) == (2, 1)
        assert words in err
    write(two / "both/m1", "alpha", [sample(0, True, 1)])
    write(two / "both/m2", "alpha", [sample(0, True, 1)])
    assert "give the folder of one model" in posologie("audit", "one", "both")[2]


def test_inspect_logs_and_tables_are_read(two, asked):
    right, gold = answers("alpha")
    for side, name in enumerate(("p", "q")):
        rows = [
            {
                "id": i,
                "epoch": 1,
                "choices": ["a", "b", "c", "d"],
                "target": "ABCD"[gold[i]],
                "scores": {
                    "choice": {
                        "value": "C" if right[side, i] else "I",
                        "answer": "ABCD"[gold[i] if right[side, i] else (gold[i] + 1) % 4],
                    }
                },
            }
            for i in range(len(gold))
        ]
        (two / f"{name}.json").write_text(json.dumps({"eval": {"task": "lab/alpha"}, "samples": rows}))
        with open(f"{name}.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["task", "item", "score", "gold", "answer"])
            writer.writerows(
                ["alpha", i, int(right[side, i]), rows[i]["target"], rows[i]["scores"]["choice"]["answer"]]
                for i in range(len(gold))
            )
    _, samples = asked("audit", "one", "other", "--tasks", "alpha")
    for suffix, metric in (("json", "choice"), ("csv", "score")):
        _, audit = asked("audit", f"p.{suffix}", f"q.{suffix}")
        assert audit["positions"] == samples["positions"]
        numbers = [{**row, "metric": ""} for row in audit["differences"]]
        assert numbers == [{**row, "metric": ""} for row in samples["differences"]]
        assert audit["differences"][0]["metric"] == metric


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("samples_t_2026-01-01T00-00-00.jsonl", "{", "not JSON"),
        ("samples_t_2026-01-01T00-00-00.jsonl", '{"doc": {}}', "no 'doc_id'"),
        ("t.csv", "item,score\n1,high\n", "score 'high'; expected a number"),
        ("t.json", '{"samples": [{"id": 1}]}', "no 'scores'"),
        ("t.json", '{"samples": [{"id": 1, "scores": {"s": {"value": "maybe"}}}]}', "expected C, P, I, N or a number"),
        ("t.csv", "item,score\n1,1\n1,0\n", "item 1 of t a second time"),
        ("t.txt", "", "no scored answer"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, posologie, name, content, words):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / name).write_text(content)
    code, _, err = posologie("audit", tmp_path / "x", tmp_path / "x")
    assert (code, err.count("\n")) == (2, 1)
    assert words in err
