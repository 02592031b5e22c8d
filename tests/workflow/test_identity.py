"""Identity lives in the artifacts: what `.snakemake` remembers, and whose hand or job made a file, changes nothing.

With `test_reruns.py` these are the truth table of re-runs. They also fail where a new version of Snakemake
behaves otherwise than `posologie.running.seam` expects.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest
from expected_jobs import (
    CODE,
    CONFIG,
    END_OF_SCORES,
    PACKAGE,
    PAGE,
    PARAMS,
    STUDY,
    after_drawing,
    after_training,
    answered,
    appending,
    edited,
    instances,
    replacing,
    scored,
)

from posologie.running.seals import read_seal

pytestmark = pytest.mark.slow

ROOT = "results/test"
NAT = f"{ROOT}/adapters/tiny/NAT/seed-42"
ANSWERS = f"{ROOT}/predictions/tiny/NAT/seed-42/mcqa"
SCORES = f"{ROOT}/scores/tiny/NAT/seed-42/mcqa.parquet"


def flipped(path):
    """Change one byte of a file, as a faulty disk or a hand does."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


ALTERED = {
    f"{ROOT}/shards/native/train.parquet": "read_hub_records native train",
    f"{ROOT}/screened/native/train.parquet": "screen_shard native train",
    f"{ROOT}/screened/native/train.matches.parquet": "screen_shard native train",
    f"{ROOT}/mixes/NAT/seed-42/train.parquet": "draw_mix NAT 42",
    f"{ROOT}/mixes/NAT/seed-42/composition.json": "draw_mix NAT 42",
    f"{NAT}/adapter_model.safetensors": "train_adapter tiny NAT 42",
    f"{NAT}/adapter_config.json": "train_adapter tiny NAT 42",
    f"{NAT}/history.parquet": "train_adapter tiny NAT 42",
    f"{ANSWERS}.parquet": "predict_mcqa tiny/NAT/seed-42",
    f"{ANSWERS}.run.json": "predict_mcqa tiny/NAT/seed-42",
    SCORES: "score_predictions tiny/NAT/seed-42 mcqa",
    f"{ROOT}/leakage/NAT/seed-42/mcqa.parquet": "audit_leakage NAT 42 mcqa",
    f"{ROOT}/tables/mcqa.csv": "tabulate_mcqa",
    f"{ROOT}/tables/mcqa.tex": "tabulate_mcqa",
    f"{ROOT}/figures/mcqa.svg": "draw_figures",
    f"{ROOT}/report/index.html": "write_report",
    f"{ROOT}/report/items/index.js": "browse_items",
    f"{ROOT}/report/items/0.js": "browse_items",
    f"{ROOT}/report/items/words.js": "browse_items",
}


@pytest.fixture
def kept(finished_study):
    """The finished study; files that a test changes are put back as they were, with their times."""
    before = {}

    class Kept:
        root = finished_study.root

        def path(self, name):
            file = self.root / name
            if file not in before and file.exists():
                before[file] = (file.read_bytes(), file.stat().st_atime_ns, file.stat().st_mtime_ns)
            return file

        def jobs(self, *arguments):
            return finished_study.planned(*arguments, *STUDY)

    yield Kept()
    for file, (content, *times) in before.items():
        file.write_bytes(content)
        os.utime(file, ns=tuple(times))


@pytest.mark.parametrize("name", ALTERED)
def test_a_file_that_was_altered_is_made_again_and_the_reason_names_it(kept, name):
    flipped(kept.path(name))
    jobs = {next(iter(instances([job])), ""): job.reason for job in kept.jobs()}
    assert f"file: {name} was altered after it was made" in jobs[ALTERED[name]]


