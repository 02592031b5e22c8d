"""`posologie status`: what is done, running and missing, from files alone."""

import json
import os
import time
from pathlib import Path

import pytest

from posologie.backends.cache import Cache
from posologie.backends.spec import Running
from posologie.cli import running
from posologie.config import job_specs
from posologie.config.load import load_study
from posologie.records import layout
from posologie.running.code_digest import digest
from posologie.running.planning import accept
from posologie.running.seals import Identity, write_seal

STUDY = """
study: simulated
sources:
  native: {provenance: native, path: data}
mixes:
  NAT: {shares: {native: 1}, size: 8}
backbones:
  tiny: {folder: model}
validation: {provenances: [native]}
suites:
  mcqa:
    benchmarks: {native: {source: native}}
"""


@pytest.fixture
def study(untouched):
    """A project with a study file and its data, and nothing made yet."""
    return untouched(STUDY)


def made(study, *files):
    """Make files below the study's results."""
    for file in files:
        path = study / "results" / "simulated" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"seconds": 120}) if file.endswith("run.json") else "made")


def progress(study, job, **facts):
    """Write the progress file of a job."""
    path = study / "work" / "simulated" / job / "progress.json"
    path.parent.mkdir(parents=True)
    now = time.time()
    known = {
        "artifact": job,
        "done": 25,
        "first": 5,
        "total": 100,
        "unit": "updates",
        "started": now - 40,
        "updated": now,
    }
    known |= {"pid": os.getpid(), "host": os.uname().nodename, "slurm_job": None}
    path.write_text(json.dumps(known | facts))


def stage(status, name):
    """Return done and total of a stage."""
    return next((entry["done"], entry["total"]) for entry in status["stages"] if entry["stage"] == name)


def test_an_untouched_study_has_everything_to_do(study, asked):
    code, status = asked("status", "--configfile", "study.yaml")
    assert code == 0
    assert [(entry["stage"], entry["done"], entry["total"]) for entry in status["stages"]] == [
        ("shards", 0, 3),
        ("screened", 0, 2),
        ("mixes", 0, 1),
        ("leakage", 0, 1),
        ("adapters", 0, 1),
        ("predictions", 0, 2),
        ("scores", 0, 2),
        ("tables", 0, 8),
        ("figures", 0, 9),
        ("report", 0, 2),
        ("look", 0, 2),
    ]
    assert not status["finished"]
    assert status["seconds_left"] is None


def test_what_the_study_no_longer_makes_is_named(study, asked, posologie):
    made(study, "mixes/NAT/seed-42/train.parquet", "tables/mcqa.csv", "shards/native/train.parquet")
    assert asked("status", "--configfile", "study.yaml")[1]["left_over"] == []
    made(study, "mixes/OLD/seed-42/train.parquet", "predictions/tiny/OLD/seed-42/mcqa.parquet")
    made(study, "predictions/tiny/OLD/seed-42/mcqa.run.json")
    assert asked("status", "--configfile", "study.yaml")[1]["left_over"] == [
        "results/simulated/mixes/OLD/seed-42/train.parquet",
        "results/simulated/predictions/tiny/OLD/seed-42/mcqa.parquet",
    ]
    shown = " ".join(posologie("status", "--configfile", "study.yaml")[1].split())
    assert "The study no longer uses 2 files that exist: results/simulated/mixes/OLD" in shown


def test_what_is_there_is_done_and_the_time_left_follows_from_it(study, asked):
    made(study, "shards/native/train.parquet", "mixes/NAT/seed-42/train.parquet")
    made(study, "adapters/tiny/NAT/seed-42/adapter_model.safetensors", "adapters/tiny/NAT/seed-42/run.json")
    made(study, "predictions/tiny/base/mcqa.parquet", "predictions/tiny/base/mcqa.run.json")
    _, status = asked("status", "--configfile", "study.yaml")
    assert stage(status, "shards") == (1, 3)
    assert stage(status, "adapters") == (1, 1)
    assert stage(status, "predictions") == (1, 2)
    assert status["seconds_left"] == pytest.approx(120)


JUDGED = """  oeq:
    benchmarks: {open: {source: native, tasks: [oeq]}}
judges:
  own: {backend: {kind: causal, backbone: tiny}}
judging: {chosen: own}
"""


