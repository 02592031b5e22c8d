"""Studies without a model: judges that are calibrated alone, and answers and verdicts that come as files."""

import csv
import json
import os
import random

import pytest

from dry_runs import run_dry
from studies import Project

CALIBRATION = """
study: calibration
judges:
  one: {backend: {kind: outside, files: [data/one.jsonl]}}
  two: {backend: {kind: outside, files: [data/two.jsonl]}}
judging:
  ratings:
    people:
      files: {all: data/ratings.jsonl}
      columns: {generator: model, raters: [anne, bob]}
statistics: {replicates: 400}
"""
OUTSIDE = """
study: outside
sources:
  native: {provenance: native, path: resources/demo/native}
suites:
  mcqa: {benchmarks: {native-mcqu: {source: native, tasks: [mcqu], limit: 12}}}
  oeq: {benchmarks: {native-oeq: {source: native, tasks: [oeq]}}}
published_models:
  first: {answers: {files: [data/first.csv]}}
  second: {answers: {files: [data/second.jsonl], form: lm_eval}}
judges:
  one: {backend: {kind: outside, files: [data/one.jsonl]}}
  two: {backend: {kind: outside, files: [data/two.jsonl]}}
judging: {chosen: one, panel: [one, two]}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    made = Project.copy_to(tmp_path_factory.mktemp("outside") / "project")
    data = made.root / "data"
    data.mkdir()
    numbers = random.Random(1)
    rows, verdicts = [], {"one": [], "two": []}
    for number in range(60):
        for model in ("a", "b"):
            right = numbers.random() < 0.5
            ratings = {name: str(int(right != (numbers.random() < 0.15))) for name in ("anne", "bob", "one", "two")}
            texts = {"question": f"Question {number} ?", "reference": f"R {number}", "candidate": f"{model} {number}"}
            item = {"item": f"i{number}", "model": model}
            rows.append({**item, **texts, "anne": ratings["anne"], "bob": ratings["bob"] if number % 3 else ""})
            for name in verdicts:
                verdicts[name].append({**item, "verdict": ratings[name]})
    for name, records in {"ratings": rows, **verdicts}.items():
        (data / f"{name}.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    for name in ("first.csv", "second.jsonl"):
        (data / name).write_text("", encoding="utf-8")
    (made.root / "config/calibration.yaml").write_text(CALIBRATION, encoding="utf-8")
    (made.root / "config/outside.yaml").write_text(OUTSIDE, encoding="utf-8")
    return made


@pytest.mark.slow
def test_studies_without_a_model_ask_for_no_model_and_no_gpu(project):
    runs = [["-n", "--cores", "2", "--configfile", f"config/{name}.yaml"] for name in ("calibration", "outside")]
    (first, alone), (second, outside) = run_dry(project, runs)
    assert (first, second) == (0, 0), alone[-2000:] + outside[-2000:]
    for name in ("import_ratings", "calibrate_outside", "tabulate_judge_choice", "tabulate_raters", "write_report"):
        assert f"{name} " in alone
    for name in ("predict_", "fetch_model", "shard", "train", "tabulate_mcqa", "score_predictions", "browse_items"):
        assert name not in alone
    for name in ("import_answers_mcqa", "import_answers_oeq", "judge_with_outside", "tabulate_oeq", "tabulate_mcqa"):
        assert f"{name} " in outside
    assert "fetch_model" not in outside
    assert "gpu=1" not in alone + outside


@pytest.mark.skipif("POSOLOGIE_BY_HAND" not in os.environ, reason="by hand: twelve jobs of a second each")
def test_judges_are_calibrated_without_anything_else(project):
    project.snakemake("--configfile", "config/calibration.yaml", "--cores", "2")
    tables = project.root / "results/calibration/tables"
    with (tables / "judge_choice.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["judge"] for row in rows} == {"one", "two"}
    assert all(float(row["value"]) > 0.4 for row in rows)
    page = (project.root / "results/calibration/report/index.html").read_text(encoding="utf-8")
    assert "Judges against people" in page
