"""`posologie prescribe`: the answer, what to train next, and YAML that a study takes as it is."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml
from gaussian import CENTROID, COMPONENTS, least_squares, terms

from posologie.cli import prescribe
from posologie.cli.commands import main
from posologie.mixes.spec import Mix, MixSpec
from posologie.surface.answer import region_sentence
from posologie.surface.next_runs import offers_of
from posologie.surface.optimum import candidates_of, region_of
from posologie.surface.runs import read_runs
from posologie.surface.study_runs import StudyRuns

TRUTH = np.array([40.0, 38, 36, 12, 10, 14])
NAMES = ("NAT", "TRA", "SYN", "NAT-TRA", "NAT-SYN", "TRA-SYN", "ALL")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Seven runs of 3,000 items on disk, and a surface by least squares instead of the choice among models."""
    score = terms(CENTROID) @ TRUTH + np.random.default_rng(1).normal(0, 0.7, 7)
    other = CENTROID @ [5.0, 8, 3]
    rows = [",".join(f"{share:.4f}" for share in mix) for mix in CENTROID]
    ratios, metrics = tmp_path / "ratios.csv", tmp_path / "metrics.csv"
    ratios.write_text(
        "mix,w_native,w_translated,w_synthetic,size\n"
        + "".join(f"{name},{row},3000\n" for name, row in zip(NAMES, rows, strict=True))
    )
    metrics.write_text(
        "mix,em,em_se,other\n"
        + "".join(f"{name},{first:.3f},0.7,{two:.3f}\n" for name, first, two in zip(NAMES, score, other, strict=True))
    )
    monkeypatch.setattr(
        prescribe,
        "fitted_surface",
        lambda runs, model: (least_squares(runs.components, runs.shares, runs.score, variance=0.49), 2, ["a note"]),
    )
    # fewer mixes and draws than people get, for speed
    monkeypatch.setattr(prescribe, "candidates_of", partial(candidates_of, lattice_points=45, even_points=32))
    monkeypatch.setattr(prescribe, "offers_of", partial(offers_of, most=66))
    monkeypatch.setattr(prescribe, "region_of", partial(region_of, draws=200))
    return ["prescribe", "--ratios", str(ratios), "--metrics", str(metrics), "--metric", "em"]


def prescription(capsys, arguments):
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_it_says_the_dose_its_region_and_what_to_train_next(files, capsys):
    answer = prescription(capsys, [*files, "--worth", "0.01"])
    assert set(answer["dose"]) == set(COMPONENTS)
    assert sum(answer["dose"].values()) == pytest.approx(1)
    assert answer["score"]["low"] < answer["score"]["value"] < answer["score"]["high"]
    assert answer["regret"]["high"] > answer["regret"]["expected"] > 0
    low, high = answer["region"]["ranges"]["native"]
    assert low <= answer["dose"]["native"] <= high
    assert 1 <= len(answer["next"]["mixes"]) <= 4
    assert not answer["next"]["stop"]


def test_the_yaml_has_new_names_and_shares_in_lowest_terms(files, capsys, tmp_path):
    text = prescription(capsys, [*files, "--worth", "0.0", "--yaml", str(tmp_path / "next.yaml")])["yaml"]
    assert (tmp_path / "next.yaml").read_text() == text
    mixes = yaml.safe_load(text)["mixes"]
    assert mixes
    assert not mixes.keys() & set(NAMES)
    for name, mix in mixes.items():
        whole = Mix(**mix)
        assert whole.size == 3000
        assert np.gcd.reduce([int(share) for share in whole.shares.values()]) == 1
        # what the plan compares: a mix that is trained stays the same however its shares are written
        spec = {"name": name, "seed": 1, "provenance_of": {}, "validation": {}}
        doubled = {**mix, "shares": {key: 2 * share for key, share in mix["shares"].items()}}
        assert MixSpec(mix=Mix(**doubled), **spec) == MixSpec(mix=whole, **spec)


def test_a_name_that_is_taken_is_not_given_again(files, capsys):
    first = yaml.safe_load(prescription(capsys, [*files, "--worth", "0"])["yaml"])["mixes"]
    name = next(iter(first))
    text = [*files, "--worth", "0"]
    for path in map(Path, (text[2], text[4])):
        path.write_text(path.read_text().replace("ALL,", f"{name},"))
    again = yaml.safe_load(prescription(capsys, text)["yaml"])["mixes"]
    assert f"{name}-2" in again


def test_it_says_stop_in_words(files, capsys):
    assert main([*files, "--worth", "9"]) == 0
    output = capsys.readouterr().out
    assert "Note: a note." in output
    assert "Dose: " in output
    assert "Stop: even knowing every score exactly" in output
    assert "mixes:" not in output


@pytest.mark.parametrize(
    ("share", "sentence"),
    [
        (
            None,
            "Few mixes reach the floors; of these, the mixes with a 0 to 40 % cannot be distinguished from the best.",
        ),
        (0.0, "Hardly any other mix (fewer than 1 in 2,000) may be as good: a 0 to 40 %."),
        (0.54, "54 % of all mixes cannot be distinguished from the best, with a 0 to 40 %."),
        (1.0, "No mix can be distinguished from the best: any dose may be the best one."),
    ],
)
def test_the_region_is_told_as_the_report_tells_it(share, sentence):
    assert region_sentence(share, {"a": (0.0, 0.4)}, 2000) == sentence