@pytest.mark.parametrize(
    "name",
    [
        f"{ROOT}/tables/oeq.csv",
        f"{ROOT}/tables/oeq.tex",
        f"{ROOT}/figures/effects.pdf",
        f"{ROOT}/report/index.html",
        f"{ROOT}/report/items/index.js",
    ],
)
def test_a_deliverable_that_was_deleted_is_made_again(kept, name):
    kept.path(name).unlink()
    made = {"tables": "tabulate_oeq", "figures": "draw_figures", "index.html": "write_report", "items": "browse_items"}
    assert next(rule for part, rule in made.items() if part in name) in instances(kept.jobs())


@pytest.mark.parametrize("name", [f"{SCORES}.seal.json", f"{NAT}/adapter_model.safetensors.seal.json"])
def test_an_artifact_without_its_seal_is_made_again(kept, name):
    kept.path(name).unlink()
    reasons = [job.reason for job in kept.jobs()]
    assert any(f"seal: {name.rpartition('/')[2]} is missing" in reason for reason in reasons)


def test_without_what_snakemake_remembers_a_finished_study_stays_finished(finished_study):
    remembered = finished_study.root / ".snakemake"
    aside = finished_study.root / ".snakemake-aside"
    remembered.rename(aside)
    try:
        assert not instances(finished_study.planned(*STUDY))
        with edited(finished_study, CONFIG, replacing("    epochs: 2\n", "    epochs: 2\n    learning_rate: 0.5\n")):
            jobs = finished_study.planned(*STUDY)
        assert instances(jobs) == after_training("NAT", "SYN", "NAT-SYN")
        reason = next(job.reason for job in jobs if job.rule == "train_adapter")
        assert "spec: recipe.learning_rate 0.5, sealed 0.0001" in reason
    finally:
        shutil.rmtree(remembered)
        aside.rename(remembered)


def test_a_folder_copied_without_times_under_another_name_stays_finished(finished_study, tmp_path):
    copy = tmp_path / "another place"
    shutil.copytree(finished_study.root, copy, symlinks=True, copy_function=shutil.copyfile)
    project = type(finished_study)(copy)
    assert not instances(project.planned(*STUDY))


LEARNING_RATE = replacing("    epochs: 2\n", "    epochs: 2\n    learning_rate: 0.5\n")
DELETED = {
    "adapters": (("adapters",), LEARNING_RATE, after_training("NAT", "SYN", "NAT-SYN")),
    "all between mixes and tables": (
        ("adapters", "predictions", "scores"),
        LEARNING_RATE,
        after_training("NAT", "SYN", "NAT-SYN") | answered("base") | scored("base"),
    ),
    "mixes": (("mixes",), replacing("{native: 1}, size: 24", "{native: 1}, size: 30"), after_drawing("NAT")),
    "screened shards": (("screened",), replacing("mode: remove", "mode: report"), after_drawing("NAT", "SYN")),
}


@pytest.mark.parametrize("name", DELETED)
def test_an_edit_is_noticed_also_where_all_that_it_changes_was_deleted(finished_study, tmp_path, name):
    folders, change, expected = DELETED[name]
    for folder in folders:
        (finished_study.root / ROOT / folder).rename(tmp_path / folder)
    try:
        assert not instances(finished_study.planned(*STUDY)), "what nobody asks for is not made again"
        with edited(finished_study, CONFIG, change):
            jobs = instances(finished_study.planned(*STUDY))
    finally:
        for folder in folders:
            (tmp_path / folder).rename(finished_study.root / ROOT / folder)
    assert jobs >= expected


YAML_FORMS = {
    "a number in another form": replacing("training_micro_batch: 8", "training_micro_batch: 0x8"),
    "a comment": appending("# nothing"),
    "quoted keys": replacing("  threads: 1", '  "threads": 1'),
    "flow and block style": replacing(
        "NAT: {shares: {native: 1}, size: 24}", "NAT:\n    shares:\n      native: 1\n    size: 24"
    ),
    "another order of keys": replacing("NAT: {shares: {native: 1}, size: 24}", "NAT: {size: 24, shares: {native: 1}}"),
    "a default written out": replacing("    epochs: 2\n", "    epochs: 2\n    learning_rate: 1.0e-4\n"),
    "a default in another form": replacing("    epochs: 2\n", "    epochs: 2\n    learning_rate: 0.00010\n"),
}


