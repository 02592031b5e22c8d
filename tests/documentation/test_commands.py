"""What the documentation says can be done: every command, every example, every link, every listed column."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from documented import PROGRAMS, blocks, commands
from dry_runs import named_in, resources_by_rule, run_dry
from posologie.config.job_specs import shard_spec
from posologie.config.load import load_study
from posologie.config.study import Study
from posologie.records.items import read_items
from posologie.records.published import read_published
from posologie.sources.layouts import local_files
from public_forms import chinese_files, spanish_files
from simulated import make_study
from studies import REPOSITORY, Project, jobs_of

pytestmark = pytest.mark.slow

# One worker runs them all: the dry runs are made once.
NOT_RUN = {
    "python3.11 -m venv": "makes an environment",
    ".venv/bin/pip install": "installs the environment",
    "sed -i": "edits the tutorial's study; tests/documentation/test_tutorial.py does it",
    "snakedeploy deploy-workflow": "needs a git host; tests/packaging deploys from one, by hand",
    "python -m posologie.prediction.export": "needs predictions; tests/unit/prediction runs it on some",
    "python -m posologie.generation.batches": "needs batches under way; tests/unit/generation makes some",
    "PYTHONPATH=workflow snakemake --software-deployment-method conda": "needs conda",
}
"""Beginnings of commands that no test can run, and why."""


COMMANDS = commands()
BLOCKS = list(blocks())


def of_program(*names):
    """Return the arguments of each command of a program, repeated ones once."""
    chosen = [shlex.split(command) for _, command in COMMANDS]
    return [words[1:] for words in chosen if words[0] in names]


def dry(arguments):
    """Return Snakemake's arguments for a dry run on enough cores to show the threads that rules ask for.

    A report needs a finished study: `tests/end_to_end` makes one.
    """
    if "--report" in arguments:
        place = arguments.index("--report")
        arguments = arguments[:place] + arguments[place + 2 :]
    if "push" in arguments:  # refused without a repository, which only the user can name
        arguments = [*arguments, "--config", 'release={"repository": "my-lab/{study}-{mix}-{form}"}']
    planned = arguments if "-n" in arguments else [*arguments, "-n"]
    return planned if "--cores" in arguments else [*planned, "--cores", "64"]


def started(arguments):
    """Return Snakemake's arguments where a command starts it; None for one that does not."""
    from posologie.cli import run
    from posologie.cli.commands import parser

    if arguments[:1] not in (["run"], ["demo"]) or arguments == ["run"]:  # `posologie run` alone is the command's name
        return None
    return [word for word in run.command(parser().parse_args(arguments))[1:] if word != "--dry-run"]


def key(arguments):
    """Return what tells one dry run from another: not whether it was written as one, nor the cores."""
    text = " ".join(arguments)
    return re.sub(r"(^| )(-n|--cores \S+)(?= |$)", "", text).strip()


def site_profile(name, examples):
    """Return the profile of a worked example: the shipped one with the example's keys in place of its own."""
    shipped = yaml.safe_load((REPOSITORY / "profiles/slurm/profile.yaml").read_text(encoding="utf-8"))
    return {**shipped, **yaml.safe_load(examples[f"profiles/{name}/site.yaml"])}


@pytest.fixture(scope="module")
def examples():
    return {block.file: block.text for block in BLOCKS if block.file}


@pytest.fixture(scope="module")
def project(tmp_path_factory, examples):
    """A copy of the project with the files that the documentation shows, and with the copies that it makes."""
    project = Project.copy_to(tmp_path_factory.mktemp("documentation"))
    for name in ("Makefile", "pyproject.toml", "README.md"):
        shutil.copy2(REPOSITORY / name, project.root / name)
    for name, text in examples.items():
        path = project.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for write in (spanish_files, chinese_files):
        write(project.root / "data")
    for name in ("h100", "lab"):
        profile = yaml.safe_dump(site_profile(name, examples), sort_keys=False)
        (project.root / f"profiles/{name}/profile.yaml").write_text(profile, encoding="utf-8")
    for source, target in (arguments[-2:] for arguments in of_program("cp")):
        shutil.copytree(project.root / source, project.root / target, ignore=shutil.ignore_patterns(".git"))
    return project