def test_the_chosen_judges_verdicts_count_too(study, asked):
    (study / "study.yaml").write_text(STUDY + JUDGED)
    made(study, "judgements/own/tiny/base/oeq.parquet")
    _, status = asked("status", "--configfile", "study.yaml")
    assert stage(status, "judgements") == (1, 2)


def test_the_verdicts_of_a_panels_judges_count_too(study, asked):
    panel = JUDGED.replace("judging: {chosen: own}", "  other: {backend: {kind: causal, backbone: tiny}}\n"
                           "judging: {chosen: own, panel: [own, other]}")  # fmt: skip
    (study / "study.yaml").write_text(STUDY + panel)
    made(study, "judgements/other/tiny/base/oeq.parquet")
    _, status = asked("status", "--configfile", "study.yaml")
    assert stage(status, "judgements") == (1, 4)


def test_the_ratings_of_training_items_count_too(study, asked):
    screened = "screening: {mode: report, quality: {judge: own, threshold: 3}}\n"
    (study / "study.yaml").write_text(STUDY + JUDGED + screened)
    made(study, "quality/own/native.parquet")
    _, status = asked("status", "--configfile", "study.yaml")
    assert stage(status, "quality") == (1, 1)


def test_a_running_job_tells_how_far_it_is_and_how_long_still(study, asked):
    progress(study, "training/tiny/NAT/seed-42", pid=os.getpid(), started=time.time() + 3600)
    progress(study, "prediction/tiny/base/mcqa", started=time.time() - 40, host="elsewhere")
    code, status = asked("status", "--configfile", "study.yaml")
    jobs = {job["name"]: job for job in status["jobs"]}
    assert jobs["prediction/tiny/base/mcqa"]["state"] == "running"
    assert jobs["prediction/tiny/base/mcqa"]["left"] == pytest.approx(150, rel=0.1)
    assert jobs["training/tiny/NAT/seed-42"]["state"] == "running"
    assert code == 0


def test_a_job_whose_process_is_gone_is_told_as_stopped(study, asked, posologie):
    progress(study, "training/tiny/NAT/seed-42", pid=2**22 + 1)
    code, status = asked("status", "--configfile", "study.yaml")
    assert [job["state"] for job in status["jobs"]] == ["stopped"]
    assert code == 1
    _, out, _ = posologie("status", "--configfile", "study.yaml")
    assert "start Snakemake again with the same command" in out


def test_what_was_spent_is_shown_with_what_of_it_brought_no_reply(study, asked, posologie):
    running = Running(price_prompt=1.0, price_generated=1.0)
    with Cache(study / "work/simulated/judging/j/responses.sqlite") as cache:
        for key in (b"answered", b"broken"):
            assert cache.claim(key, 1000, 0.5, running) == "claimed"
        cache.settle(b"answered", "{}", "{}", 10, (700, 100), 0.4)
        cache.discard(b"broken", "no JSON", "{", 1000, 0.5)
    _, status = asked("status", "--configfile", "study.yaml")
    (spent,) = status["spending"]
    assert spent == {
        "asker": "judging/j", "requests": 2, "tokens": 1800, "money": pytest.approx(0.9),
        "wasted_tokens": 1000, "wasted_money": 0.5,
    }  # fmt: skip
    _, out, _ = posologie("status", "--configfile", "study.yaml")
    row = next(line.split() for line in out.splitlines() if line.startswith("judging/j"))
    assert row == ["judging/j", "2", "1,800", "0.90", "1,000", "0.50"]


def test_a_stopped_job_whose_work_was_made_later_is_not_told(study, asked):
    progress(study, "training/tiny/NAT/seed-42", pid=2**22 + 1)
    made(study, "adapters/tiny/NAT/seed-42/adapter_model.safetensors")
    code, status = asked("status", "--configfile", "study.yaml")
    assert status["jobs"] == []
    assert code == 0


def test_a_job_on_slurm_lives_as_long_as_slurm_knows_it(study, asked, monkeypatch):
    progress(study, "training/tiny/NAT/seed-42", slurm_job="17", host="node3", updated=time.time() - 7200)
    folder = study / "bin"
    folder.mkdir()
    queue = folder / "squeue"
    queue.write_text("#!/bin/sh\necho '17 RUNNING'\n")
    queue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    _, status = asked("status", "--configfile", "study.yaml")
    assert [(job["state"], job["where"]) for job in status["jobs"]] == [("running", "SLURM job 17 on node3")]
    queue.write_text("#!/bin/sh\necho 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1\n")
    _, status = asked("status", "--configfile", "study.yaml")
    assert status["jobs"][0]["state"] == "stopped"


