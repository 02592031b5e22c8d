"""`posologie design mixes`: a design from options or a study, the YAML to paste, costs and power."""

import csv
import json

import pytest
import yaml

from posologie.cli.commands import main
from posologie.config.load import load_study, study_document, study_from
from posologie.mixes.spec import Mix

OPTIONS = ("--components", "a", "b", "c", "--size", "1000", "--trainings")


def asked(capsys, *words: str) -> tuple[int, dict]:
    code = main(["design", "mixes", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_design_from_options_has_costs_power_and_a_picture(capsys, tmp_path):
    table, figure, text = tmp_path / "t.csv", tmp_path / "f.svg", tmp_path / "mixes.yaml"
    words = ("--score", "40", "--items", "2000", "--hours-per-training", "3", "--hours-per-thousand", "0.5",
             "--table", str(table), "--figure", str(figure), "--yaml", str(text))  # fmt: skip
    code, design = asked(capsys, *OPTIONS, "9", *words)
    assert code == 0
    assert len(design["trainings"]) == 9
    assert design["variance"][5] is None
    assert design["trainings"][-1]["gpu_hours"] == pytest.approx(9 * (3 + 2 * 0.5))
    power = [row["power"] for row in design["trainings"] if row["power"] is not None]
    assert power[-1] == max(power)
    assert "proposed" in figure.read_text()
    with open(table, encoding="utf-8", newline="") as file:
        assert [row["mix"] for row in csv.DictReader(file)] == [row["mix"] for row in design["trainings"]]
    pasted = yaml.safe_load(text.read_text())
    assert sum(len(seeds) for seeds in pasted["training"]["further_seeds"].values()) == 2
    for row in design["trainings"]:
        shares = pasted["mixes"][row["mix"]]["shares"]
        assert {name: row[name] for name in shares} == pytest.approx(
            {name: weight / sum(shares.values()) for name, weight in shares.items()}
        )


def test_what_is_pasted_joins_the_study_and_retrains_nothing(capsys):
    code, design = asked(capsys, "--configfile", "config/config.yaml", "--trainings", "4", "--prefix", "NA")
    assert code == 0
    document = study_document("config/config.yaml")
    pasted = yaml.safe_load(design["yaml"])
    assert not set(pasted["mixes"]) & set(document["mixes"])
    document["mixes"] |= pasted["mixes"]
    document.setdefault("training", {})["further_seeds"] = pasted["training"]["further_seeds"]
    from posologie.config import job_specs, plan

    before, after = load_study("config/config.yaml"), study_from(document, "pasted")
    assert len(plan.models(after)) == len(plan.models(before)) + 4
    for name, model in plan.models(before).items():
        if model.mix is not None:
            first, other = (job_specs.training_spec(s, model.backbone, model.mix, model.seed) for s in (before, after))
            assert first == other
            assert job_specs.mix_spec(before, model.mix, 42) == job_specs.mix_spec(after, model.mix, 42)
        assert name in plan.models(after)


def test_too_few_trainings_for_the_model_are_said(capsys):
    code, design = asked(capsys, *OPTIONS, "4")
    assert code == 1
    assert "They leave 2 of the terms undetermined" in design["summary"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (OPTIONS[:-1], "--trainings: missing"),
        (("--size", "10", "--trainings", "3"), "--components: missing"),
        (("--components", "a", "b", "--trainings", "3"), "--size: missing"),
        ((*OPTIONS, "6", "--bounds", "a=0.5"), "--bounds a=0.5: expected NAME=LOW:HIGH"),
        ((*OPTIONS, "6", "--held", "a=many"), "--held a=many: expected NAME=NUMBER"),
        (
            (*OPTIONS, "6", "--held", "a=300", "--bounds", "a=0.5:1"),
            "--bounds.a = [0.5, 1]: 500 of 1,000 items, but 300 are held and taken once;",
        ),
        ((*OPTIONS, "6", "--held", "a=300", "--epochs", "a=0"), "--epochs a=0: expected 1 to 100"),
        ((*OPTIONS, "6", "--bounds", "d=0:1"), "--bounds.d: no such component"),
        ((*OPTIONS, "6", "--present", "a=x"), "--present a=x: expected NAME=SHARE"),
        ((*OPTIONS, "6", "--score", "40"), "--items: missing"),
        ((*OPTIONS, "2", "--repeats", "2"), "none is left for a new mix"),
    ],
)
def test_what_does_not_fit_is_one_line(capsys, words, line):
    assert main(["design", "mixes", *words]) == 2
    assert line in capsys.readouterr().err


def test_mixes_without_repeats_name_no_seeds(capsys):
    _, design = asked(capsys, *OPTIONS, "6", "--repeats", "0")
    assert "training" not in yaml.safe_load(design["yaml"])


def test_no_mix_asks_for_more_items_than_a_component_holds(capsys):
    _, design = asked(capsys, *OPTIONS, "6", "--held", "a=300", "b=5000")
    assert max(row["a"] for row in design["trainings"]) <= 0.3
    assert max(row["b"] for row in design["trainings"]) > 0.6
    assert "No item is taken twice, so that a mix of 1,000 items holds at most a 30 %." in design["summary"]


def test_items_that_may_repeat_allow_a_larger_share_and_the_mix_says_how_often(capsys):
    _, design = asked(capsys, *OPTIONS, "6", "--held", "a=300", "b=5000", "--epochs", "a=2")
    assert 0.3 < max(row["a"] for row in design["trainings"]) <= 0.6
    sentence = "Items are taken once, those of a 2 times at most, so that a mix of 1,000 items holds at most a 60 %."
    assert sentence in design["summary"]
    for name, mix in yaml.safe_load(design["yaml"])["mixes"].items():
        share = mix["shares"].get("a", 0) / sum(mix["shares"].values())
        assert mix.get("epochs", {}) == ({"a": 2} if share > 0.3 else {}), name
        assert Mix.model_validate(mix)


def test_the_items_that_a_study_holds_limit_its_designs(capsys, monkeypatch):
    monkeypatch.setattr("posologie.config.plan.held_items", lambda study, root: {"native": 12_000, "synthetic": None})
    _, design = asked(capsys, "--configfile", "config/config.yaml", "--trainings", "4")
    new = [row for row in design["trainings"] if row["mix"].startswith("D")]
    assert max(row["native"] for row in new) <= 12_000 / 33_493
    assert max(row["synthetic"] for row in new) >= 0.5
