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
    _, found = planned(capsys, *words)
    (plan,) = found["plans"]
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
    by = {(one["items"], one["seeds"]): one["detectable"] for one in seven["plans"]}
    assert by[500, 2] > by[500, 5] > by[2000, 5]
    assert by[500, 2] > by[2000, 2]
    assert {(one["items"], one["seeds"]): one["detectable"] for one in two["plans"]}[2000, 5] < by[2000, 5]


def test_the_cheapest_plan_within_the_budget_is_named(capsys):
    words = ("--score", "40", "--items", "1000", "4000", "--seeds", "2", "3", "5", "--mixes", "3", "--difference", "3",
             "--seed-sd", "0.5", "--hours-per-training", "2", "--hours-per-thousand", "0.5")  # fmt: skip
    code, found = planned(capsys, *words, "--budget", "60")
    good = [one for one in found["plans"] if one["power"] >= 0.8 and one["gpu_hours"] <= 60]
    assert code == 0
    assert found["chosen"] == min(good, key=lambda one: one["gpu_hours"])
    seeds, items = found["chosen"]["seeds"], found["chosen"]["items"]
    assert found["chosen"]["gpu_hours"] == pytest.approx(3 * seeds * 2 + (1 + 3 * seeds) * items / 1000 * 0.5)
    code, found = planned(capsys, *words, "--budget", "5")
    assert (code, found["chosen"]) == (1, None)
    assert "No plan costs at most 5 GPU hours" in found["told"]


def test_the_planned_power_is_that_of_simulated_studies():
    design = Design(1000, 1, (0.4, 0.44, 0.4, 0.4), 3, 0.01)
    model, _ = simulate(design, 1500, np.random.default_rng(1))
    pair = differences([(1, 0)], 4)[0]
    found = np.mean(p_value(model.of(pair)) < 0.05)
    noise = float(model.seeds["q"].noise.mean())
    fixed = float((np.einsum("sij,i,j->s", model.items, pair, pair)).mean()) - noise / 3
    planned = Components(1000, fixed, noise, 0.01**2, 1.0, 999, 3).power(0.04, 1000, 3, stats.norm.ppf(0.975))
    assert found == pytest.approx(planned, abs=0.04)  # three Monte-Carlo errors


def test_a_pilot_gives_variances_hours_and_the_benchmarks_that_are_too_small(capsys, tmp_path):
    study = make_study(tmp_path / "pilot", choices=16, open_questions=0, seeds=(1, 2), tables=("contrasts",))
    table, figure = tmp_path / "plans.csv", tmp_path / "plans.svg"
    words = ("--results", str(study.root), "--table", str(table), "--figure", str(figure))
    code, found = planned(capsys, *words)
    assert code == 1, "16 questions find no 2 points"
    assert {one["benchmark"] for one in found["too_small"]} == {"native", "translated"}
    assert "7 mixes of" in found["told"]
    assert all(one["gpu_hours"] > 0 for one in found["plans"])
    with open(table, encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(found["plans"]) == 12
    first = figure.read_bytes()
    planned(capsys, *words)
    assert figure.read_bytes() == first
    assert b"<svg" in first


def test_base_alone_is_enough_with_an_assumed_agreement(capsys, tmp_path):
    study = make_study(tmp_path / "pilot", choices=16, open_questions=0, tables=("contrasts",))
    for folder in (study.root / "scores" / "tiny").iterdir():
        if folder.name != "base":
            folder.rename(study.root / folder.name)
    _, found = planned(capsys, "--results", str(study.root), "--hours-per-training", "1")
    assert found["told"].startswith("From base's answers in")


@pytest.mark.parametrize(
    ("words", "said"),
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
def test_what_does_not_fit_is_one_line(capsys, words, said):
    assert main(["design", "power", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