def fake_squeue(study, monkeypatch, *lines, script=None):
    """Put a squeue into the path that prints lines of job, state, reason, comment and folder."""
    folder = study / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "lines").write_text("".join(f"{line}\n" for line in lines))
    (folder / "squeue").write_text(script or f"#!/bin/sh\ncat '{folder}/lines'\n")
    (folder / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("state", "reason", "helps"),
    [
        ("PENDING", "launch failed requeued held", "scontrol release 17"),
        ("PENDING", "launch_failed_requeued_held", "scontrol release 17"),
        ("PENDING", "JobHeldUser", "scontrol release 17"),
        ("PENDING", "JobHoldMaxRequeue", "scontrol release 17"),
        ("REQUEUE_HOLD", "None", "scontrol release 17"),
        ("SPECIAL_EXIT", "None", "scontrol release 17"),
        ("PENDING", "JobHeldAdmin", "scontrol release 17 (as an administrator of the cluster)"),
        ("PENDING", "DependencyNeverSatisfied", "scancel 17"),
        ("PENDING", "PartitionTimeLimit", "scancel 17"),
        ("PENDING", "Priority", ""),
        ("PENDING", "Resources", ""),
        ("PENDING", "None", ""),
        ("RUNNING", "None", ""),
    ],
)
def test_each_job_of_the_folder_is_told_with_its_reason_and_what_helps(
    study, asked, posologie, monkeypatch, state, reason, helps
):
    comment = "rule_train_adapter_wildcards_tiny_NAT_seed-42"
    fake_squeue(study, monkeypatch, f"17|{state}|{reason}|{comment}|{study}", f"18|PENDING|JobHeldUser|x|{study}/other")
    code, status = asked("status", "--configfile", "study.yaml")
    shown = "" if reason == "None" else reason
    what = "train_adapter tiny NAT seed-42"
    assert status["queue"] == [{"job": "17", "what": what, "state": state, "reason": shown, "helps": helps}]
    assert code == (1 if helps else 0)
    _, out, _ = posologie("status", "--configfile", "study.yaml")
    assert (f"1 SLURM job waits for ever: {helps}" in out) is bool(helps)
    assert what in out


def test_a_queue_that_cannot_be_asked_is_told_and_no_error(study, asked, posologie, monkeypatch):
    fake_squeue(
        study, monkeypatch, script="#!/bin/sh\necho 'squeue: error: Unable to contact controller' >&2; exit 1\n"
    )
    code, status = asked("status", "--configfile", "study.yaml")
    assert (code, status["queue"]) == (0, [])
    _, out, _ = posologie("status", "--configfile", "study.yaml")
    assert "SLURM could not be asked: squeue: squeue: error: Unable to contact controller" in out


def test_a_folder_of_any_name_is_known_in_the_queue(study, asked, monkeypatch, tmp_path):
    odd = tmp_path / "a | b"
    odd.mkdir()
    (odd / "study.yaml").write_text((study / "study.yaml").read_text().replace("path: data", f"path: {study}/data"))
    fake_squeue(study, monkeypatch, f"2|PENDING|JobHeldUser|rule_shards|{odd}", f"10|PENDING|Priority|rule_x|{odd}")
    monkeypatch.chdir(odd)
    _, status = asked("status", "--configfile", "study.yaml")
    assert [(job["job"], job["what"]) for job in status["queue"]] == [("2", "shards"), ("10", "x")]


def test_a_silent_job_of_another_machine_counts_as_stopped_after_a_while(study):
    progress(study, "training/a", host="elsewhere")
    work = study / "work" / "simulated"
    assert running.unfinished(work, time.time() + 60)[0].state == "running"
    assert running.unfinished(work, time.time() + 3600)[0].state == "stopped"


def test_a_half_written_progress_file_is_no_matter(study, asked):
    path = study / "work" / "simulated" / "training" / "x" / "progress.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"done": 3')
    code, status = asked("status", "--configfile", "study.yaml")
    assert (code, status["jobs"]) == (0, [])


