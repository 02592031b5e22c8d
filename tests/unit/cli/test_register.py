"""`posologie register`: what is fixed before the first training, and what is said of it afterwards."""

import json

import pytest

from posologie.cli.commands import main
from posologie.records.files import write_csv, write_json
from posologie.report.effects import comparisons
from posologie.report.inputs import Inputs
from posologie.report.spec import ReportSpec
from posologie.statistics.registration import FILE, registration_of

STUDY = """
extends: {test}
study: fixed
statistics:
  margin: 2
  contrasts: [[NAT, SYN]]
"""


@pytest.fixture
def study(tmp_path, monkeypatch, request):
    """A study file in a folder of its own, and its results below it."""
    file = tmp_path / "study.yaml"
    file.write_text(STUDY.format(test=request.config.rootpath / "config" / "test.yaml"))
    (tmp_path / "resources").symlink_to(request.config.rootpath / "resources")
    monkeypatch.chdir(tmp_path)
    return file


def register(capsys, *arguments):
    code = main(["register", "--configfile", "study.yaml", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def contrasts(path, *pairs):
    columns = ("suite", "backbone", "left", "right")
    write_csv(
        path / "results/fixed/tables/contrasts.csv",
        columns,
        [dict(zip(columns, ("mcqa", "tiny", *pair), strict=True)) for pair in pairs],
    )


def test_what_is_registered_before_training_is_registered_afterwards(study, capsys):
    code, made = register(capsys)
    assert code == 0
    known = registration_of(study.parent / "results/fixed")
    assert known.checksum == made["sha256"]
    assert known.sections["statistics"]["margin"] == 2
    contrasts(study.parent, ("NAT", "base"), ("NAT", "SYN"), ("NAT-SYN", "SYN"), ("NAT60-SYN40", "base"))
    code, registration = register(capsys, "--check")
    assert code == 0
    assert registration["changes"] == registration["trained_before"] == []
    assert [verdict["registered"] for verdict in registration["verdicts"]] == [
        "registered",
        "registered",
        "not registered: the pair was not named",
        "not registered: mix NAT60-SYN40 was not named",
    ]


def test_what_is_changed_afterwards_is_said_and_no_verdict_counts_as_registered(study, capsys):
    register(capsys)
    study.write_text(study.read_text().replace("margin: 2", "margin: 3"))
    contrasts(study.parent, ("NAT", "base"))
    code, registration = register(capsys, "--check")
    assert code == 1
    assert registration["changes"] == ["statistics.margin: registered 2.0, now 3.0"]
    assert registration["verdicts"][0]["registered"] == "not registered: statistics.margin was changed afterwards"
    assert main(["register", "--configfile", "study.yaml"]) == 2
    assert "a registration is never replaced" in capsys.readouterr().err


def test_the_same_registration_again_keeps_its_date(study, capsys):
    first, again = register(capsys), register(capsys)
    assert first == again


def test_nothing_is_registered_after_the_first_training(study, capsys):
    (study.parent / "results/fixed/adapters/tiny/NAT/seed-42").mkdir(parents=True)
    assert main(["register", "--configfile", "study.yaml"]) == 2
    assert "trained already; a registration comes before" in capsys.readouterr().err
    assert main(["register", "--configfile", "study.yaml", "--check"]) == 2
    assert "no such file" in capsys.readouterr().err


def test_an_altered_registration_is_refused(study, capsys):
    register(capsys)
    path = study.parent / "results/fixed" / FILE
    facts = json.loads(path.read_text())
    facts["statistics"]["margin"] = 5
    path.write_text(json.dumps(facts))
    assert main(["register", "--configfile", "study.yaml", "--check"]) == 2
    assert "altered after it was written" in capsys.readouterr().err


def test_an_adapter_whose_training_started_before_is_named(study, capsys):
    register(capsys)
    seal = {"format": 1, "module": "posologie.training", "code": "", "spec": {}, "settings": {}, "inputs": {}}
    seal |= {"outputs": {}, "made": {"started": "2020-01-01T00:00:00+00:00"}}
    write_json(study.parent / "results/fixed/adapters/tiny/NAT/seed-42/adapter.seal.json", seal)
    code, registration = register(capsys, "--check")
    assert code == 1
    assert registration["trained_before"] == ["results/fixed/adapters/tiny/NAT/seed-42"]


def test_the_page_says_of_each_verdict_whether_it_was_registered(study, capsys):
    register(capsys)
    statistics = registration_of(study.parent / "results/fixed").sections["statistics"]
    models = [{"name": "tiny/base", "kind": "base", "backbone": "tiny"}]
    models += [
        {"name": f"tiny/{mix}/seed-42", "kind": "mix", "backbone": "tiny", "mix": mix, "seed": 42}
        for mix in ("NAT", "LATER")
    ]
    spec = ReportSpec(
        study="fixed", mixes=("NAT", "LATER"), models=models, suites=("mcqa",), tables=("contrasts",),
        statistics=statistics,
    )  # fmt: skip
    row = {
        "suite": "mcqa", "scope_kind": "all", "scope": "all", "task": "all", "aggregate": "item_weighted",
        "metric": "em", "decoding": "constrained", "variants": "original", "backbone": "tiny", "right": "base",
        "n": 10, "unit": "%", "value": 1.0, "p_adjusted": 0.5, "verdict": "not settled", "family_size": 2,
        "about": "adapters",
    }  # fmt: skip
    empty = ("low", "high", "detectable", "note", "simultaneous_low", "simultaneous_high", "undone_by_seed_sd",
             "settles_at_seeds", "settles_at_items")  # fmt: skip
    rows = [
        {**row, **dict.fromkeys(empty), "left": mix, "left_model": f"tiny/{mix}/seed-42", "registered": registered}
        for mix, registered in (("NAT", "registered"), ("LATER", "not registered: mix LATER was not named"))
    ]
    write_csv(study.parent / "results/fixed/tables/contrasts.csv", list(rows[0]), rows)
    (comparison,) = comparisons(Inputs(spec, study.parent / "results/fixed"))
    assert {effect.arm: effect.registered for effect in comparison.effects} == {
        "NAT": "registered",
        "LATER": "not registered: mix LATER was not named",
    }
