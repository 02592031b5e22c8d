"""Every shipped study under every profile, as a dry run without GPU, network or token."""

import json
import re
import subprocess
import sys
from collections import Counter
from fnmatch import fnmatch
from pathlib import PurePosixPath

import pytest
import yaml

from posologie.cli.artifacts import artifacts
from posologie.config.load import load_study, study_document
from posologie.records.artifacts import kind_of
from studies import REPOSITORY, Project, jobs_of

pytestmark = pytest.mark.slow

CONFIGS = sorted(path.name for path in (REPOSITORY / "config").glob("*.yaml"))
COMPARED = {"config.yaml", "paper-doses.yaml", "paper-screened.yaml"}
PROFILES = ["profiles/demo", "profiles/local-gpu", "slurm"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project.copy_to(tmp_path_factory.mktemp("project"))


PLANNED = [
    *((config, PROFILES[place % len(PROFILES)]) for place, config in enumerate(CONFIGS)),
    *(("config.yaml", profile) for profile in PROFILES[1:]),
]
"""Every study under one profile, in turn, and the published one under every profile."""


@pytest.mark.parametrize(("config", "profile"), PLANNED)
def test_every_study_and_every_profile_plans(project, config, profile):
    jobs = project.planned("--profile", profile, "--configfile", f"config/{config}")
    rules = {job.rule for job in jobs}
    assert {"write_report", "draw_mix", "train_adapter"} <= rules
    named = "published" in study_document(project.root / "config" / config)
    assert ("tabulate_published" in rules) == named == (config in COMPARED)
    assert named or not any("published" in job.reason for job in jobs)
    check_artifacts(load_study(project.root / "config" / config), jobs)


def check_artifacts(study, jobs):
    """Check that what the jobs make is of a kind in the table, and that `posologie status` counts all of it."""
    root = f"results/{study.study}/"
    made = set()
    for job in jobs:
        for path in (path.removeprefix(root) for path in job.outputs if path.startswith(root)):
            kind = kind_of(path)
            assert kind is not None, (job.rule, path)
            assert any(fnmatch(job.rule, pattern) for pattern in kind.rules), (job.rule, path, kind.name)
            if PurePosixPath(path).match(re.sub(r"\{\w+\}", "*", PurePosixPath(kind.path).name)):
                made.add(path)
    made = {path for path in made if not path.endswith((".rejects.parquet", ".matches.parquet"))}
    done = [artifact for artifact in artifacts(study) if not artifact.optional]
    assert len({artifact.file for artifact in done}) == len(done)
    assert {artifact.file.as_posix().removeprefix(root) for artifact in done} == made


TARGETS = ("", "shards", "mixes", "adapters", "predictions", "scores", "kits", "tables", "report", "release")


@pytest.mark.parametrize("target", TARGETS)
def test_every_named_target_plans(project, target):
    assert project.planned(*filter(None, [target]))


def test_the_first_dry_run_of_a_fresh_clone_keeps_what_it_learned_of_the_code(tmp_path):
    clone = Project.copy_to(tmp_path / "project")
    clone.planned("mixes")
    assert list(clone.root.glob(".snakemake/posologie-code-*.json"))


def test_the_published_study_has_the_jobs_that_a_hand_counts(project):
    counts = Counter(job.rule for job in project.planned())
    assert counts["fetch_dataset"] == 3
    assert counts["fetch_model_hub"] == 1
    assert counts["read_hub_records"] == 7, "the composition table counts every split that the sources have"
    assert counts["screen_shard"] == 4, "train of three sources, and the native validation items"
    assert counts["draw_mix"] == counts["train_adapter"] == 7
    assert counts["predict_mcqa"] == counts["predict_oeq"] == 8, "base and seven adapters"
    assert counts["score_predictions"] == 16


def test_a_look_asks_for_nothing_but_the_shards(project):
    counts = Counter(job.rule for job in project.planned("look"))
    assert counts.pop("look") == counts.pop("look_at_shards") == 1
    assert counts == {"fetch_dataset": 3, "read_hub_records": 7}


def test_each_value_of_a_sweep_is_a_mix_with_an_adapter_of_its_own(project):
    jobs = project.planned("--configfile", "config/paper-doses.yaml")
    counts = Counter(job.rule for job in jobs)
    assert counts["draw_mix"] == counts["train_adapter"] == 11, "five shares, three added doses, three sizes"
    assert counts["tabulate_dose_response"] == 1


def test_published_models_take_the_place_of_training_and_an_adapter_is_put_on_its_backbone(project):
    taken = {
        "nat": {"model": {"hub": "MedInjection-FR/QWEN-4B-NAT"}, "in_place_of": "qwen3-4b/NAT/seed-42"},
        "syn": {
            "model": {"hub": "someone/adapter"},
            "adapter_on": "qwen3-4b",
            "in_place_of": "qwen3-4b/SYN/seed-42",
        },
    }
    output = project.dry("-n", "-p", "--cores", "2", "--config", f"published_models={json.dumps(taken)}")
    counts = Counter(job.rule for job in jobs_of(output))
    assert counts["train_adapter"] == 5
    assert counts["predict_mcqa"] == 8
    assert counts["fetch_model_hub"] == 3
    asked = [line for line in output.splitlines() if "python -m posologie.prediction --spec" in line]
    nat, syn = (next(line for line in asked if f"qwen3-4b/{mix}/seed-42" in line) for mix in ("NAT", "SYN"))
    assert "--backbone models/MedInjection-FR--QWEN-4B-NAT@main/manifest.json" in nat
    assert "--adapter-weights" not in nat
    assert "--backbone models/Qwen--Qwen3-4B-Instruct-2507@main/manifest.json" in syn
    assert "--adapter-weights models/someone--adapter@main/adapter_model.safetensors" in syn


def test_what_is_released_is_merged_described_and_pushed_only_when_asked_for(project):
    release = json.dumps({"models": ["tiny/NAT/seed-42"], "repository": "me/{mix}-{form}"})
    asked = ("--configfile", "config/test.yaml", "--config", f"release={release}")
    counts = Counter(job.rule for job in project.planned("push", *asked))
    assert (counts["merge_adapter"], counts["write_card"], counts["push_model"]) == (1, 2, 2)
    everything = {job.rule for job in project.planned(*asked)}
    assert not everything & {"merge_adapter", "write_card", "push_model"}
    output = project.snakemake("-n", "push", "--configfile", "config/test.yaml", fails=True)
    assert output.splitlines()[-1].startswith("error: release.repository: missing; expected `owner/name`")


def test_a_quality_screen_rates_the_training_items_that_it_names_before_they_are_screened(project):
    judges = {"j": {"backend": {"kind": "openai_endpoint", "model": "m"}}}
    screening = {"mode": "remove", "quality": {"judge": "j", "threshold": 3, "sources": ["synthetic"]}}
    settings = [f"judges={json.dumps(judges)}", f"screening={json.dumps(screening)}"]
    jobs = project.planned("--configfile", "config/test.yaml", "--config", *settings)
    rating = [job.wildcards for job in jobs if job.rule == "rate_items_with_openai_endpoint"]
    assert rating == ["judge=j, source=synthetic"]


def test_engines_run_on_the_gpus_that_their_models_are_spread_over(project):
    backend = {"kind": "engine", "engine": "vllm", "model": "large", "tensor_parallel": 4}
    settings = {
        "local_models": {"large": {"hub": "someone/large"}},
        "published_models": {"theirs": {"served": {"backend": backend}}},
        "judges": {"j": {"backend": backend}},
        "judging": {"chosen": "j"},
        "devices": {"gpus_per_prediction_job": 1},
    }
    words = [f"{name}={json.dumps(value)}" for name, value in settings.items()]
    output = project.dry("-n", "-p", "--cores", "2", "--configfile", "config/test.yaml", "--config", *words)
    blocks = re.split(r"\n(?=(?:local)?rule \S+:\n)", output)
    predicted = [block for block in blocks if block.startswith("rule predict_with_engine:")]
    judged = [block for block in blocks if block.startswith("rule judge_with_engine:")]
    assert len(predicted) == 1, "one job answers all suites"
    assert {"model=published/theirs"} == {re.search(r"wildcards: (.*)", block)[1] for block in predicted}
    models = [re.search(r"wildcards: (.*)", block)[1] for block in judged]
    assert len(models) == len(set(models)) == 5, "one job judges a model's answers to all suites"
    for block in predicted + judged:
        assert "gpu=4" in block
        assert "devices=4" in block
        assert "--backbone models/someone--large@main/manifest.json" in block


def test_published_models_are_asked_where_they_are(project):
    study = yaml.safe_load((project.root / "config" / "test.yaml").read_text(encoding="utf-8"))
    study["published_models"] = {
        "adapter": {"model": {"hub": "someone/adapter", "revision": "0123abc"}, "adapter_on": "tiny"},
        "merged": {"model": {"folder": "resources"}},
        "elsewhere": {"served": {"backend": {"model": "m", "url": "http://localhost:1/v1", "key_variable": None}}},
    }
    (project.root / "config" / "published.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    jobs = project.planned("--configfile", "config/published.yaml", "--", "predictions")
    counts = Counter(job.rule for job in jobs)
    assert counts["predict_mcqa"] == counts["predict_oeq"] == 1 + 3 + 2, "base, three mixes, adapter and merged model"
    assert counts["ask_mcqa"] == counts["ask_oeq"] == 1
    assert {job.wildcards for job in jobs if job.rule.startswith("ask_")} == {"model=published/elsewhere"}
    assert counts["fetch_model_hub"] == counts["fetch_model_folder"] == 1


def test_a_mistake_in_the_configuration_is_one_line_before_any_job(project):
    output = project.snakemake("-n", "--config", 'mixs={"A": 1}', fails=True)
    lines = [line for line in output.splitlines() if not line.startswith("Using workflow specific profile")]
    assert len(lines) == 1
    assert "unknown key; expected 'mixes'" in lines[0]


# Snakemake itself imports pandas and pyarrow; what the workflow adds must load none of these.
HEAVY = ("torch", "transformers", "datasets", "scipy", "matplotlib")

READING = f"""
import sys
from snakemake.cli import main
try:
    main(["-n", "--quiet", "all"])
except SystemExit as end:
    assert not end.code, end.code
print([name for name in {HEAVY} if name in sys.modules])
"""


def test_reading_the_workflow_loads_no_heavy_library(project):
    done = subprocess.run(
        [sys.executable, "-c", READING], cwd=project.root, env=project.environment(), capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stdout + done.stderr


@pytest.fixture(scope="module")
def rules(project):
    """The names of the workflow's rules."""
    listed = project.snakemake("--list-rules", "--configfile", "config/config.yaml")
    return {line.strip() for line in listed.splitlines()}


@pytest.mark.parametrize("profile", ["default", "demo", "local-gpu", "slurm"])
def test_every_rule_that_a_profile_names_exists(rules, profile):
    settings = yaml.safe_load((REPOSITORY / f"profiles/{profile}/profile.yaml").read_text(encoding="utf-8"))
    named = {rule for key in ("set-resources", "set-threads") for rule in settings.get(key, {})}
    assert named <= rules


def test_no_path_of_a_machine_enters_a_shell_command(project):
    output = project.snakemake("-n", "-p", "--configfile", "config/demo.yaml")
    commands = [line for line in output.splitlines() if line.startswith("Shell command: python -m ")]
    assert commands
    assert not [line for line in commands if str(project.root) in line]


def test_every_rule_that_makes_something_seals_it(repository):
    unsealed = []
    for file in sorted((repository / "workflow/rules").glob("*.smk")):
        blocks = re.split(r"\n(?= *(?:rule|checkpoint)\b[^\n]*:\n)", file.read_text(encoding="utf-8"))[1:]
        making = [block for block in blocks if "command(" in block and re.search(r"^ +output:", block, re.MULTILINE)]
        unsealed += [f"{file.name}: {block[:60]}" for block in making if "sealing=sealing(" not in block]
    assert not unsealed


def test_a_study_of_five_components_of_its_own_plans(project):
    names = ["textbook", "exam", "forum", "synthetic-a", "synthetic-b"]
    shares = [
        *({name: 1} for name in names),
        *({name_drawn: 1 for name_drawn in names if name_drawn != name} for name in names[:2]),
    ]
    study = {
        "study": "own",
        "components": {name: {} if name == "exam" else {"kind": "native"} for name in names},
        "sources": {name: {"component": name, "hub": f"o/{name}", "splits": ["train"]} for name in names}
        | {"tests": {"component": "exam", "hub": "o/tests", "splits": ["test"]}},
        "mixes": {f"M{place}": {"shares": share, "size": 50} for place, share in enumerate(shares)},
        "backbones": {"tiny": {"hub": "o/model"}},
        "suites": {"mcqa": {"benchmarks": {"exam": {"source": "tests"}}}},
    }
    study["sources"]["exams"] = study["sources"].pop("exam")  # a share of "exam" means the component
    (project.root / "config" / "own.yaml").write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    counts = Counter(job.rule for job in project.planned("--configfile", "config/own.yaml"))
    assert counts["draw_mix"] == counts["train_adapter"] == 7
    assert counts["tabulate_attribution"] == 1, "seven mixes of one size tell five components apart"
