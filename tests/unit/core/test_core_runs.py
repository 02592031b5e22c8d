"""The run record names what made an artifact."""

import json

from posologie.code_digest import digest
from posologie.runs import Run
from posologie.training.spec import TrainingSpec

SPEC = TrainingSpec.model_validate({"backbone": "tiny", "mix": "NAT", "seed": 1, "recipe": {}, "prompting": {}})


def test_a_record_holds_spec_hashes_code_and_what_the_stage_counted(tmp_path):
    given, made = tmp_path / "given", tmp_path / "made"
    given.write_text("given")
    made.write_text("made")
    Run("training", SPEC, {"train": given}).write(tmp_path / "run.json", {"weights": made}, updates=3)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["spec"]["mix"] == "NAT"
    assert record["updates"] == 3
    assert record["code"] == digest("posologie.training")
    assert record["inputs"]["train"]["sha256"] != record["outputs"]["weights"]["sha256"]
    assert record["seconds"] >= 0
