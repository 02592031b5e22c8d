"""The tables of corrected scores, of panels and of raters, from files to rows."""

import csv
import json
from itertools import combinations

import krippendorff
import numpy as np
import pyarrow as pa
import pytest

from posologie.judging.answers import human_schema, judgement_schema
from posologie.prediction.spec import prediction_schema
from posologie.records import layout
from posologie.records.files import write_parquet
from posologie.statistics import corrected, oeq, raters
from posologie.statistics.judged import majority
from posologie.statistics.prediction_powered import Answers
from posologie.statistics.prediction_powered import corrected as of_answers
from posologie.statistics.ratings import RatedSet, Rater

MODELS = ("q/base", "q/NAT/seed-1", "q/NAT/seed-2", "q/SYN/seed-1")
SKILL = {"q/base": 0.3, "q/NAT/seed-1": 0.6, "q/NAT/seed-2": 0.6, "q/SYN/seed-1": 0.3}
ITEMS = 300


class Judged:
    """Four models' answers to 300 questions, what people say of all and of some, and a judge that flatters one."""

    def __init__(self, root, flatters=0.3, seed=1, far=()):
        self.root, self.numbers, self.far = root, np.random.default_rng(seed), far
        self.right = {name: (self.numbers.random(ITEMS) < SKILL[name]).astype(float) for name in MODELS}
        self.models = [self._model(name) for name in MODELS]
        for name in MODELS:
            rows = [
                {
                    **self.place(n), "item": f"i{n:03d}", "variant": "original", "source": "s",
                    "task": "oeq", "group": f"i{n:03d}", "option_order": [], "gold": [],
                    "greedy_text": f"{name} says {n}", "prompt_tokens": 1, "generated_tokens": 1, "finish": "stop",
                }
                for n in range(ITEMS)
            ]  # fmt: skip
            file = root / layout.predictions(name, "oeq")
            write_parquet(file, pa.Table.from_pylist(rows, schema=prediction_schema()))
            wrong_seen_right = self.numbers.random(ITEMS) < flatters * (name == "q/SYN/seed-1")
            self.judge("j", name, np.maximum(self.right[name], wrong_seen_right))

    @staticmethod
    def _model(name):
        backbone, *rest = name.split("/")
        if rest == ["base"]:
            return {"name": name, "kind": "base", "backbone": backbone}
        seed = int(rest[1].removeprefix("seed-"))
        return {"name": name, "kind": "mix", "backbone": backbone, "mix": rest[0], "seed": seed}

    def place(self, n):
        """Return benchmark and provenance of a question."""
        if n in self.far:
            return {"benchmark": "far", "provenance": "translated"}
        return {"benchmark": "open", "provenance": "native"}

    def judge(self, judge, model, labels, silent=()):
        rows = [
            {
                **self.place(n), "item": f"i{n:03d}", "variant": "original", "source": "s",
                "group": f"i{n:03d}", "outcome": "unparsable" if n in silent else "label",
                "label": None if n in silent else int(labels[n]), "probability": None, "label_mass": None, "text": "",
                "finish": "stop", "error": None, "prompt_sha256": "0", "prompt_tokens": 1, "generated_tokens": 1,
            }
            for n in range(ITEMS)
        ]  # fmt: skip
        file = self.root / layout.judgements(judge, model, "oeq")
        write_parquet(file, pa.Table.from_pylist(rows, schema=judgement_schema()))

    def rate(self, models=MODELS, items=range(0, ITEMS, 3), other=(), scale=lambda right: right, weight=None):
        rows = [
            {
                "answer": f"{name}-{n}", "item": f"i{n:03d}", "group": f"i{n:03d}", "generator": name, "question": "Q",
                "context": "", "reference": "R", "candidate": "older" if n in other else f"{name} says {n}",
                "rater": "anne", "stratum": "", "weight": weight(name, n) if weight else 1.0,
                "rating": scale(self.right[name][n]),
            }
            for name in models
            for n in items
            if weight is None or weight(name, n)
        ]  # fmt: skip
        write_parquet(self.root / layout.human("set"), pa.Table.from_pylist(rows, schema=human_schema()))

    def table(self, scope="all", **more):
        out = self.root / "tables" / "corrected.csv"
        spec = {"sets": ["set"], "judges": ["j"], "models": self.models, "suites": ["oeq"]} | more
        corrected.main(["--spec", json.dumps(spec), "--results", str(self.root), "--table", str(out)])
        with open(out, encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if f"{row['scope_kind']}:{row['scope']}".endswith(scope)]
        return {(row["judge"], row["model"], row["against"]): row for row in rows}


