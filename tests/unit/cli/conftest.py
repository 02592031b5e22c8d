"""A finished study below `results/` of an empty project, and the command line in it."""

import json
import shutil

import pytest

from posologie.cli.commands import main
from simulated import make_study


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A simulated study at results/simulated of a project; tests leave it as it is."""
    project = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        from pathlib import Path

        make_study(Path("results/simulated"), choices=24, open_questions=4, tables=("composition", "mcqa", "contrasts"))
    return project


@pytest.fixture
def project(finished, tmp_path, monkeypatch):
    """A copy of the project that a test may change, and the folder that commands run in."""
    copy = tmp_path / "project"
    shutil.copytree(finished, copy)
    monkeypatch.chdir(copy)
    return copy


@pytest.fixture
def posologie(capsys):
    """Run `posologie …` and return its exit code and what it printed."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def asked(posologie):
    """Run `posologie … --json` and return its exit code and the JSON that it printed."""

    def run(*arguments):
        code, out, err = posologie(*arguments, "--json")
        assert not err
        return code, json.loads(out)

    return run
