"""`posologie findings`: what a finished study found, and whether that is true where the truth is known."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from posologie.cli.findings import Scale, Truth, measured_of, truth_of
from posologie.config.load import load_study
from posologie.records.files import write_csv
from posologie.running.errors import InputError
from posologie.statistics.best import COLUMNS as BEST
from posologie.statistics.contrasts import COLUMNS as CONTRASTS
from posologie.surface.simplex import lattice
from posologie.surface.table import COLUMNS as SURFACE
from studies import REPOSITORY

NAMES = ("native", "translated", "synthetic")
MEASURE = {"suite": "mcqa", "backbone": "scratch", "metric": "em", "decoding": "constrained", "variants": "original",
           "aggregate": "item_weighted", "unit": "%", "n": 400}  # fmt: skip


def true_score(native, translated, synthetic):
    """Return a score whose best mix is 60 % native and 40 % translated."""
    return 60 - 50 * (native - 0.6) ** 2 - 50 * (translated - 0.4) ** 2 - 30 * synthetic


def shares_text(mix):
    """Return shares as tables write them."""
    return ";".join(f"{name}={share:g}" for name, share in zip(NAMES, mix, strict=True))


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The demo's study file with a truth of its own, and a folder for its tables."""
    monkeypatch.chdir(tmp_path)
    for name in ("config", "resources"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    document = yaml.safe_load((REPOSITORY / "config/demo.yaml").read_text(encoding="utf-8"))
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(document | {"truth": "truth.yaml"}))
    resolved = load_study("study.yaml")
    mixes = [
        {"shares": dict(zip(NAMES, map(float, mix), strict=True)), "score": float(true_score(*mix)),
         "standard_error": 1.0, "trainings": 2}
        for mix in lattice(3, 6)
    ]  # fmt: skip
    truth = {"size": 300, "mixes": mixes, "measured_of": measured_of(resolved)}
    (tmp_path / "truth.yaml").write_text(yaml.safe_dump(truth))
    return tmp_path


def tables(optimum, *, most_regret=1.0, in_set=("NAT-TRAD",), region=lambda mix: mix[0] > 0.3):
    """Write the tables of a study that gives `optimum`."""
    root = Path("results/demo/tables")
    root.mkdir(parents=True)
    trained = {"NAT": (1, 0, 0), "TRAD": (0, 1, 0), "SYN": (0, 0, 1), "NAT-TRAD": (0.5, 0.5, 0)}
    surface = [
        {"row": "model", "name": "quadratic", "chosen": 1, "supported": 1},
        {"row": "optimum", "shares": shares_text(optimum), "value": true_score(*optimum), "low": 55.0, "high": 65.0,
         "most_regret": most_regret},
        *({"row": "share", "name": name, "value": 0.3, "low": 0.1, "high": 0.6} for name in NAMES),
        *({"row": "run", "name": name, "shares": shares_text(mix)} for name, mix in trained.items()),
        *({"row": "prediction", "shares": shares_text(mix), "in_region": int(region(mix))} for mix in lattice(3, 12)),
    ]  # fmt: skip
    overall = {"scope_kind": "all", "scope": "all", "task": "all"}
    best = [
        {**overall, "mix": name, "value": true_score(*mix), "chosen": int(name == "NAT-TRAD"),
         "in_set": int(name in in_set), "low": -0.5}
        for name, mix in trained.items()
    ]  # fmt: skip
    against = {**overall, "left": "NAT-TRAD", "right": "base", "value": 35.0, "low": 30.0, "high": 40.0}
    contrasts = [{**against, "p_adjusted": 0.0004}]
    for name, columns, rows in (
        ("surface", SURFACE, surface),
        ("best", BEST, best),
        ("contrasts", CONTRASTS, contrasts),
    ):
        full = [{**dict.fromkeys(columns), **{k: v for k, v in MEASURE.items() if k in columns}, **row} for row in rows]
        write_csv(root / f"{name}.csv", columns, full)


def test_a_study_that_found_the_truth_says_so(study, asked):
    tables((0.6, 0.4, 0.0))
    code, findings = asked("findings", "--configfile", "study.yaml")
    assert code == 0
    assert [check["right"] for check in findings["checks"]] == [True, True, True]
    assert findings["first"]["mix"] == "NAT-TRAD"
    assert findings["first"]["gain"]["value"] == 35


def test_a_dose_that_falls_further_short_than_it_says_is_wrong(study, asked):
    tables((0.0, 0.0, 1.0))
    code, findings = asked("findings", "--configfile", "study.yaml")
    assert code == 1
    assert [check["right"] for check in findings["checks"]] == [False, True, True]


def test_a_best_set_without_the_best_mix_and_a_region_without_the_best_dose_are_wrong(study, asked):
    tables((0.3, 0.0, 0.7), most_regret=99.0, in_set=("SYN",), region=lambda mix: mix[2] > 0.5)
    _, findings = asked("findings", "--configfile", "study.yaml")
    assert [check["right"] for check in findings["checks"]] == [True, False, False]


