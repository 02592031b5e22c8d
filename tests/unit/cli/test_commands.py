"""The command line as a whole: help, version, exit codes, and a quick start."""

import argparse
import json
import os
import subprocess
import sys

import pytest

from posologie.cli.commands import main, parser
from posologie.cli.places import add_study, study_of
from posologie.running.installed import __version__


def test_help_names_every_command_and_the_exit_codes(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    for name in ("explain", "status", "compare", "new-study", "check", "testcase"):
        assert name in out
    assert "exit codes:" in out


@pytest.mark.parametrize("name", ["explain", "status", "compare", "new-study", "check", "testcase"])
def test_every_command_has_help_and_json(capsys, name):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert "--json" in capsys.readouterr().out


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"posologie {__version__}\n"


def test_an_unknown_command_ends_with_2(capsys):
    with pytest.raises(SystemExit) as stop:
        parser().parse_args(["dance"])
    assert stop.value.code == 2
    assert "dance" in capsys.readouterr().err


def test_help_and_a_small_command_start_without_heavy_libraries():
    heavy = "{'numpy', 'scipy', 'pandas', 'pyarrow', 'matplotlib'} & {*sys.modules}"
    for words in (["--help"], ["project"]):
        code = f"import sys, posologie.cli.commands as c\ntry: c.main({words})\nexcept SystemExit: pass\nprint({heavy})"
        started = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert started.stdout.splitlines()[-1] == "set()", words


def test_it_starts_without_the_libraries_of_models():
    code = "import sys, posologie.cli.commands as c; c.parser(); print({'torch', 'transformers'} & {*sys.modules})"
    started = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert started.stdout == "set()\n"


def test_a_reader_that_has_seen_enough_is_no_error(finished):
    piped = f"set -o pipefail; {sys.executable} -m posologie explain results/simulated/tables/mcqa.csv | true"
    done = subprocess.run(["bash", "-c", piped], cwd=finished, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_a_study_file_the_one_that_ran_last_is_meant(repository, tmp_path, monkeypatch, capsys):
    arguments = argparse.ArgumentParser()
    add_study(arguments)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resources").symlink_to(repository / "resources")
    (tmp_path / "config").symlink_to(repository / "config")
    for number, name in enumerate(("test", "demo")):
        run = tmp_path / "work" / name / "runs" / "r"
        run.mkdir(parents=True)
        (run / "study.json").write_text(json.dumps({"origin": f"config/{name}.yaml", "document": {}}), encoding="utf-8")
        os.utime(run / "study.json", (number, number))
    assert study_of(arguments.parse_args([])).study == "demo"
    assert capsys.readouterr().err.startswith("Study file: config/demo.yaml")
    assert study_of(arguments.parse_args(["--configfile", "config/test.yaml"])).study == "test"
    assert capsys.readouterr().err == ""
    os.utime(tmp_path / "work" / "test" / "runs" / "r" / "study.json", (5, 5))
    assert study_of(arguments.parse_args([])).study == "test"
