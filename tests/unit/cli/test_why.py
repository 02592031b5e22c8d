"""`posologie why`: which spec, module or input a planned re-run comes from."""

import json
from types import SimpleNamespace

import pytest

from posologie.cli import dry_run, why
from posologie.cli.dry_run import jobs_in
from posologie.running.code_digest import digest, module_digests
from posologie.running.errors import InputError
from posologie.running.planning import keep_modules, kept_modules
from posologie.running.seals import Identity, write_seal

SCORES = "results/s/scores/tiny/base/mcqa.parquet"
PRINTED = f"""\
local rules: write_report
Building DAG of jobs...

[Fri Jan  2 10:00:00 2026]
rule score_predictions:
    input: results/s/predictions/tiny/base/mcqa.parquet
    output: {SCORES}
    jobid: 3
    reason: Code has changed since last execution
    wildcards: model=tiny/base, suite=mcqa

[Fri Jan  2 10:00:00 2026]
rule draw_mix:
    output: results/s/mixes/A/seed-42/train.parquet, results/s/mixes/A/seed-42/composition.json
    reason: Params have changed since last execution: spec: size 12, sealed 10; spec: seed 2, sealed 1
    wildcards: mix=A, seed=42

[Fri Jan  2 10:00:00 2026]
rule tabulate_mcqa:
    input: {SCORES}, results/s/mixes/A/seed-42/composition.json
    output: results/s/tables/mcqa.csv
    reason: Input files updated by another job: {SCORES}, results/s/mixes/A/seed-42/composition.json
"""
TABLE = "results/s/tables/mcqa.csv"


def test_a_file_that_no_job_makes_is_one_line_and_other_refusals_are_in_snakemakes_words(monkeypatch):
    said = "Building DAG of jobs...\nNo rule to produce my notes.txt (if you use input functions make sure that …)."
    ended = SimpleNamespace(returncode=1, stdout=said)
    monkeypatch.setattr(dry_run.subprocess, "run", lambda *arguments, **options: ended)
    with pytest.raises(InputError, match=r"^my notes\.txt: no job of the study makes such a file$"):
        dry_run.jobs(["my notes.txt"])
    ended.stdout = "Error: cores must be given\n"
    with pytest.raises(InputError, match=r"^snakemake 'my notes\.txt': Error: cores must be given$"):
        dry_run.jobs(["my notes.txt"])


@pytest.fixture
def scored(tmp_path, monkeypatch):
    """A project whose scores were made by code of which two modules are others now; its work folder."""
    monkeypatch.chdir(tmp_path)
    code = "posologie.scoring"
    keep_modules("work/s", {code: digest(code)})
    file = tmp_path / f"work/s/code/{digest(code)}.json"
    then = module_digests(code) | {"posologie.scoring.choices": "another", "posologie.scoring.removed": "one"}
    del then["posologie.scoring.text"]
    file.rename(file.with_name("earlier.json"))
    file.with_name("earlier.json").write_text(json.dumps(then), encoding="utf-8")
    scores = tmp_path / SCORES
    scores.parent.mkdir(parents=True)
    scores.write_bytes(b"scores")
    write_seal([scores], Identity(code, "earlier", {}), {}, {})
    return tmp_path / "work/s"


def causes(work, file=TABLE):
    return {(cause.rule, cause.why): cause.jobs for cause in why.causes_of(list(jobs_in(PRINTED)), file, work)}


def test_the_modules_behind_a_code_are_kept_by_its_digest(tmp_path):
    keep_modules(tmp_path, {"the rules of the workflow": "of-rules", "posologie.mixes": digest("posologie.mixes")})
    assert kept_modules(tmp_path, digest("posologie.mixes")) == module_digests("posologie.mixes")
    assert kept_modules(tmp_path, "another") is None


def test_a_digest_that_is_not_that_of_the_modules_keeps_nothing(tmp_path):
    keep_modules(tmp_path, {"posologie.mixes": "0123456789abcdef"})
    assert kept_modules(tmp_path, "0123456789abcdef") is None


def test_changed_specs_and_modules_are_named_and_what_only_follows_is_not(scored):
    reason = (
        "code of posologie.scoring: posologie.scoring.choices changed; posologie.scoring.text new;"
        " posologie.scoring.removed gone"
    )
    assert causes(scored) == {
        ("score_predictions", reason): ["model=tiny/base, suite=mcqa"],
        ("draw_mix", "spec: size 12, sealed 10"): ["mix=A, seed=42"],
        ("draw_mix", "spec: seed 2, sealed 1"): ["mix=A, seed=42"],
    }


def test_only_what_is_behind_the_file_counts(scored):
    assert {rule for rule, _ in causes(scored, SCORES)} == {"score_predictions"}


def test_it_says_where_the_modules_of_then_are_not_known(scored):
    (scored / "code/earlier.json").unlink()
    [(_, reason)] = causes(scored, SCORES)
    assert reason.startswith("code of posologie.scoring; which of its ")
    assert reason.endswith("modules is not recorded in " + f"{scored}/code")


def test_the_command_prints_each_reason_once(scored, monkeypatch, capsys):
    study = type("Study", (), {"study": "s", "roots": type("Roots", (), {"work": "work"})})
    monkeypatch.setattr(why, "study_of", lambda arguments: study)
    monkeypatch.setattr(why, "jobs", lambda arguments: list(jobs_in(PRINTED)))
    options = type("Given", (), {"file": scored.parent / "x", "config": [], "configfile": "s.yaml", "json": False})
    options.file = scored.parents[1] / TABLE
    assert why.answer(options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{TABLE}: 3 jobs would run, because of"
    assert lines[2] == "  draw_mix (mix=A, seed=42): spec: size 12, sealed 10"
    monkeypatch.setattr(why, "jobs", lambda arguments: [])
    assert why.answer(options) == 0
    assert "nothing rebuilds it" in capsys.readouterr().out