@pytest.mark.parametrize("name", YAML_FORMS)
def test_another_way_to_write_the_same_study_runs_nothing(finished_study, name):
    with edited(finished_study, CONFIG, YAML_FORMS[name]):
        assert not instances(finished_study.planned(*STUDY))


NEUTRAL = {
    "the wording of a refusal": ("prediction/job.py", replacing("no such file", "there is no such file")),
    "a log line of training": ("training/job.py", replacing("continuing after update", "resumed after update")),
    "the seals' own module": ("running/seals.py", appending("REVISED = True")),
    "how jobs are sealed": ("running/sealing.py", appending("REVISED = True")),
    "the seam to Snakemake": ("running/seam.py", appending("REVISED = True")),
    "the claims": ("running/claims.py", appending("REVISED = True")),
    "a command of posologie": ("cli/explain.py", appending("REVISED = True")),
}
COUNTED = {
    "the format of Parquet files": ("records/files.py", replacing('compression="zstd"', 'compression="snappy"'), None),
    "the reading of answers": (
        "prediction/parsing.py",
        appending("REVISED = True"),
        answered("base", "NAT", "SYN", "NAT-SYN")
        | scored("base", "NAT", "SYN", "NAT-SYN")
        | END_OF_SCORES
        | {"tabulate_compute"},
    ),
    "the drawing of figures": ("report/figures/style.py", appending("REVISED = True"), PAGE),
    "the quotas of mixes": ("mixes/sampling.py", appending("REVISED = True"), after_drawing("NAT", "SYN", "NAT-SYN")),
}


@pytest.mark.parametrize("name", NEUTRAL)
def test_code_that_cannot_change_a_number_runs_nothing(finished_study, name):
    path, change = NEUTRAL[name]
    with edited(finished_study, f"{PACKAGE}/{path}", change):
        assert not instances(finished_study.planned(*STUDY))


@pytest.mark.parametrize("name", COUNTED)
def test_code_that_can_change_a_number_runs_what_rests_on_it(finished_study, name):
    path, change, expected = COUNTED[name]
    with edited(finished_study, f"{PACKAGE}/{path}", change):
        jobs = finished_study.planned(*STUDY)
    assert jobs
    assert expected is None or instances(jobs) >= expected
    assert any(CODE in job.reason for job in jobs)


def test_accepted_code_runs_nothing_but_the_report_that_says_so(finished_study):
    accepted = finished_study.root / ROOT / "accepted.json"
    with edited(finished_study, f"{PACKAGE}/scoring/choices.py", appending("REVISED = True")):
        assert instances(finished_study.planned(*STUDY)) >= scored("base")
        words = [sys.executable, "-m", "posologie", "accept", "--results", ROOT, "--reason", "only renamed"]
        done = subprocess.run(words, cwd=finished_study.root, env=finished_study.environment(), capture_output=True)
        try:
            assert done.returncode == 0, done.stderr
            assert {entry["module"] for entry in json.loads(accepted.read_text())} >= {"posologie.scoring"}
            assert instances(finished_study.planned(*STUDY)) == {"write_report"}
        finally:
            accepted.unlink(missing_ok=True)


def test_what_a_job_of_another_configuration_made_is_made_again(finished_study, tmp_path):
    """Snakemake's records are of the first configuration, the artifact of another."""
    project = finished_study.clone(tmp_path / "project")
    target = f"{ROOT}/tables/mcqa.csv"
    shutil.copytree(project.root / ".snakemake", tmp_path / "remembered")
    project.snakemake("--cores", "1", *STUDY, "--config", "statistics={level: 0.9}", "--", target)
    shutil.rmtree(project.root / ".snakemake")
    shutil.copytree(tmp_path / "remembered", project.root / ".snakemake")
    reason = next(job.reason for job in project.planned(*STUDY, "--", target) if job.rule == "tabulate_mcqa")
    assert f"{PARAMS} since last execution: spec: statistics.level 0.95, sealed 0.9" in reason
    seal = read_seal(project.root / f"{target}.seal.json")
    assert seal.identity.spec["statistics"]["level"] == 0.9
    assert seal.made["run"], "the seal names the run"