def test_where_few_mixes_keep_a_floor_their_share_is_not_invented(files, capsys):
    answer = prescription(capsys, [*files, "--floor", "other=7.99", "--floor-probability", "0.501"])
    assert answer["region"]["share_of_simplex"] is None
    assert answer["dose"]["translated"] == pytest.approx(1, abs=0.02)


def test_prices_and_floors_count(files, capsys):
    free = prescription(capsys, [*files, "--worth", "0"])
    held = prescription(capsys, [*files, "--floor", "other=6.2", "--bounds", "translated=0:0.9"])
    assert free["dose"]["translated"] < held["dose"]["translated"] <= 0.9
    assert "other kept with a chance of 0.95" in held["notes"][-1]
    priced = [*files, "--price", "native=1", "--price-hour", "2", "--hours-per-training", "3", "--point-worth", "90000"]
    mixes = prescription(capsys, priced)["next"]["mixes"]
    assert {mix["cost"] for mix in mixes} == {6 + 3000 * mix["shares"]["native"] for mix in mixes}


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--metric", "f1"], "no metric 'f1'; choose one of em, other"),
        (["--bounds", "native=0.2"], "--bounds native=0.2: expected NAME=LOW:HIGH"),
        (["--bounds", "natve=0:1"], "bounds.natve: no such component; choose one of native, translated, synthetic"),
        (["--price", "native"], "--price native: expected NAME=NUMBER"),
        (["--floor", "other=20"], "other: no mix reaches the floor with a chance of 0.95; "),
        (["--mixes", "0"], "--mixes 0: expected a number above 0"),
        (["--point-worth", "3"], "--point-worth: needs --price-hour or --price"),
    ],
)
def test_a_mistake_is_one_line(files, capsys, extra, message):
    assert main([*files, *extra]) == 2
    assert message in capsys.readouterr().err


def test_runs_of_others_are_read_by_name_with_what_their_names_share_left_out(files):
    runs = read_runs(files[2], files[4], {"em": 1.0})
    assert runs.components == COMPONENTS
    assert runs.names == NAMES
    assert runs.shares.sum(axis=1) == pytest.approx(np.ones(7))
    assert np.diag(runs.items) == pytest.approx(0.49)
    assert runs.sizes is None
    turned = read_runs(files[2], files[4], {"em": 0.5, "other": 2.0}, lower_is_better=True)
    both = read_runs(files[2], files[4], {"other": 1.0})
    assert turned.score == pytest.approx(-(0.5 * runs.score + 2 * both.score))


@pytest.mark.parametrize(
    ("ratios", "metrics", "message"),
    [
        ("mix,a,b\nX,0.5,0.6\n", "mix,em\nX,1\n", "run X: shares sum to 1.1"),
        ("mix,a,b\nX,0.5,0.5\n", "mix,em\nY,1\n", "no row for run X"),
        ("mix,a,b\nX,0.5,0.5\nX,1,0\n", "mix,em\nX,1\n", "two rows for run X"),
        ("a,b\n0.5,0.5\n", "em\n1\n2\n", "2 rows; expected one for each of 1 runs"),
        ("mix,a,b\nX,0.5,0.5\n", "mix,em\nX,one\n", "row 2, column 'em': 'one' is not a number"),
        ("mix,a\nX,1\n", "mix,em\nX,1\n", "1 columns of shares; expected two or more"),
    ],
)
def test_what_does_not_fit_in_the_files_is_one_line(tmp_path, ratios, metrics, message):
    (tmp_path / "r.csv").write_text(ratios)
    (tmp_path / "m.csv").write_text(metrics)
    with pytest.raises(Exception, match=message):
        read_runs(tmp_path / "r.csv", tmp_path / "m.csv", {"em": 1.0})


def test_a_study_brings_its_runs_seeds_and_demands(files, capsys, monkeypatch, tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(
        f"extends: {Path('config/test.yaml').resolve()}\ntraining: {{seeds: [1, 2]}}\n"
        "surface: {bounds: {synthetic: [0, 0.4]}, at_least_base: [oeq]}\n"
    )
    runs = read_runs(files[2], files[4], {"em": 1.0})
    other = read_runs(files[2], files[4], {"other": 1.0})
    known = {"backbone": "tiny", "measured": None, "unit": "%", "base": 30.0, "towards": 1, "n": 9, "clusters": 9.0}
    made = [
        StudyRuns("mcqa", **known, runs=runs, gains=runs, few=True, size=24, note=""),
        StudyRuns(
            "oeq", **known, runs=other, gains=replace(other, score=other.score - 6.2), few=True, size=24, note=""
        ),
    ]
    monkeypatch.setattr("posologie.surface.study_runs.study_runs", lambda results, spec: iter(made))
    asked = ["prescribe", "--configfile", str(file), "--suite", "mcqa", "--worth", "0", "--mixes", "1"]
    answer = prescription(capsys, [*asked, "--seeds", "1", "3"])
    assert answer["dose"]["synthetic"] <= 0.4
    assert answer["region"]["ranges"]["translated"][0] > 0.2  # oeq does not fall below base
    assert answer["notes"][:2] == ["n too small", "shows the machinery only"]
    text = yaml.safe_load(answer["yaml"])
    (name,) = text["mixes"]
    assert text["mixes"][name]["size"] == 24
    assert text["training"] == {"further_seeds": {name: [3]}}
    assert main(asked[:3]) == 2
    assert "--suite: choose one of mcqa, oeq" in capsys.readouterr().err.replace("oeq, mcqa", "mcqa, oeq")
