import hashlib
import json
import os
import subprocess
import sys

import pytest

from hub_server import Hub, Repository

RECORDS = [
    {
        "instruction": f"Question {number} ?\nChoix de réponses :\n(A) Oui\n(B) Non",
        "context": "",
        "answer": "A",
        "type": "mcqu",
        "origin": "essai",
    }
    for number in range(2000)
]
TRAIN = "Train/mcqu/mcqu_train.json"
TEST = "Test/mcqu/mcqu_test.json"


@pytest.fixture
def repository():
    return Repository(
        "MedInjection-FR/Native",
        {
            TRAIN: json.dumps(RECORDS).encode(),
            TEST: json.dumps(RECORDS[:3]).encode(),
            "README.md": b"# Native\n",
            "loader.py": b"raise SystemExit('never run')\n",
        },
        branches=("main", "v1"),
        large=frozenset({TRAIN}),
    )


def fetch(repository, folder, revision="main", hub=None, address=None, **environment):
    manifest = folder / f"data@{revision}" / "manifest.json"
    with Hub(repository) as server:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "posologie.sources.fetch",
                "--spec",
                json.dumps({"hub": hub or repository.name, "revision": revision}),
                "--manifest",
                manifest,
            ],
            env={
                **inherited,
                "HF_HOME": str(folder / "home"),
                "HF_ENDPOINT": address or server.address,
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_DISABLE_TELEMETRY": "1",
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
    return manifest, done


def last_line(done):
    return done.stderr.strip().splitlines()[-1]


def test_a_fetched_data_set_has_a_manifest_with_the_commit_and_checksums_and_no_code(repository, tmp_path):
    manifest, done = fetch(repository, tmp_path, "v1")
    assert done.returncode == 0, done.stderr
    facts = json.loads(manifest.read_text())
    assert facts["requested_revision"] == "v1"
    assert facts["revision"] == repository.commit
    assert set(facts["files"]) == {TRAIN, TEST, "README.md"}
    for name, checksum in facts["files"].items():
        content = (manifest.parent / name).read_bytes()
        assert content == repository.files[name]
        assert checksum == hashlib.sha256(content).hexdigest()
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".partial")]


def test_a_reader_takes_its_files_from_the_manifest_by_pattern(repository, tmp_path):
    from posologie.sources import hub_records

    manifest, done = fetch(repository, tmp_path)
    assert done.returncode == 0, done.stderr
    spec = {"source": "native", "provenance": "native", "split": "test", "patterns": ["Test/*/*_test.json"]}
    outputs = [f"--{name}={tmp_path / name}" for name in ("items", "rejects", "report")]
    hub_records.main(["--spec", json.dumps(spec), "--inputs", str(manifest), *outputs])
    report = json.loads((tmp_path / "report").read_text())
    assert report["files"] == {TEST: {"read": 3, "kept": 3}}


def test_the_token_comes_from_the_environment_and_its_lack_is_named(repository, tmp_path):
    repository.token = "hf_secret"
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "token").write_text("hf_left_by_a_login")
    _, refused = fetch(repository, tmp_path)
    assert refused.returncode == 2
    assert "private one and no HF_TOKEN" in last_line(refused)
    assert repository.tokens == {None}
    manifest, done = fetch(repository, tmp_path, HF_TOKEN="hf_secret")
    assert done.returncode == 0, done.stderr
    assert "hf_secret" not in manifest.read_text() + done.stderr


def test_an_unknown_revision_and_an_unknown_repository_are_named(repository, tmp_path):
    _, done = fetch(repository, tmp_path, "v9")
    assert done.returncode == 2
    assert last_line(done).startswith("error: revision = 'v9': unknown")
    _, done = fetch(repository, tmp_path, hub="MedInjection-FR/Nativ")
    assert done.returncode == 2
    assert "hub = 'MedInjection-FR/Nativ': no such data set" in last_line(done)


def test_a_file_that_the_hub_lists_and_lacks_is_named(repository, tmp_path):
    repository.missing.add(TEST)
    manifest, done = fetch(repository, tmp_path)
    assert done.returncode == 2
    assert "missing" in last_line(done)
    assert TEST in last_line(done)
    assert not manifest.exists()


def test_a_connection_cut_in_the_middle_of_a_file_is_taken_up_where_it_broke(repository, tmp_path):
    repository.cut_once.add(TRAIN)
    manifest, done = fetch(repository, tmp_path)
    assert done.returncode == 0, done.stderr
    assert repository.requests[TRAIN] == 2
    assert (manifest.parent / TRAIN).read_bytes() == repository.files[TRAIN]


@pytest.mark.slow
def test_after_a_connection_that_stays_cut_the_next_run_keeps_the_whole_files(repository, tmp_path):
    repository.cut_always.add(TRAIN)
    manifest, done = fetch(repository, tmp_path)
    assert done.returncode == 2
    assert "download failed" in last_line(done)
    assert "run again to go on" in last_line(done)
    assert not manifest.exists()
    repository.cut_always.clear()
    before = repository.requests[TEST]
    manifest, done = fetch(repository, tmp_path)
    assert done.returncode == 0, done.stderr
    assert before == 1
    assert repository.requests[TEST] == 1
    assert (manifest.parent / TRAIN).read_bytes() == repository.files[TRAIN]


@pytest.mark.parametrize("name", [TRAIN, TEST])
def test_a_file_that_arrives_damaged_is_refused_and_fetched_anew(repository, tmp_path, name):
    repository.damaged.add(name)
    manifest, done = fetch(repository, tmp_path)
    assert done.returncode == 2
    assert f"{name} was damaged" in last_line(done)
    assert not manifest.exists()
    repository.damaged.clear()
    manifest, done = fetch(repository, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (manifest.parent / name).read_bytes() == repository.files[name]


@pytest.mark.parametrize("environment", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}])
def test_without_a_network_the_message_says_what_to_do(repository, tmp_path, environment):
    manifest, done = fetch(repository, tmp_path, **environment)
    assert done.returncode == 2
    assert "the hub cannot be reached from here" in last_line(done)
    assert "`path` instead of `hub`" in last_line(done)
    assert not manifest.exists()
