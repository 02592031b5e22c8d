"""Names with blanks, quotes and shell commands in them: taken literally, and never executed."""

import re
import shutil

import pytest
import yaml

from studies import REPOSITORY, Project

NASTY = "my $(touch PWNED) `touch PWNED` 'a \"b & ; touch PWNED #é"


def nasty_project(folder):
    """Return a project whose folder, study file, data, roots and corpus all have such names, and the study file."""
    project = Project.copy_to(folder / NASTY / "project")
    data = f"data {NASTY}"
    for split, name in (("Train", "train"), ("Validation", "val"), ("Test", "test")):
        target = project.root / data / split / NASTY / f"{NASTY}_{name}.json"
        target.parent.mkdir(parents=True)
        shutil.copy(project.root / f"resources/demo/native/{split}/mcqu/mcqu_{name}.json", target)
    study = yaml.safe_load((project.root / "config/test.yaml").read_text(encoding="utf-8"))
    study["roots"] = {root: f"{NASTY}/{root}" for root in ("work", "models", "datasets")}
    study["sources"] = {"native": {"provenance": "native", "path": data}}
    study["mixes"] = {"NAT": {"shares": {"native": 1}, "size": 8, "tasks": ["mcqu"]}}
    study["suites"] = {"mcqa": {"benchmarks": {"native-mcqu": {"source": "native", "tasks": ["mcqu"]}}}}
    study["validation"] = {"provenances": ["native"], "size": 2}
    study["backbones"]["tiny"]["untrained"]["corpus"] = [f"{data}/Train/{NASTY}/{NASTY}_train.json"]
    path = f"config/{NASTY}.yaml"
    (project.root / path).write_text(yaml.safe_dump(study, allow_unicode=True), encoding="utf-8")
    return project, path


@pytest.mark.slow
def test_names_with_blanks_quotes_and_commands_are_taken_literally_and_nothing_is_executed(tmp_path):
    project, study = nasty_project(tmp_path)
    planned = {job.rule for job in project.planned("--configfile", study)}
    assert {"fetch_model_untrained", "train_adapter", "predict_mcqa", "browse_items", "write_report"} <= planned
    project.snakemake("--configfile", study, "--cores", "2", "--", "shards", "mixes")
    assert (project.root / "results/test/mixes/NAT/seed-42/composition.json").is_file()
    assert (project.root / NASTY / "work/test/logs/mixes/NAT/seed-42.log").is_file(), "the log is where roots.work says"
    assert not list(tmp_path.rglob("PWNED"))


def refusal(project, study):
    """Return the only line, beside the one about the profile, with which a dry run ends."""
    output = project.snakemake("-n", "--configfile", study, fails=True)
    lines = [line for line in output.splitlines() if line.strip() and not line.startswith("Using workflow specific")]
    assert len(lines) == 1, output
    return lines[0]


def test_a_brace_in_a_root_or_in_the_projects_folder_is_refused_in_one_line(tmp_path):
    project = Project.copy_to(tmp_path / "project")
    study = (project.root / "config/test.yaml").read_text(encoding="utf-8") + "roots: {work: 'scratch {me}'}\n"
    (project.root / "config/braces.yaml").write_text(study, encoding="utf-8")
    expected = "a path without '{', which Snakemake takes for something else; rename it"
    line = len(study.splitlines())
    assert refusal(project, "config/braces.yaml") == (
        f"error: config/braces.yaml, line {line}: roots.work = 'scratch {{me}}': expected {expected}"
    )
    project.root.rename(tmp_path / "pro{j}ect")
    braces = Project(tmp_path / "pro{j}ect")
    assert refusal(braces, "config/test.yaml") == f"error: {braces.root}: the project's folder: expected {expected}"


def test_every_path_and_text_in_a_shell_command_is_quoted():
    used = {
        place
        for file in (REPOSITORY / "workflow/rules").glob("*.smk")
        for place in re.findall(r"\{((?:input|output|params|log)\b[^{}\s]*)\}", file.read_text(encoding="utf-8"))
    }
    assert len(used) > 40
    assert {place for place in used if not place.endswith(":q")} == {"params.size"}, "the size is a number"