@pytest.mark.timeout(60)
def test_watching_ends_when_the_study_is_done(study, posologie):
    code, output, _ = posologie("status", "--configfile", "study.yaml", "--json")
    for entry in json.loads(output)["stages"]:
        for name in entry["missing"]:
            file = {
                "mixes": f"mixes/{name}/train.parquet",
                "adapters": f"adapters/{name}/adapter_model.safetensors",
                "tables": f"tables/{name}.csv",
                "figures": f"figures/{name}.svg",
                "report": f"report/{name}",
            }.get(entry["stage"], f"{entry['stage']}/{name}.parquet")
            made(study, file)
    code, out, _ = posologie("status", "--configfile", "study.yaml", "--watch", "--every", "0.01")
    assert code == 0
    assert "Done." in out


def test_what_an_edit_leaves_behind_is_stale_and_so_is_what_was_made_of_it(study, asked, posologie):
    described = load_study("study.yaml")
    paths = {
        "shards": (layout.shard("native", "train"), job_specs.shard_spec(described, "native", "train"), []),
        "mixes": (layout.mix("NAT", 42, "train"), job_specs.mix_spec(described, "NAT", 42), ["shards"]),
        "adapters": (
            layout.adapter("tiny/NAT/seed-42", "adapter_model.safetensors"),
            job_specs.training_spec(described, "tiny", "NAT", 42),
            ["mixes"],
        ),
    }
    modules = {"shards": "posologie.sources.hub_records", "mixes": "posologie.mixes", "adapters": "posologie.training"}
    root = Path("results/simulated")
    for stage_, (file, spec, inputs) in paths.items():
        made(study, file)
        read = {str(root / paths[name][0]): "0" * 64 for name in inputs}
        identity = Identity(modules[stage_], digest(modules[stage_]), spec.model_dump(mode="json"))
        write_seal([root / file], identity, read, {})
    _, status = asked("status", "--configfile", "study.yaml")
    assert status["stale"] == {}
    text = STUDY.replace("size: 8", "size: 9")
    (study / "study.yaml").write_text(text)
    _, status = asked("status", "--configfile", "study.yaml")
    assert list(status["stale"]) == ["mixes/NAT/seed-42", "adapters/tiny/NAT/seed-42"]
    assert "size" in status["stale"]["mixes/NAT/seed-42"]
    assert status["stale"]["adapters/tiny/NAT/seed-42"] == "made of mixes/NAT/seed-42"
    assert not status["finished"]
    seal = root / f"{paths['shards'][0]}.seal.json"
    seal.write_text(seal.read_text().replace(digest(modules["shards"]), "f" * 16))
    _, status = asked("status", "--configfile", "study.yaml")
    assert status["stale"]["shards/native/train"] == "code of posologie.sources.hub_records"
    entry = {"module": modules["shards"], "old": "f" * 16, "new": digest(modules["shards"]), "when": "", "reason": ""}
    accept(root, [entry])
    _, status = asked("status", "--configfile", "study.yaml")
    assert "shards/native/train" not in status["stale"]
    _, out, _ = posologie("status", "--configfile", "study.yaml")
    assert "1 stale" in out


def test_jobs_of_one_rule_that_wait_for_the_same_are_one_row(study, posologie, monkeypatch):
    lines = [f"{job}|PENDING|Priority|rule_train_adapter_wildcards_tiny_M{job}|{study}" for job in range(20, 32)]
    held = f"40|PENDING|JobHeldUser|rule_train_adapter_wildcards_tiny_M40|{study}"
    fake_squeue(study, monkeypatch, *lines, held)
    _, out, _ = posologie("status", "--configfile", "study.yaml")
    (row,) = [line for line in out.splitlines() if "Priority" in line]
    assert row.split() == ["12", "jobs", "train_adapter", "PENDING", "Priority"]
    assert "scontrol release 40" in out


def test_the_last_problem_is_the_error_with_which_a_log_ends(study, asked, posologie):
    logs = study / "work" / "simulated" / "logs" / "shards"
    logs.mkdir(parents=True)
    (logs / "old.log").write_text("error: data.csv: row 2: no gold\n")
    (logs / "mended.log").write_text("started\nerror is a word of this line, and not the end\ndone\n")
    os.utime(logs / "old.log", (1, 1))
    _, status = asked("status", "--configfile", "study.yaml")
    assert status["problem"] == "error: data.csv: row 2: no gold (work/simulated/logs/shards/old.log)"
    _, out, _ = posologie("status", "--configfile", "study.yaml")
    assert "Last problem: error: data.csv: row 2: no gold" in out
    (logs / "old.log").write_text("started\ndone\n")
    _, status = asked("status", "--configfile", "study.yaml")
    assert status["problem"] == ""
