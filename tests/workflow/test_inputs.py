"""Every file that a job reads is among its declared inputs, so that another file makes it run again."""

import re

import pytest
import yaml

from dry_runs import run_dry
from studies import Project

pytestmark = pytest.mark.slow

MORE = """
scoring:
  encoder: {folder: encoder}
  text: {wordnet: wordnet}
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """The inputs of one job of each rule, of a study with an encoder and a WordNet in folders."""
    project = Project.copy_to(tmp_path_factory.mktemp("inputs") / "project")
    for name in (
        "encoder/config.json",
        "encoder/model.safetensors",
        "encoder/pytorch_model.bin",
        "wordnet/data.noun",
    ):
        (project.root / name).parent.mkdir(exist_ok=True)
        (project.root / name).write_text("{}")
    study = project.root / "config" / "test.yaml"
    compared = "  against: [mcqa]\n"
    text = study.read_text(encoding="utf-8").replace(compared, f"{compared}  encoder: {{folder: encoder}}\n")
    study.write_text(text + MORE, encoding="utf-8")
    return inputs_of(project, "config/test.yaml")


def inputs_of(project, study):
    """Return the inputs of one job of each rule that a dry run of a study names."""
    [(code, output)] = run_dry(project, [["--configfile", study, "--dry-run", "--cores", "1"]])
    assert code == 0, output
    read = {}
    for block in re.split(r"\n(?=(?:local)?rule \S+:\n)", output)[1:]:
        rule = re.match(r"(?:local)?rule (\S+):", block)[1]
        line = re.search(r"^    input: (.*)$", block, re.MULTILINE)
        read.setdefault(rule, set(line[1].split(", ")) if line else set())
    return read


def test_the_corpus_of_an_untrained_model(inputs):
    assert inputs["fetch_model_untrained"] == {
        "resources/demo/native/Train/mcqu/mcqu_train.json",
        "resources/demo/translated/Train/mcqu/mcqu_train.json",
    }


def test_the_files_of_an_encoder_in_a_folder(inputs):
    files = {"encoder/config.json", "encoder/model.safetensors"}
    assert files <= inputs["score_predictions_neurally"]
    assert "encoder/pytorch_model.bin" not in inputs["score_predictions_neurally"]
    assert not files & inputs["score_predictions"]
    for rule in ("screen_shard", "audit_leakage", "draw_mix"):
        assert files <= inputs[rule], rule


def test_the_files_of_a_wordnet(inputs):
    assert "wordnet/data.noun" in inputs["score_predictions"]
    assert "wordnet/data.noun" not in inputs["score_predictions_neurally"]


def test_mixes_are_audited_though_nothing_was_screened_with_the_originals_of_tests(tmp_path):
    project = Project.copy_to(tmp_path / "project")
    study = yaml.safe_load((project.root / "config/test.yaml").read_text(encoding="utf-8"))
    study["screening"] |= {"mode": "off"}
    study["sources"]["originals"] = {"component": "native", "path": "resources/demo/native", "compared": True}
    (project.root / "off.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    inputs = inputs_of(project, "off.yaml")
    shards = {"results/test/shards/native/test.parquet", "results/test/shards/originals/test.parquet"}
    assert shards <= inputs["audit_leakage"]
    assert not shards & inputs["screen_shard"]