@pytest.fixture(scope="module")
def dry_runs(project):
    """The output of every documented Snakemake command as a dry run, and of the worked examples' profiles."""
    commands = {key(arguments): dry(arguments) for arguments in of_program("snakemake")}
    commands |= {key(arguments): dry(arguments) for arguments in map(started, of_program("posologie")) if arguments}
    commands |= {f"--profile profiles/{name}": dry(["--profile", f"profiles/{name}"]) for name in ("h100", "lab")}
    return dict(zip(commands, run_dry(project, list(commands.values())), strict=True))


def test_every_command_is_tried_here_or_says_why_it_cannot_be():
    left = [
        (place, command)
        for place, command in COMMANDS
        if command.split()[0] not in (*PROGRAMS, "cp") and not command.startswith(tuple(NOT_RUN))
    ]
    assert not left


def test_the_list_of_commands_that_cannot_be_run_names_no_other():
    unused = [start for start in NOT_RUN if not any(command.startswith(start) for _, command in COMMANDS)]
    assert not unused


def test_no_command_hides_in_a_block_without_a_language():
    hidden = [
        block.place for block in BLOCKS if not block.language and re.match(rf"({'|'.join(PROGRAMS)})\b", block.text)
    ]
    assert not hidden


def test_every_snakemake_command_plans(dry_runs):
    assert dry_runs
    failed = {command: output[-2000:] for command, (code, output) in dry_runs.items() if code}
    assert not failed


