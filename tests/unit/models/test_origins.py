"""Where backbones come from: a folder, a small model made on the spot, and the hub (a loopback server in its place)."""

import json
import os
import subprocess
import sys

import pytest

from hub_server import Hub, Repository
from posologie.models import origins, untrained
from posologie.models.spec import Backbone
from posologie.models.store import checked_folder, read_manifest
from posologie.running.errors import InputError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "corpus.json"
    path.write_text(json.dumps([{"instruction": f"Quelle est la question numéro {number} ?"} for number in range(50)]))
    return path


def spec_of(**backbone):
    return json.dumps({"name": "a-model", "backbone": backbone})


@pytest.fixture(scope="module")
def untrained_model(corpus, tmp_path_factory):
    """A small untrained model with its manifest."""
    manifest = tmp_path_factory.mktemp("models") / "tiny" / "manifest.json"
    untrained.main(["--spec", spec_of(untrained={"corpus": [str(corpus)]}), "--manifest", str(manifest)])
    return manifest


def test_the_corpus_may_be_plain_text(tmp_path):
    path, manifest = tmp_path / "corpus.txt", tmp_path / "model" / "manifest.json"
    path.write_text("".join(f"肝脏分泌胆汁{number}\n" for number in range(20)), encoding="utf-8")
    untrained.main(["--spec", spec_of(untrained={"corpus": [str(path)]}), "--manifest", str(manifest)])
    tokenizer = json.loads(manifest.with_name("tokenizer.json").read_text(encoding="utf-8"))
    assert len(tokenizer["model"]["merges"]) > 5


def test_an_untrained_model_is_the_same_bytes_each_time(untrained_model, corpus, tmp_path):
    again = tmp_path / "again" / "manifest.json"
    untrained.main(["--spec", spec_of(untrained={"corpus": [str(corpus)]}), "--manifest", str(again)])
    assert read_manifest(again)["files"] == read_manifest(untrained_model)["files"]


def test_the_files_of_a_model_are_checked_before_use(untrained_model, tmp_path):
    manifest = tmp_path / "copy" / "manifest.json"
    origins.main(["--spec", spec_of(folder=str(untrained_model.parent)), "--manifest", str(manifest)])
    assert checked_folder(manifest) == manifest.parent
    weights = manifest.parent / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(InputError, match=r"model\.safetensors: sha256 is .* expected"):
        checked_folder(manifest)
    weights.unlink()
    with pytest.raises(InputError, match=r"model\.safetensors: missing"):
        checked_folder(manifest)


def test_pickled_weights_are_not_taken_from_a_folder(untrained_model, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "config.json").write_text("{}")
    (source / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    manifest = tmp_path / "model" / "manifest.json"
    with pytest.raises(InputError, match=r"no \.safetensors file found"):
        origins.main(["--spec", spec_of(folder=str(source)), "--manifest", str(manifest)])
    assert not manifest.parent.exists()


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no config\.json there"):
        origins.main(["--spec", spec_of(folder=str(tmp_path)), "--manifest", str(tmp_path / "m" / "manifest.json")])


def test_two_models_never_share_a_folder():
    names = {
        Backbone(hub="owner/model").folder_name(),
        Backbone(hub="owner/model", revision="v1").folder_name(),
        Backbone(hub="other/model").folder_name(),
        Backbone(folder="a/model").folder_name(),
        Backbone(folder="b/model").folder_name(),
    }
    assert len(names) == 5
    assert not any("/" in name for name in names)


@pytest.fixture
def repository(untrained_model):
    files = {path.name: path.read_bytes() for path in untrained_model.parent.iterdir() if path.name != "manifest.json"}
    files |= {"pytorch_model.bin": b"\x80\x04.", "modeling_own.py": b"raise SystemExit\n"}
    large = frozenset({"model.safetensors"})
    return Repository("owner/model", files, kind="models", branches=("main", "v1"), large=large)


def fetch(repository, root, revision="main", **environment):
    manifest = root / f"owner--model@{revision}" / "manifest.json"
    with Hub(repository) as server:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
        done = subprocess.run(
            [
                *(sys.executable, "-m", "posologie.models.origins"),
                *("--spec", spec_of(hub="owner/model", revision=revision), "--manifest", str(manifest)),
            ],
            env={
                **inherited,
                "HF_HOME": str(root / "home"),
                "HF_ENDPOINT": server.address,
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_DISABLE_TELEMETRY": "1",
                **environment,
            },
            capture_output=True,
            text=True,
        )
    return manifest, done


def test_a_model_from_the_hub_is_recorded_with_its_commit_and_brings_no_code_or_pickle(repository, tmp_path):
    manifest, done = fetch(repository, tmp_path, revision="v1")
    assert done.returncode == 0, done.stderr
    facts = read_manifest(manifest)
    assert (facts["requested_revision"], facts["revision"]) == ("v1", repository.commit)
    assert checked_folder(manifest)
    assert not {"pytorch_model.bin", "modeling_own.py"} & facts["files"].keys()


def test_an_unknown_revision_is_one_line(repository, tmp_path):
    manifest, done = fetch(repository, tmp_path, revision="v2")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: revision = 'v2': unknown")
    assert not manifest.exists()


def test_a_private_model_without_a_token_is_one_line_and_the_token_is_in_no_file(repository, tmp_path):
    repository.token = "secret-token"
    _, done = fetch(repository, tmp_path)
    assert done.returncode == 2
    assert "no such model, or a private one and no HF_TOKEN" in done.stderr
    _, done = fetch(repository, tmp_path, HF_TOKEN="secret-token")
    assert done.returncode == 0, done.stderr
    texts = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"secret-token" in text for text in texts)
    assert "secret-token" not in done.stderr


@pytest.mark.slow
def test_a_cut_connection_leaves_no_half_model(repository, tmp_path):
    repository.cut_always.add("model.safetensors")
    manifest, done = fetch(repository, tmp_path, HF_HUB_DOWNLOAD_TIMEOUT="2")
    assert done.returncode == 2, done.stderr
    assert "download failed" in done.stderr
    assert not manifest.parent.exists()
    repository.cut_always.clear()
    before = repository.requests["config.json"]
    manifest, done = fetch(repository, tmp_path)
    assert done.returncode == 0, done.stderr
    assert checked_folder(manifest)
    assert repository.requests["config.json"] == before, "what was whole is not downloaded again"


def test_without_network_the_message_says_what_to_do(repository, tmp_path):
    _, done = fetch(repository, tmp_path, HF_HUB_OFFLINE="1")
    assert done.returncode == 2
    assert "run the same command on a machine with network" in done.stderr