def test_an_altered_input_is_refused_by_name_and_nothing_is_made_of_it(finished_study, tmp_path):
    project = finished_study.clone(tmp_path / "project")
    (project.root / f"{ROOT}/tables/mcqa.csv").unlink()
    flipped(project.root / SCORES)
    output = project.snakemake(
        "--cores", "1", *STUDY, "--allowed-rules", "tabulate_mcqa", "--", f"{ROOT}/tables/mcqa.csv", fails=True
    )
    assert f"error: {SCORES}: truncated or altered after it was made" in output
    assert not (project.root / f"{ROOT}/tables/mcqa.csv").exists()


def test_a_failed_job_leaves_what_was_whole_and_a_dead_head_leaves_no_lock(finished_study, tmp_path):
    project = finished_study.clone(tmp_path / "project")
    weights = project.root / f"{NAT}/adapter_model.safetensors"
    before = weights.read_bytes()
    with edited(project, f"{PACKAGE}/training/loop.py", appending("raise RuntimeError('edited')")):
        output = project.snakemake("--cores", "1", *STUDY, "--", f"{NAT}/adapter_model.safetensors", fails=True)
    assert "RuntimeError: edited" in output
    assert weights.read_bytes() == before, "the adapter that was whole stays until another one is"
    assert not instances(project.planned(*STUDY)), "and is as planned once the code is put back"
    locks = project.root / ".snakemake/locks"
    locks.mkdir(exist_ok=True)
    (locks / "0.output.lock").write_text(f"{NAT}/adapter_model.safetensors\n")
    dead = {"machine": json.loads(_this_process(project))["machine"], "pid": 2**22 + 1, "started": 1.0, "host": "here"}
    (locks / "0.output.owner").write_text(json.dumps(dead))
    output = project.snakemake("--cores", "1", *STUDY, "--", f"{ROOT}/tables/mcqa.csv")
    assert "The lock of process 4194305 on here, which has ended, is taken over." in output
    (locks / "0.output.lock").parent.mkdir(exist_ok=True)
    (locks / "0.output.lock").write_text(f"{ROOT}/tables/mcqa.csv\n")
    (locks / "0.output.owner").write_text(json.dumps({**dead, "machine": "another machine", "host": "there"}))
    (project.root / f"{ROOT}/tables/mcqa.csv").unlink()
    output = project.snakemake("--cores", "1", *STUDY, "--", f"{ROOT}/tables/mcqa.csv", fails=True)
    assert "Process 4194305 on there makes the same files." in output


def _this_process(project):
    words = [sys.executable, "-c", "import json, dataclasses; from posologie.running.claims import Process;"
             "print(json.dumps(dataclasses.asdict(Process.this())))"]  # fmt: skip
    return subprocess.run(words, env=project.environment(), capture_output=True, check=True).stdout


def test_a_job_of_a_frozen_run_refuses_code_that_was_edited_meanwhile(finished_study, tmp_path):
    project = finished_study.clone(tmp_path / "project")
    runs = sorted((project.root / "work/test/runs").iterdir())
    environment = {**project.environment(), "POSOLOGIE_RUN": str(runs[-1])}
    sealing = json.dumps({"inputs": [], "outputs": ["made.parquet"], "work": "work/test"})
    words = [sys.executable, "-m", "posologie.scoring", "--spec", "{}", "--sealing", sealing]
    with edited(project, f"{PACKAGE}/scoring/choices.py", appending("REVISED = True")):
        done = subprocess.run(words, cwd=project.root, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "error: posologie.scoring: its code changed after run" in done.stderr