def test_every_make_target_exists(project):
    for arguments in of_program("make"):
        done = subprocess.run(
            ["make", "-n", "-W", "envs/requirements.lock", *arguments], cwd=project.root, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_the_partition_files_writer_is_there():
    assert of_program("generate-slurm-partition-config")
    program = Path(sys.executable).parent / "generate-slurm-partition-config"
    assert "usage" in subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout


ABOUT_RESULTS = ("explain", "compare", "testcase")
"""Commands that are tried on a finished study, of simulated answers, under the documented folder."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which a study stands finished under both documented names, and the id of an item of it."""
    root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        make_study(Path("results/demo"), choices=24, open_questions=4, seeds=(1, 2), tables=("mcqa",))
        shutil.copytree("results/demo", "results/demo-3-epochs")
        return root, next(item.id for item in read_items("results/demo/shards/native/test.parquet"))


@pytest.mark.parametrize(
    "arguments",
    [command for command in of_program("posologie") if len(command) > 1 and command[0] in ABOUT_RESULTS],
    ids=" ".join,
)
def test_every_question_about_results_is_answered(arguments, finished, monkeypatch, capsys):
    from posologie.cli.commands import main

    root, item = finished
    monkeypatch.chdir(root)
    asked = [item if re.fullmatch(r"[0-9a-f]{20}", word) else word for word in arguments]
    assert main(asked) == 0
    printed = capsys.readouterr().out
    if arguments[0] == "explain":
        assert " rows match" not in printed
        assert "computed again from the scores file" in printed
    if "--output" in arguments:
        assert json.loads(Path(arguments[arguments.index("--output") + 1]).read_text())["item"]["id"] == item


@pytest.mark.parametrize(
    "arguments",
    [command for command in of_program("posologie") if len(command) < 2 or command[0] not in ABOUT_RESULTS],
    ids=" ".join,
)
def test_every_posologie_command_is_one(arguments, project, monkeypatch, capsys):
    """Those that need no results are run, the others are parsed."""
    from posologie.cli.commands import main, parser

    monkeypatch.chdir(project.root)
    if arguments[:1] == ["check"]:
        assert main([*arguments, "--offline"]) in (0, 1)
        assert ("torch " if "--gpu" in arguments else "config/") in capsys.readouterr().out
    elif arguments[:1] == ["new-study"]:
        assert main(arguments) == 0
        assert load_study(f"config/{arguments[1]}.yaml").study == arguments[1]
    elif arguments[:1] == ["status"]:
        assert main(["status"]) in (0, 1)
    elif "--help" in arguments:
        with pytest.raises(SystemExit, match="0"):
            main(arguments)
    elif len(arguments) > 1:
        assert parser().parse_args(arguments)
    else:
        with pytest.raises(SystemExit, match="0"):
            main([*arguments, "--help"])


def study_fragments():
    keys = {field.alias or name for name, field in Study.model_fields.items()} | {"extends"}
    plain = [block for block in BLOCKS if block.language == "yaml" and not block.file]
    return [block for block in plain if yaml.safe_load(block.text).keys() <= keys]


@pytest.mark.parametrize("block", study_fragments(), ids=lambda block: block.place)
def test_every_part_of_a_study_that_is_shown_is_valid(block):
    study = yaml.safe_load((REPOSITORY / "config/smollm2.yaml").read_text(encoding="utf-8"))
    Study.model_validate(study | yaml.safe_load(block.text))


def test_every_other_yaml_block_is_a_part_of_a_profile(examples):
    shown = {block.place for block in study_fragments()}
    known = site_profile("h100", examples).keys()
    for block in BLOCKS:
        if block.language == "yaml" and not block.file and block.place not in shown:
            assert yaml.safe_load(block.text).keys() <= known, block.place


def test_every_study_that_is_shown_whole_is_valid(project, examples, monkeypatch):
    monkeypatch.chdir(project.root)
    shown = [name for name in examples if name.startswith("config/")]
    assert shown
    for name in shown:
        assert load_study(name).study == Path(name).stem
    published = [name for name in examples if name.startswith("resources/published/")]
    assert [read_published(name).title for name in published] == ["Someone 2020"]


def test_the_example_of_own_data_becomes_shards_without_a_reject(project, monkeypatch, tmp_path):
    from posologie.records.files import read_json
    from posologie.sources import columns

    monkeypatch.chdir(project.root)
    study = load_study("config/own.yaml")
    counts = {}
    for name, source in study.sources.items():
        for split in source.splits:
            spec = shard_spec(study, name, split).canonical_json()
            outputs = [str(tmp_path / f"{name}-{split}.{suffix}") for suffix in ("parquet", "rejects", "json")]
            files = local_files(source, split)
            written = ["--items", outputs[0], "--rejects", outputs[1], "--report", outputs[2]]
            columns.main(["--spec", spec, "--inputs", *files, *written, "--processes", "1"])
            report = read_json(outputs[2])
            assert report["rejected"]["total"] == 0
            counts[name, split] = report["kept"]
    assert counts["native", "train"] == 3
    assert counts["native", "validation"] == 1
    assert counts["native", "test"] == 2
    assert counts["synthetic", "train"] == 2


def best_partition(file, resources, attempt=1):
    """Return the partition that the SLURM plugin chooses for a job."""
    from snakemake_executor_plugin_slurm.partitions import get_best_partition, read_partition_file

    scaled = {name: int(resources[name]) * attempt for name in ("mem_mb", "runtime")}
    asked = {"nodes": int(resources["nodes"]), "gpu": int(resources.get("gpu", 0)), **scaled}
    job = SimpleNamespace(name="job", threads=resources["threads"], resources=asked)
    silent = SimpleNamespace(debug=lambda text: None, info=lambda text: None, warning=lambda text: None)
    return get_best_partition(read_partition_file(file), job, silent)


def test_the_large_centre_sends_each_job_where_it_belongs(project, dry_runs):
    asked = resources_by_rule(dry_runs["--profile profiles/h100"][1])
    partitions = project.root / "profiles/h100/profile.yaml"
    for rule, resources in asked.items():
        if resources["local"]:
            continue
        expected = "gpu_h100" if "gpu" in resources else "cpu"
        assert best_partition(partitions, resources) == expected, rule
        growing = {"runtime": 1} if rule == "train_adapter" else {}
        third = {**resources, "runtime": int(resources["runtime"]) / 3} if growing else resources
        assert best_partition(partitions, third, attempt=3) == expected, f"{rule}, third attempt"
        assert resources["slurm_account"] == ("project@h100" if "gpu" in resources else "project@cpu")
    assert asked["train_adapter"]["constraint"] == "h100"
    assert asked["train_adapter"]["runtime"] == "1200"


def test_what_needs_the_network_runs_on_the_login_node(dry_runs):
    assert named_in(dry_runs["--profile slurm"][1], "networked rules") >= {"fetch_dataset", "fetch_model_hub"}
    for command, (_, output) in dry_runs.items():
        assert named_in(output, "networked rules") <= named_in(output, "local rules"), command
    assert "train_adapter" not in named_in(dry_runs["--profile slurm"][1], "local rules")


def test_the_small_lab_gives_every_job_its_one_partition(dry_runs):
    asked = resources_by_rule(dry_runs["--profile profiles/lab"][1])
    assert {job["slurm_partition"] for job in asked.values() if not job["local"]} == {"lab"}
    assert asked["train_adapter"]["runtime"] == "2880"


def rows(path, heading):
    """Return the cells of the first table below a heading, backticks left out, without its header."""
    section = (REPOSITORY / path).read_text(encoding="utf-8").split(heading, 1)[1]
    lines = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_published_study_has_the_documented_number_of_jobs(dry_runs):
    counted = Counter(job.rule for job in jobs_of(dry_runs[""][1]))
    del counted["all"]
    documented = Counter()
    for names, jobs, _ in rows("docs/reproduce-the-paper.md", "## What it takes"):
        patterns = [name.replace("*", r"\w+") for name in re.findall(r"`([^`]+)`", names)]
        fitting = [rule for rule in counted if any(re.fullmatch(pattern, rule) for pattern in patterns)]
        assert sum(counted[rule] for rule in fitting) == int(jobs), names
        documented.update(fitting)
    assert set(documented) == set(counted)
    assert set(documented.values()) == {1}


def test_the_documented_resources_are_those_of_the_rules(dry_runs):
    asked = resources_by_rule(dry_runs["--profile slurm"][1]) | {"look_at_shards": written_resources("look_at_shards")}
    for names, gpus, threads, memory, time in rows("profiles/README.md", "What the rules request"):
        listed = [name.replace("{bundle}", "*") for name in re.findall(r"`([^`]+)`", names)]
        fitting = [rule for rule in asked if any(re.fullmatch(name.replace("*", r"\w+"), rule) for name in listed)]
        assert fitting, names
        for rule in fitting:
            job = asked[rule]
            if job["local"]:
                continue
            assert ("gpu" in job) == (gpus != "–"), rule
            assert int(job["threads"]) in span(threads), rule
            assert int(job["mem_mb"]) / 1000 in span(memory), rule
            assert int(job["runtime"]) / (60 if time.endswith("h") else 1) in span(time), rule


def written_resources(rule):
    """Return what a rule outside the default target asks for, as its rule file says."""
    texts = [file.read_text(encoding="utf-8") for file in sorted((REPOSITORY / "workflow/rules").glob("*.smk"))]
    [block] = [text.split(f"rule {rule}:\n")[1].split("\nrule ")[0] for text in texts if f"rule {rule}:\n" in text]
    numbers = dict(re.findall(r"^ +(threads|mem_mb|runtime)\W+(?:growing\()?(\d+)", block, re.MULTILINE))
    return {**numbers, "local": "localrule: True" in block, **({"gpu": "1"} if "gpus(" in block else {})}


def span(text):
    """Return the range that a cell gives: `3–8 GB`, `training.threads (8)`, `24 h`."""
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    return range(min(numbers), max(numbers) + 1)


def test_every_folder_of_the_results_is_specified(dry_runs):
    text = (REPOSITORY / "results/README.md").read_text(encoding="utf-8")
    outputs = re.findall(r"results/(?:paper|demo)/(\w+)/", dry_runs[""][1] + dry_runs["--profile profiles/demo"][1])
    assert not [folder for folder in set(outputs) if f"`{folder}/" not in text]
