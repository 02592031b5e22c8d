"""`posologie whatif`: from prediction files to a prediction of a mix, or to the reason why there is none."""

import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from posologie.cli import places, whatif
from posologie.cli.commands import main
from posologie.prediction.spec import prediction_schema
from posologie.records.files import write_parquet

BLENDS = {
    "A": {"a": 1.0}, "B": {"b": 1.0}, "C": {"c": 1.0}, "AB": {"a": 0.5, "b": 0.5}, "AC": {"a": 0.5, "c": 0.5},
    "BC": {"b": 0.5, "c": 0.5}, "ABC": {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3},
}  # fmt: skip


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Predictions of seven mixes on 60 items; blends answer as the average of their components, but for noise."""

    def make(noise):
        rng = np.random.default_rng(0)
        logits = {name: rng.normal(size=(60, 4)) for name in "abc"}
        for mix, blend in BLENDS.items():
            odds = {name: np.exp(logits[name]) / np.exp(logits[name]).sum(axis=1, keepdims=True) for name in blend}
            mean = sum(share * odds[name] for name, share in blend.items())
            mean = mean * np.exp(noise * rng.normal(size=mean.shape) * (len(blend) > 1))
            rows = [
                {
                    "item": f"i{place}", "benchmark": "b", "variant": variant, "source": "s", "provenance": "native",
                    "task": "mcqu", "group": f"g{place // 2}", "option_order": [0, 1, 2, 3], "gold": [place % 4],
                    "greedy_text": "A", "greedy_outcome": "labels", "greedy_labels": [0],
                    "label_probabilities": (weights / weights.sum()).tolist(), "prompt_tokens": 1,
                    "generated_tokens": 1, "finish": "stop",
                }
                for place, weights in enumerate(mean)
                for variant in ("original", "permuted-1")
            ]  # fmt: skip
            target = tmp_path / f"results/blends/predictions/tiny/{mix}/seed-42/mcqa.parquet"
            target.parent.mkdir(parents=True, exist_ok=True)
            write_parquet(target, pa.Table.from_pylist(rows, schema=prediction_schema()))
        made = SimpleNamespace(study="blends", suites={"mcqa": None}, backbones={"tiny": None}, mixes=BLENDS)
        monkeypatch.setattr(places, "load_study", lambda file, overrides: made)
        monkeypatch.setattr(whatif, "blend", lambda study, mix: BLENDS[mix])
        monkeypatch.chdir(tmp_path)
        return ["whatif", "--configfile", "blends.yaml"]

    return make


def test_a_mix_is_predicted_beside_its_error_on_trained_blends(study, capsys):
    assert main([*study(0.05), "a=0.2", "c=0.8", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["items"] == 60
    assert answer["blends"] == ["AB", "AC", "BC", "ABC"]
    assert answer["error"] < min(answer["wrong"].values())
    assert answer["prediction"]["low"] < answer["prediction"]["value"] < answer["prediction"]["high"]


def test_a_prediction_that_tells_nothing_is_refused(study, capsys):
    assert main([*study(3.0), "a=0.2", "c=0.8"]) == 1
    output = capsys.readouterr().out
    assert "No prediction of new mixes" in output
    assert "Right answers" not in output


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        (["a=0.2"], "shares sum to 0.2; expected 1"),
        (["a=nan", "b=1"], "a=nan b=1: shares sum to nan; expected 1, and none below 0"),
        (["a"], "a: expected NAME=SHARE"),
        (["d=1"], "no model of the component 'd' alone; available: a, b, c"),
    ],
)
def test_shares_that_do_not_fit_are_one_line(study, capsys, shares, message):
    assert main([*study(0.05), *shares]) == 2
    assert message in capsys.readouterr().err


def test_models_that_answered_other_items_are_refused(study, tmp_path, capsys):
    arguments = study(0.05)
    file = tmp_path / "results/blends/predictions/tiny/AB/seed-42/mcqa.parquet"
    from posologie.records.files import read_parquet

    write_parquet(file, read_parquet(file).slice(2))
    assert main(arguments) == 2
    assert "AB and A have other items or gold labels" in capsys.readouterr().err


def test_the_study_file_decides_on_the_folder_where_several_studies_are_finished(study, tmp_path, capsys):
    arguments = study(0.05)
    (tmp_path / "results/other/predictions").mkdir(parents=True)
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == 60


def test_a_folder_of_another_name_is_read_where_it_is_named(study, tmp_path, capsys):
    arguments = study(0.05)
    (tmp_path / "results").rename(tmp_path / "kept results")
    assert main(arguments) == 2
    expected = "results/blends: no such folder; run the study blends, or name --results FOLDER"
    assert capsys.readouterr().err == f"error: {expected}\n"
    assert main([*arguments, "--results", "kept results/blends"]) == 0
    assert "Error on 4 trained blends, 60 items" in capsys.readouterr().out


def test_results_without_predictions_are_refused(study, tmp_path, capsys):
    arguments = study(0.05)
    (tmp_path / "results/blends/predictions").rename(tmp_path / "predictions")
    assert main(arguments) == 2
    assert "0 models of single components on mcqa" in capsys.readouterr().err
