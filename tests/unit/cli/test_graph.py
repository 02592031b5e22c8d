"""`posologie graph`: a study by stage and family, with the states of what it makes."""

import json
import os
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from posologie.config import job_specs
from posologie.config.load import load_study
from posologie.running.code_digest import digest
from posologie.running.seals import Identity, write_seal

STUDY = """
study: simulated
sources:
  native: {provenance: native, path: data}
mixes:
  NAT: {shares: {native: 1}, size: 8}
  MORE: {shares: {native: 1}, size: 16}
backbones:
  tiny: {folder: model}
  other: {folder: model}
training: {seeds: [1, 2, 3]}
suites:
  mcqa:
    benchmarks: {native: {source: native}}
"""
RESULTS = Path("results/simulated")


@pytest.fixture
def study(untouched):
    """A project with a study file and its data, and nothing made yet."""
    return untouched(STUDY)


def sealed(file, module, spec, *inputs):
    """Make a file with a seal that says what it was made of."""
    path = RESULTS / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("made")
    read = {(RESULTS / name).as_posix(): "0" * 64 for name in inputs}
    write_seal([path], Identity(module, digest(module), spec.model_dump(mode="json")), read, {})


def trained():
    """Make all mixes and the adapters of `tiny`."""
    study = load_study("study.yaml")
    for mix in study.mixes:
        for seed in study.training.seeds:
            drawn = f"mixes/{mix}/seed-{seed}/train.parquet"
            sealed(drawn, "posologie.mixes", job_specs.mix_spec(study, mix, seed))
            weights = f"adapters/tiny/{mix}/seed-{seed}/adapter_model.safetensors"
            sealed(weights, "posologie.training", job_specs.training_spec(study, "tiny", mix, seed), drawn)


def by_key(asked, *arguments):
    """Return the families by stage and family."""
    code, families = asked("graph", "--configfile", "study.yaml", *arguments)
    assert code == 0
    return {f"{family['stage']}/{family['family']}".rstrip("/"): family for family in families}


def test_mixes_and_seeds_of_a_backbone_are_one_family(study, asked):
    families = by_key(asked)
    assert families["adapters/tiny"]["members"] == "2 mixes × 3 seeds"
    assert families["adapters/tiny"]["counts"] == {"missing": 6}
    assert families["predictions/other/mcqa"]["members"] == "7 models"
    assert list(families)[-3:] == ["tables", "figures", "report"]


def test_a_family_is_made_of_those_of_its_own_backbone(study, asked):
    families = by_key(asked)
    assert families["adapters/tiny"]["parents"] == ["mixes"]
    assert families["predictions/tiny/mcqa"]["parents"] == ["adapters/tiny", "shards"]
    assert families["scores/tiny/mcqa"]["parents"] == ["predictions/tiny/mcqa", "shards"]
    assert families["tables"]["parents"] == ["scores/tiny/mcqa", "scores/other/mcqa"]


def test_an_edited_mix_makes_itself_and_its_adapters_stale_and_says_why(study, asked, posologie):
    trained()
    assert by_key(asked)["mixes"]["counts"] == {"done": 6}
    Path("study.yaml").write_text(STUDY.replace("size: 16", "size: 12"))
    families = by_key(asked)
    assert families["mixes"]["counts"] == {"done": 3, "stale": 3}
    assert families["mixes"]["state"] == "stale"
    assert "size" in families["mixes"]["why"]
    assert families["adapters/tiny"]["counts"] == {"done": 3, "stale": 3}
    assert families["adapters/tiny"]["why"] == "made of mixes/MORE/seed-1"
    _, out, _ = posologie("graph", "--configfile", "study.yaml")
    assert "3 done, 3 stale" in out


def test_what_is_done_follows_where_something_before_it_is_not(study, asked):
    trained()
    (RESULTS / "mixes/NAT/seed-1/train.parquet").unlink()
    families = by_key(asked)
    assert families["mixes"]["counts"] == {"missing": 1, "done": 5}
    assert families["adapters/tiny"]["follows"]
    assert not families["mixes"]["follows"]


def test_a_job_under_way_is_running_and_counts_once(study, asked):
    progress = Path("work/simulated/training/tiny/NAT/seed-2/progress.json")
    progress.parent.mkdir(parents=True)
    facts = {"artifact": "", "done": 1, "first": 0, "total": 9, "unit": "updates", "started": time.time() - 1,
             "updated": time.time(), "pid": os.getpid(), "host": os.uname().nodename, "slurm_job": None}  # fmt: skip
    progress.write_text(json.dumps(facts))
    assert by_key(asked)["adapters/tiny"]["counts"] == {"running": 1, "missing": 5}


def test_the_picture_names_every_family_with_its_states_and_escapes_text(study, asked):
    Path("study.yaml").write_text(STUDY + "title: '<b> & co'\n")
    families = by_key(asked, "--svg", "study.svg")
    tree = ElementTree.parse("study.svg").getroot()
    texts = [element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "<b> & co"
    assert {"2 mixes × 3 seeds", "tiny/mcqa", "6 missing"} <= set(texts)
    assert len(list(tree.iter("{http://www.w3.org/2000/svg}g"))) == len(families)