@pytest.fixture
def judged(tmp_path):
    made = Judged(tmp_path)
    made.rate()
    return made


def test_what_a_judge_gives_one_model_too_much_is_taken_away(judged):
    rows = judged.table(statistics={"contrasts": [["SYN", "NAT"]]})
    flattered = rows["j", "q/SYN/seed-1", "q/base"]
    assert float(flattered["naive_low"]) > 5, "the judge alone finds SYN better than base"
    true = 100 * (judged.right["q/SYN/seed-1"].mean() - judged.right["q/base"].mean())
    assert float(flattered["low"]) < true < float(flattered["high"]) < float(flattered["naive_low"])
    row = rows["j", "q/SYN/seed-1", ""]
    assert float(row["low"]) < 100 * judged.right["q/SYN/seed-1"].mean() < float(row["high"])
    assert float(row["naive_low"]) > 100 * judged.right["q/SYN/seed-1"].mean()
    assert float(row["rogan_gladen_low"]) < 100 * judged.right["q/SYN/seed-1"].mean() < float(row["rogan_gladen_high"])
    assert (row["n"], row["rated"], row["stale"], row["silent"], row["interval"]) == (
        "300", "100", "0", "0", "prediction-powered",
    )  # fmt: skip
    better = rows["j", "q/NAT", "q/base"]
    assert float(better["low"]) > 0
    assert float(better["p_holm"]) < 0.01
    assert better["note"] == rows["j", "q/NAT", ""]["note"] == "for these trained adapters"
    assert ("j", "q/SYN/seed-1", "q/NAT") in rows
    perfect = rows["j", "q/base", ""]
    assert int(perfect["worth"]) > 200, "a judge that is always right on it is worth more than the ratings"
    assert int(perfect["more_ratings"]) < int(row["more_ratings"])


def test_a_provenance_and_a_benchmark_are_corrected_with_the_weights_of_the_whole_draw(tmp_path):
    far = range(180, ITEMS)
    made = Judged(tmp_path, far=far)
    verdict = np.maximum(made.right["q/base"], np.isin(np.arange(ITEMS), far[::2]))  # flatters far from home alone
    made.judge("j", "q/base", verdict)
    # Every second answer that the judge finds right is rated, and every fourth of the others.
    step = np.where(verdict == 1, 2, 4)
    turn = np.array([np.sum(verdict[:n] == verdict[n]) for n in range(ITEMS)])
    made.rate(models=MODELS[:1], items=range(ITEMS), weight=lambda _, n: float(step[n]) * (turn[n] % step[n] == 0))
    rated = turn % step == 0
    for scope, inside in {"benchmark:far": np.isin(np.arange(ITEMS), far), "provenance:native": np.arange(ITEMS) < 180,
                          "all": np.ones(ITEMS, dtype=bool)}.items():  # fmt: skip
        row = made.table(scope)["j", "q/base", ""]
        human = np.where(rated, made.right["q/base"], np.nan)[inside]
        answers = Answers(np.arange(inside.sum()), verdict[inside], human, step[inside].astype(float))
        by_hand = of_answers(answers, int(inside.sum()))
        assert (row["n"], row["rated"]) == (str(inside.sum()), str((rated & inside).sum()))
        assert float(row["value"]) == pytest.approx(100 * by_hand.value, abs=1e-5)
        assert float(row["low"]) < 100 * made.right["q/base"][inside].mean() < float(row["high"])
    at_home, abroad = (made.table(f"benchmark:{name}")["j", "q/base", ""] for name in ("open", "far"))
    assert float(at_home["naive"]) == pytest.approx(100 * made.right["q/base"][:180].mean(), abs=1e-5)
    assert float(abroad["naive_low"]) > 100 * made.right["q/base"][180:].mean()


