"""`posologie surface`: runs from files become models, predictions, a region, a table and a figure."""

import json
from functools import partial

import numpy as np
import pytest
import yaml

from posologie.cli import surface
from posologie.cli.commands import main
from posologie.surface.choice import choose
from posologie.surface.optimum import candidates_of, region_of

LATTICE = np.array([[i, j, 3 - i - j] for i in range(4) for j in range(4 - i)]) / 3


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Ten runs on disk; fewer draws and mixes than people get, for speed."""
    score = LATTICE @ [30.0, 20, 10] + 0.2 * np.random.default_rng(0).normal(size=10)
    ratios, metrics = tmp_path / "ratios.csv", tmp_path / "metrics.csv"
    rows = [",".join(f"{share:.3f}" for share in mix) for mix in LATTICE]
    ratios.write_text(
        "run,native,translated,synthetic\n" + "".join(f"m{number},{row}\n" for number, row in enumerate(rows))
    )
    metrics.write_text("run,em,loss\n" + "".join(f"m{number},{y:.3f},{-y:.3f}\n" for number, y in enumerate(score)))
    monkeypatch.setattr(surface, "choose", partial(choose, draws=4))
    monkeypatch.setattr(surface, "candidates_of", partial(candidates_of, lattice_points=36, even_points=16))
    monkeypatch.setattr(surface, "region_of", partial(region_of, draws=100))
    return ["surface", "--ratios", str(ratios), "--metrics", str(metrics)]


def test_it_says_models_predictions_and_the_region(files, tmp_path, capsys):
    table, figure = tmp_path / "t.csv", tmp_path / "f.svg"
    asked = ["--metric", "em", "--at", "native=0.5", "synthetic=0.5", "--table", str(table), "--figure", str(figure)]
    assert main([*files, *asked, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    rows = {kind: [row for row in answer["rows"] if row["row"] == kind] for kind in ("model", "run", "best", "asked")}
    assert answer["supported"]
    assert len(rows["model"]) == 5
    assert len(rows["run"]) == 10
    assert rows["best"][0]["shares"].endswith("% native")
    assert {row["row"] for row in answer["rows"][-1:]} == {"next"} or answer["next"]["stop"]
    assert rows["asked"][0]["low"] < 20 < rows["asked"][0]["high"]
    assert table.read_text().startswith("row,name,shares")
    assert "<svg" in figure.read_text()


def test_the_next_mixes_are_printed_to_paste(files, tmp_path, capsys):
    lines = (tmp_path / "ratios.csv").read_text().splitlines()
    (tmp_path / "ratios.csv").write_text("\n".join(lines[:5]) + "\n")
    assert main([*files, "--metric", "em", "--mixes", "2", "--model", "quadratic"]) == 0
    printed = capsys.readouterr().out
    pasted = yaml.safe_load(printed[printed.index("mixes:") :])["mixes"]
    assert 1 <= len(pasted) <= 2
    assert all(set(mix["shares"]) <= {"native", "translated", "synthetic"} for mix in pasted.values())
    assert main([*files, "--metric", "em", "--mixes", "0"]) == 2
    assert "--mixes 0: expected a whole number from 1" in capsys.readouterr().err


def test_lower_turns_a_loss_round(files, capsys):
    assert main([*files, "--metric", "loss", "--lower", "--model", "linear", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["model"] == "linear"
    best = next(row for row in answer["rows"] if row["row"] == "best")
    assert best["shares"].endswith("% native")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "has several; name one or more of em, loss"),
        (["--metric", "em=much"], "--metric em=much: expected NAME or NAME=WEIGHT"),
        (["--metric", "em", "--at", "natve=1"], "unknown component 'natve'"),
        (["--metric", "em", "--at", "native=0.4"], "shares sum to 0.4; expected 1"),
        (["--metric", "em", "--proxy-ratios", "x.csv"], "--proxy-ratios, --proxy-metrics: expected both"),
    ],
)
def test_arguments_that_do_not_fit_are_one_line(files, capsys, more, message):
    assert main([*files, *more]) == 2
    assert message in capsys.readouterr().err
