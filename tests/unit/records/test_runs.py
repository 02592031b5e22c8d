"""The run record names what made an artifact."""

import json

from posologie.records.files import sha256_of_file
from posologie.records.runs import Run
from posologie.running.code_digest import digest
from posologie.training.spec import TrainingSpec

SPEC = TrainingSpec.model_validate({"backbone": "tiny", "mix": "NAT", "seed": 1, "recipe": {}, "prompting": {}})


def test_a_record_holds_spec_hashes_code_and_what_the_stage_counted(tmp_path):
    folder = tmp_path / "given"
    folder.write_text("given")
    Run("training", SPEC, {"train": folder}).write(tmp_path / "run.json", updates=3)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["spec"]["mix"] == "NAT"
    assert record["updates"] == 3
    assert record["code"] == digest("posologie.training")
    assert record["inputs"]["train"] == {"file": str(folder), "sha256": sha256_of_file(folder)}
    assert record["seconds"] >= 0