def test_ratings_of_other_answers_are_left_out_and_counted(judged):
    judged.rate(other=range(30))
    row = judged.table()["j", "q/base", ""]
    assert (row["rated"], row["stale"]) == ("90", "10")
    assert row["note"] == "10 ratings of other answers to these questions left out"


def test_a_model_that_nobody_rated_has_its_naive_score_alone(judged):
    judged.rate(models=MODELS[:1])
    rows = judged.table()
    row = rows["j", "q/SYN/seed-1", ""]
    assert (row["value"], row["rated"], row["note"]) == ("", "0", "no rated answer")
    assert row["naive"]
    assert rows["j", "q/SYN/seed-1", "q/base"]["value"] == ""
    assert rows["j", "q/base", ""]["value"]
    judged.rate(items=range(9))
    assert judged.table()["j", "q/base", ""]["note"] == "fewer than 10 rated questions"


def test_a_judge_without_verdicts_has_no_naive_score_and_a_corrected_one_all_the_same(judged):
    for name in MODELS:
        judged.judge("j", name, judged.right[name], silent=range(100))
    row = judged.table()["j", "q/base", ""]
    assert (row["naive"], row["naive_low"], row["silent"]) == ("", "", "100")
    assert row["note"] == "100 of 300 replies without a verdict"
    assert float(row["low"]) < 100 * judged.right["q/base"].mean() < float(row["high"])


def test_ordinal_ratings_count_by_their_threshold(judged):
    judged.rate(scale=lambda right: 1 + 2 * right)
    assert judged.table() == {}, "nothing is right or wrong without one"
    with_one = judged.table(thresholds={"set": 2})
    judged.rate()
    assert with_one == judged.table()


def test_ratings_of_other_peoples_answers_make_no_row(judged):
    judged.rate(models=())
    assert judged.table() == {}


def test_a_panel_is_the_majority_of_its_judges():
    labels = np.array([[1, 1, 0, 1.0], [1, 0, 0, 0], [0, 1, 0, 0]])
    silent = np.array([[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]], dtype=bool)
    panel = majority(labels, silent)
    assert panel.label.tolist() == [1, 1, 0, 1]
    assert panel.share.tolist() == [2 / 3, 2 / 3, 0, 1]
    assert not panel.silent.any()
    nobody = majority(labels, np.ones((3, 4), dtype=bool))
    assert nobody.silent.all()
    assert nobody.label.tolist() == [0, 0, 0, 0]
    tied = majority(np.array([[1.0], [0.0]]), np.zeros((2, 1), dtype=bool))
    assert tied.label.tolist() == [0], "a half is no majority"


def test_a_panel_stands_in_the_tables_like_a_judge(judged, study, make_item):
    for judge in "kl":
        for name in MODELS:
            noise = judged.numbers.random(ITEMS) < 0.2
            judged.judge(judge, name, np.abs(judged.right[name] - noise))
    rows = judged.table(judges=["j", "k", "l"], panel=["j", "k", "l"])
    panel, alone = rows["panel", "q/base", ""], rows["k", "q/base", ""]
    assert int(panel["worth"]) > int(alone["worth"])
    study.root = judged.root
    items = [make_item(n, "open", "oeq") | {"item": f"i{n:03d}", "group": f"i{n:03d}"} for n in range(ITEMS)]
    for name in MODELS:
        study.scores(name, "oeq", items, {("words", "greedy"): {"original": [5.0] * ITEMS}})
    out = judged.root / "tables" / "oeq.csv"
    spec = study.spec(judges=["j", "k", "l"], panel=["j", "k", "l"])
    oeq.main(["--spec", spec, "--results", str(judged.root), "--table", str(out)])
    with open(out, encoding="utf-8", newline="") as file:
        panel_rows = [
            row for row in csv.DictReader(file) if row["metric"] == "judge:panel" and row["scope_kind"] == "all"
        ]
    assert {row["model"] for row in panel_rows} >= set(MODELS)
    assert panel_rows[0]["signature"].startswith("judge:panel|majority of j, k, l|")


