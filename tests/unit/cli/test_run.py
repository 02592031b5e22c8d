"""`posologie run` and `posologie demo`: the Snakemake command that they stand for."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from posologie.running.installed import project as shipped_project


@pytest.fixture
def started(monkeypatch):
    """The commands that were started."""
    started = []

    def run(words, check):
        started.append(words)
        return SimpleNamespace(returncode=3)

    monkeypatch.setattr(subprocess, "run", run)
    return started


def test_a_run_prints_its_command_and_returns_the_exit_code_of_snakemake(tmp_path, monkeypatch, started, posologie):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Snakefile").touch()
    (tmp_path / "profiles/slurm").mkdir(parents=True)
    (tmp_path / "profiles/slurm/profile.yaml").touch()
    (tmp_path / "own study.yaml").touch()
    asked = ("--profile", "slurm", "--configfile", "own study.yaml", "-n", "mixes", "--", "--quiet", "rules")
    code, printed, _ = posologie("run", *asked)
    expected = "snakemake --profile profiles/slurm --configfile 'own study.yaml' --dry-run mixes --quiet rules\n"
    assert printed == expected
    assert code == 3
    assert started[0][:3] == [sys.executable, "-m", "snakemake"]


def test_an_empty_folder_runs_the_demo_of_the_installed_package(tmp_path, monkeypatch, started, posologie):
    monkeypatch.chdir(tmp_path)
    posologie("demo")
    words = started[0][2:]
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert list(options) == ["--snakefile", "--profile", "--configfile"]
    for option, name in zip(options, ("Snakefile", "profiles/demo", "config/demo.yaml"), strict=True):
        assert os.path.samefile(options[option], shipped_project() / name)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((), "nothing says where jobs run"),
        (("--profile", "slrum"), "no such profile; choose one of: demo, local-gpu, slurm, or a folder"),
        (("--cores", "2", "--configfile", "gone.yaml"), "gone.yaml: no such file"),
    ],
)
def test_what_cannot_run_is_one_line(arguments, error, tmp_path, monkeypatch, started, posologie):
    monkeypatch.chdir(tmp_path)
    code, _, printed = posologie("run", *arguments)
    assert (code, printed.count("\n")) == (2, 1)
    assert error in printed
    assert not started
