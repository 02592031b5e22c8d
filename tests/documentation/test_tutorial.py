"""The tutorial as a reader works through it: its files, its commands in their order, and what it says they show.

`make test-docs` runs it with a model of two layers in the place of SmolLM2; POSOLOGIE_TUTORIAL=whole takes SmolLM2.
"""

import json
import os
import re
import subprocess
from collections import Counter

import pytest

from documented import blocks
from studies import REPOSITORY, Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

PAGE = "docs/tutorial.md"
SMALL = {"tiny": {"untrained": {"corpus": ["resources/demo/native/Train/mcqu/mcqu_train.json"]}}}
NOT_RUN = ("--watch", "--profile slurm")
"""What waits for a second terminal, and what the dry runs of the documentation's own tests plan."""


def ordered_commands():
    """Return the commands of the page from the top."""
    shell = [block.text for block in blocks() if block.place.startswith(f"{PAGE}:") and block.language == "bash"]
    lines = [line for text in shell for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [line for line in lines if not any(part in line for part in NOT_RUN)]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project.copy_to(tmp_path_factory.mktemp("tutorial"))
    (text,) = (block.text for block in blocks() if block.file == "config/bicycle.yaml")
    if os.environ.get("POSOLOGIE_TUTORIAL") != "whole":
        kept = text.partition("backbones:")
        rest = kept[2].partition("training:")
        text = f"{kept[0]}backbones: {json.dumps(SMALL)}\n\ntraining:{rest[2]}"
    (project.root / "config/bicycle.yaml").write_text(text, encoding="utf-8")
    return project


@pytest.fixture(scope="module")
def printed(project):
    """What each command printed, by the command; the same command again has ` (again)` behind it."""
    printed = {}
    for command in ordered_commands():
        done = subprocess.run(
            command, shell=True, cwd=project.root, env=project.environment(), capture_output=True, text=True
        )
        allowed = (0, 1) if command.startswith("posologie") else (0,)
        assert done.returncode in allowed, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        name = command
        while name in printed:
            name += " (again)"
        printed[name] = done.stdout + done.stderr
    return printed


def output(printed, start, again=False):
    return next(text for name, text in printed.items() if name.startswith(start) and name.endswith("(again)") == again)


def test_the_guess_and_the_look_show_what_the_page_says(printed):
    guess = " ".join(output(printed, "posologie new-study").split())
    for line in re.findall(r"^  CONFIRM: (.+)$", (REPOSITORY / PAGE).read_text(encoding="utf-8"), re.MULTILINE):
        assert line in guess
    assert "Nothing is in the way" in output(printed, "posologie check")
    assert "1 of 22 records of the train split (4.5 %) were rejected" in output(printed, "posologie look --configfile")


def test_screening_removes_the_one_question_that_is_tested_too(project, printed):
    screened = json.loads((project.root / "results/bicycle/screened/exam/train.json").read_text(encoding="utf-8"))
    assert screened["removed"] == 1
    report = (project.root / "results/bicycle/report/index.html").read_text(encoding="utf-8")
    assert "An exam for bicycle mechanics" in report


def test_a_changed_share_makes_one_mix_again_and_leaves_the_other(project, printed):
    behind = output(printed, "posologie status")
    assert "BOTH/seed-42" in behind
    assert "EXAM" not in behind
    planned = output(printed, "snakemake --configfile config/bicycle.yaml -n")
    counts = Counter(dict(re.findall(r"^(\w+)\s+(\d+)$", planned, re.MULTILINE)))
    assert (counts["draw_mix"], counts["train_adapter"], counts["predict_exam"]) == ("1", "1", "1")
    composition = project.root / "results/bicycle/mixes/BOTH/seed-42/composition.json"
    parts = json.loads(composition.read_text(encoding="utf-8"))["parts"]
    assert {name: part["taken"][name] for name, part in parts.items()} == {"exam": 6, "practice": 12}