def ratings_of(people, judges=(), group=None):
    """Return a set of rated answers with these people's ratings."""
    stacked = np.stack(list(people.values()))
    count = stacked.shape[1]
    group = np.array([f"g{n}" for n in range(count)]) if group is None else group
    none = np.zeros(count, dtype=bool)
    raters = tuple(Rater(f"judge:{name}", "judge", label, label, none, none) for name, label in judges)
    human = np.nan_to_num(np.nanmean(np.vstack([stacked, np.zeros(count)]), axis=0))
    words = np.ones(count)
    return RatedSet(
        "s",
        group,
        group,
        generator=np.full(count, ""),
        people=people,
        human=human,
        right=None,
        words=words,
        weight=words,
        raters=raters,
    )


def raters_rows(monkeypatch, tmp_path, rated, **more):
    monkeypatch.setattr(raters, "read_rated", lambda *_: rated)
    spec = {"sets": ["s"], "statistics": {"replicates": 300}, **more}
    raters.main(["--spec", json.dumps(spec), "--results", str(tmp_path), "--table", str(tmp_path / "r.csv")])
    with open(tmp_path / "r.csv", encoding="utf-8", newline="") as file:
        return {(row["raters_kind"], row["statistic"], row["rater"]): row for row in csv.DictReader(file)}


def test_krippendorffs_alpha_of_raters_who_saw_different_answers(monkeypatch, tmp_path):
    numbers = np.random.default_rng(2)
    truth = (numbers.random(90) < 0.5).astype(float)
    people = {name: np.abs(truth - (numbers.random(90) < 0.1)) for name in ("anne", "bob", "carl")}
    people["anne"][:20] = np.nan
    people["bob"][10:40] = np.nan
    people["carl"][15:18] = np.nan
    rows = raters_rows(monkeypatch, tmp_path, ratings_of(people))
    expected = krippendorff.alpha(np.stack(list(people.values())), level_of_measurement="nominal")
    row = rows["people", "alpha", ""]
    assert float(row["value"]) == pytest.approx(expected, abs=1e-6)
    assert float(row["low"]) < expected < float(row["high"])
    rated = (~np.isnan(np.stack(list(people.values())))).sum(axis=0)
    assert (row["n"], row["raters"], row["scale"]) == (str((rated > 1).sum()), "3", "nominal")
    assert {name for kind, statistic, name in rows if statistic == "against_others"} == set(people)
    ordinal = {name: 1 + 2 * ratings + (np.arange(90) % 3 == 0) for name, ratings in people.items()}
    row = raters_rows(monkeypatch, tmp_path, ratings_of(ordinal))["people", "alpha", ""]
    expected = krippendorff.alpha(np.stack(list(ordinal.values())), level_of_measurement="ordinal")
    assert float(row["value"]) == pytest.approx(expected, abs=1e-6)


def test_no_judge_correlates_higher_with_people_than_their_ceiling(monkeypatch, tmp_path):
    """People rate a quality with errors of their own; a judge that knows the quality reaches the ceiling."""
    numbers = np.random.default_rng(3)
    quality = numbers.normal(size=4000)
    people = {name: quality + 1.2 * numbers.normal(size=4000) for name in "abc"}
    mean = np.mean(list(people.values()), axis=0)
    ceiling = raters.ceiling(np.stack(list(people.values())), np.ones((1, 4000)))[0]
    assert np.corrcoef(quality, mean)[0, 1] == pytest.approx(ceiling, abs=0.02)
    pairs = [np.corrcoef(people[left], people[other])[0, 1] for left, other in combinations("abc", 2)]
    assert ceiling > np.mean(pairs) + 0.2
    alone = raters_rows(monkeypatch, tmp_path, ratings_of({"a": people["a"]}))
    assert alone == {}, "one rater agrees with nobody"


def test_judges_agree_among_themselves_too(monkeypatch, tmp_path):
    numbers = np.random.default_rng(4)
    truth = (numbers.random(80) < 0.5).astype(float)
    judges = [(name, np.abs(truth - (numbers.random(80) < 0.1))) for name in "jkl"]
    rated = ratings_of({"a": truth}, judges)
    rows = raters_rows(monkeypatch, tmp_path, rated, judges=["j", "k", "l"], panel=["j", "k"])
    for kind, names in (("judges", "jkl"), ("panel", "jk")):
        expected = krippendorff.alpha(np.stack([dict(judges)[name] for name in names]), level_of_measurement="nominal")
        assert float(rows[kind, "alpha", ""]["value"]) == pytest.approx(expected, abs=1e-6)
