"""Other versions of Python are found, missing ones are not passed over, and the supported ones are tested."""

import os
import re
import sys
import tomllib

import other_pythons
import pytest

from studies import REPOSITORY

VERSION = "{}.{}".format(*sys.version_info)
SHIM = """#!/bin/sh
# runs only the version that is chosen, as a pyenv shim
test "$PYENV_VERSION" = "{version}" || {{ echo "pyenv: python{version}: command not found" >&2; exit 127; }}
exec "{python}" "$@"
"""


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """The only folder in which programs are found."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(other_pythons.SKIP, raising=False)
    return tmp_path


def put(path, text):
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def test_an_interpreter_is_found_by_its_name(programs):
    put(programs / f"python{VERSION}", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    assert other_pythons.interpreter(VERSION) == sys.executable


def test_an_interpreter_behind_a_shim_is_found_though_no_version_is_chosen(programs):
    put(programs / f"python{VERSION}", SHIM.format(version=VERSION, python=sys.executable))
    assert other_pythons.interpreter(VERSION) == sys.executable


def test_a_program_of_another_version_under_that_name_is_not_taken(programs):
    put(programs / "python3.99", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    assert other_pythons.interpreter("3.99") is None


def test_a_missing_version_fails_and_says_how_to_skip_it(programs, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["other_pythons.py", "3.98"])
    with pytest.raises(SystemExit, match=r"python3\.98: no such interpreter; POSOLOGIE_MAY_SKIP=python3\.98 skips"):
        other_pythons.main()


def test_a_missing_version_is_skipped_where_the_variable_names_it(programs, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["other_pythons.py", "3.98"])
    monkeypatch.setenv(other_pythons.SKIP, "slurm python3.98")
    other_pythons.main()
    assert capsys.readouterr().out == (
        "Python 3.98: not on this machine, skipped (POSOLOGIE_MAY_SKIP names python3.98)\n"
    )


def test_a_step_is_tried_again_only_as_often_as_allowed_and_a_failure_prints_its_output(tmp_path, capsys):
    with pytest.raises(SystemExit, match="packages failed: sh -c"):
        other_pythons.run("packages", "sh", "-c", "echo no route >&2; exit 3")
    assert capsys.readouterr().out == "no route\npackages: exit code 3, attempt 1 of 1\n"
    succeeds_once_the_folder_is_there = f"mkdir {tmp_path}/made 2>/dev/null && exit 4; echo made"
    assert other_pythons.run("packages", "sh", "-c", succeeds_once_the_folder_is_there, attempts=2) == "made\n"
    assert "packages: exit code 4, attempt 1 of 2\n" in capsys.readouterr().out


def test_the_versions_that_are_claimed_are_those_that_are_tested():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    claimed = re.findall(r"^Programming Language :: Python :: (3\.\d+)$", "\n".join(project["classifiers"]), re.M)
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    others = re.search(r"^PYTHONS \?= (.*)$", makefile, re.MULTILINE)[1].split()
    assert claimed == [project["requires-python"].removeprefix(">="), *others]
    submitted = (REPOSITORY / ".ci/run").read_text(encoding="utf-8")
    assert f"for version in {' '.join(others)}; do" in submitted
    assert 'make test-pythons PYTHONS="${pythons[*]}"' in submitted


def test_the_selected_tests_exist_and_those_left_out_lie_in_their_rooms():
    selection = tomllib.loads((other_pythons.HERE / "rooms.toml").read_text(encoding="utf-8"))["without_torch"]
    assert all((REPOSITORY / room).is_dir() for room in selection["rooms"])
    for file, _, test in (name.partition("::") for name in selection["left_out"]):
        assert not test or f"def {test}(" in (REPOSITORY / file).read_text(encoding="utf-8")
        assert (REPOSITORY / file).is_file()
        assert os.path.dirname(file) in selection["rooms"]