def test_the_findings_are_ten_lines_at_most_and_end_with_the_report(study, posologie):
    tables((0.6, 0.4, 0.0))
    code, out, _ = posologie("findings", "--configfile", "study.yaml")
    lines = out.strip().splitlines()
    assert code == 0
    assert 5 <= len(lines) <= 10
    assert lines[0].startswith("best")
    assert "+35.0 (+30.0 to +40.0) points; p < 0.001" in out
    assert lines[-1].split()[-1] == str(study / "results/demo/report/index.html")


def test_the_results_of_a_study_may_lie_elsewhere(study, asked, posologie):
    tables((0.6, 0.4, 0.0))
    Path("results").rename("kept results")
    code, answer = asked("findings", "--configfile", "study.yaml", "--results", "kept results/demo")
    assert (code, answer["report"]) == (0, "kept results/demo/report/index.html")
    code, _, err = posologie("findings", "--configfile", "study.yaml", "--results", "results/demo")
    assert (code, err) == (2, "error: --results results/demo: no such folder\n")


def test_results_alone_name_the_study_file_of_their_last_run(study, posologie):
    tables((0.6, 0.4, 0.0))
    for name, origin in (("demo", "study.yaml"), ("other", "config/test.yaml")):
        run = Path(f"work/{name}/runs/1/study.json")
        run.parent.mkdir(parents=True)
        run.write_text(json.dumps({"origin": origin}))
    code, _, err = posologie("findings", "--results", "results/demo")
    assert code == 0
    assert err == "Study file: study.yaml (another one: --configfile FILE)\n"


def test_results_of_which_no_run_is_known_need_the_study_file(study, posologie):
    tables((0.6, 0.4, 0.0))
    Path("config").unlink()
    Path("config").mkdir()
    Path("config/config.yaml").write_text(Path("study.yaml").read_text().replace("study: demo", "study: another"))
    Path("results/demo").rename("results/kept")
    code, _, err = posologie("findings", "--results", "results/kept")
    expected = "--results results/kept: not of the study another (config/config.yaml); name its file with --configfile"
    assert (code, err) == (2, f"error: {expected}\n")


def test_the_findings_of_an_archive_need_nothing_but_the_archive(study, posologie):
    tables((0.6, 0.4, 0.0))
    crate = Path("results/demo").rename("demo-crate")
    (crate / "seals").mkdir()
    (crate / "ro-crate-metadata.json").write_text("{}")
    (crate / "study.yaml").write_text(Path("study.yaml").read_text())
    Path("study.yaml").unlink()
    code, out, err = posologie("findings", "--results", "demo-crate")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].startswith("best")


def test_a_study_that_is_not_finished_has_no_findings(study, posologie):
    code, _, err = posologie("findings", "--configfile", "study.yaml")
    assert code == 2
    assert err.startswith("error: results/demo: no such folder")
    Path("results/demo").mkdir(parents=True)
    err = posologie("findings", "--configfile", "study.yaml")[2]
    assert err.startswith("error: results/demo/tables/best.csv: no such table")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs: 10", "epochs: 5", "recipe.epochs was 10, and is 5"),
        ("size: 300", "size: 200", "mixes of 300 items"),
        ("part: synthetic", "part: textbook", "sources.synthetic.part was synthetic, and is textbook"),
    ],
)
def test_the_truth_of_another_study_is_refused_with_the_first_difference(study, old, new, message):
    text = Path("study.yaml").read_text()
    assert old in text
    Path("study.yaml").write_text(text.replace(old, new))
    with pytest.raises(InputError, match=message):
        truth_of(load_study("study.yaml"))


def test_the_surface_of_the_truth_reproduces_a_quadratic(study):
    scale = Scale(truth_of(load_study("study.yaml")), NAMES)
    assert scale.at((0.25, 0.25, 0.5))[0] == pytest.approx(true_score(0.25, 0.25, 0.5))
    assert scale.best == pytest.approx((7 / 12, 5 / 12, 0))
    assert scale.lost(scale.best) == pytest.approx((0, 0))
    values = {mix: true_score(*mix) for mix in [(1, 0, 0), (0, 1, 0), (0, 0, 1)]}
    assert np.argmax(scale.shapley()) == np.argmax(list(values.values()))


def test_too_few_mixes_are_no_truth(study):
    truth = truth_of(load_study("study.yaml"))
    few = Truth(size=300, mixes=truth.mixes[:5], measured_of={})
    with pytest.raises(InputError, match="do not determine a surface of 3 components"):
        Scale(few, NAMES)


def test_the_truth_that_ships_is_that_of_the_demo(repository, monkeypatch):
    monkeypatch.chdir(repository)
    truth = truth_of(load_study("config/demo.yaml"))
    assert len(truth.mixes) == 28
    assert min(mix.trainings for mix in truth.mixes) == 4
    assert Scale(truth, NAMES).best == pytest.approx((2 / 3, 1 / 3, 0))


def test_the_truth_that_ships_is_that_of_the_demo_in_any_folder(repository, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert truth_of(load_study(str(repository / "config/demo.yaml"))).size == 300
