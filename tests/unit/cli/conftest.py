"""A finished study below `results/` of an empty project, and the command line in it."""

import json
import shutil

import pytest

from posologie.cli.commands import main
from posologie.running.seals import Identity, write_seal
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
def reported(project):
    """The project with a report of the simulated study, and the seal that says what the report shows."""
    page = project / "results/simulated/report/index.html"
    page.parent.mkdir()
    page.write_text("<title>Report</title>")
    models = [{"name": "tiny/base", "kind": "base", "backbone": "tiny"}]
    models += [
        {"name": f"tiny/{mix}/seed-42", "kind": "mix", "backbone": "tiny", "mix": mix, "seed": 42}
        for mix in ("NAT", "SYN")
    ]
    spec = {
        "study": "simulated",
        "mixes": ["NAT", "SYN"],
        "models": models,
        "suites": ["mcqa"],
        "tables": ["mcqa", "contrasts"],
    }
    write_seal([page], Identity("posologie.report", "code", spec), {}, {})
    return project


@pytest.fixture
def untouched(tmp_path, monkeypatch):
    """Write a study file and empty data for it, make their folder the current one, and return it."""

    def write(text):
        monkeypatch.chdir(tmp_path)
        for folder, name in (("Train", "train"), ("Validation", "val"), ("Test", "test")):
            path = tmp_path / "data" / folder / "mcqu" / f"mcqu_{name}.json"
            path.parent.mkdir(parents=True)
            path.write_text("[]")
        (tmp_path / "study.yaml").write_text(text)
        return tmp_path

    return write


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
