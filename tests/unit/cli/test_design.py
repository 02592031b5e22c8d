"""Planning a study: power, detectable differences, costs."""

import csv
import json

import numpy as np
import pytest
from scipy import stats

from posologie.cli.commands import main
from posologie.statistics.crossed import p_value
from posologie.statistics.power import Components
from posologie.statistics.simultaneous import differences
from simulated import make_study
from simulated_grids import Design, simulate


def planned(capsys, *words: str) -> tuple[int, dict]:
    code = main(["design", "power", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_one_mix_with_one_seed_is_the_textbook_paired_comparison(capsys):
    words = ("--items", "1000", "--score", "40", "--mixes", "1", "--seeds", "1", "--seed-sd", "0", "--difference", "5")
    _, answer = planned(capsys, *words)
    (plan,) = answer["plans"]
    error = 100 * np.sqrt(2 * 0.4 * 0.6 * 0.5 / 1000)
    t = stats.t(999)
    assert plan["detectable"] == pytest.approx((t.ppf(0.975) + t.ppf(0.8)) * error, rel=1e-6)
    assert plan["power"] == pytest.approx(1 - stats.nct(999, 5 / error).cdf(t.ppf(0.975)), abs=1e-6)
    assert plan["half_width"] == pytest.approx(t.ppf(0.975) * error, rel=1e-6)
    assert plan["about"] == "adapters"


def test_more_seeds_more_items_and_fewer_mixes_find_more(capsys):
    words = ("--score", "40", "--items", "500", "2000", "--seeds", "2", "5", "--mixes")
    _, seven = planned(capsys, *words, "7")
    _, two = planned(capsys, *words, "2")
    by = {(plan["items"], plan["seeds"]): plan["detectable"] for plan in seven["plans"]}
    assert by[500, 2] > by[500, 5] > by[2000, 5]
    assert by[500, 2] > by[2000, 2]
    assert {(plan["items"], plan["seeds"]): plan["detectable"] for plan in two["plans"]}[2000, 5] < by[2000, 5]


def test_the_cheapest_plan_within_the_budget_is_named(capsys):
    words = ("--score", "40", "--items", "1000", "4000", "--seeds", "2", "3", "5", "--mixes", "3", "--difference", "3",
             "--seed-sd", "0.5", "--hours-per-training", "2", "--hours-per-thousand", "0.5")  # fmt: skip
    code, answer = planned(capsys, *words, "--budget", "60")
    good = [plan for plan in answer["plans"] if plan["power"] >= 0.8 and plan["gpu_hours"] <= 60]
    assert code == 0
    assert answer["chosen"] == min(good, key=lambda plan: plan["gpu_hours"])
    seeds, items = answer["chosen"]["seeds"], answer["chosen"]["items"]
    assert answer["chosen"]["gpu_hours"] == pytest.approx(3 * seeds * 2 + (1 + 3 * seeds) * items / 1000 * 0.5)
    code, answer = planned(capsys, *words, "--budget", "5")
    assert (code, answer["chosen"]) == (1, None)
    assert "No plan costs at most 5 GPU hours" in answer["summary"]


def test_the_planned_power_is_that_of_simulated_studies():
    design = Design(1000, 1, (0.4, 0.44, 0.4, 0.4), 3, 0.01)
    model, _ = simulate(design, 1500, np.random.default_rng(1))
    pair = differences([(1, 0)], 4)[0]
    power = np.mean(p_value(model.of(pair)) < 0.05)
    noise = float(model.seeds["q"].noise.mean())
    fixed = float((np.einsum("sij,i,j->s", model.items, pair, pair)).mean()) - noise / 3
    planned = Components(1000, fixed, noise, seeds=0.01**2, sides=1.0, df_items=999, mixes=3).power(
        0.04, 1000, 3, stats.norm.ppf(0.975)
    )
    assert power == pytest.approx(planned, abs=0.04)  # three Monte-Carlo errors


def test_a_pilot_gives_variances_hours_and_the_benchmarks_that_are_too_small(capsys, tmp_path):
    study = make_study(tmp_path / "pilot", choices=16, open_questions=0, seeds=(1, 2), tables=("contrasts",))
    table, figure = tmp_path / "plans.csv", tmp_path / "plans.svg"
    words = ("--results", str(study.root), "--table", str(table), "--figure", str(figure))
    code, answer = planned(capsys, *words)
    assert code == 1, "16 questions find no 2 points"
    assert {benchmark["benchmark"] for benchmark in answer["too_small"]} == {"native", "translated"}
    assert "7 mixes of" in answer["summary"]
    assert all(plan["gpu_hours"] > 0 for plan in answer["plans"])
    with open(table, encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(answer["plans"]) == 12
    first = figure.read_bytes()
    planned(capsys, *words)
    assert figure.read_bytes() == first
    assert b"<svg" in first


def test_base_alone_is_enough_with_an_assumed_agreement(capsys, tmp_path):
    study = make_study(tmp_path / "pilot", choices=16, open_questions=0, tables=("contrasts",))
    for folder in (study.root / "scores" / "tiny").iterdir():
        if folder.name != "base":
            folder.rename(study.root / folder.name)
    _, answer = planned(capsys, "--results", str(study.root), "--hours-per-training", "1")
    assert answer["summary"].startswith("From base's answers in")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give either --results (a pilot) or --score (assumed)"),
        (("--score", "140", "--items", "9"), "--score 140: expected a percentage"),
        (("--score", "40"), "--items: missing"),
        (("--score", "40", "--items", "9", "--agreement", "1"), "--agreement 1: expected a number from 0 to below 1"),
        (("--score", "40", "--items", "9", "--budget", "10"), "--budget: needs --hours-per-training"),
        (("--score", "40", "--items", "9", "--difference", "0"), "--difference 0: expected a positive number"),
        (("--results", "/nowhere"), "--suite : expected one of"),
    ],
)
def test_what_does_not_fit_is_one_line(capsys, words, message):
    assert main(["design", "power", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
