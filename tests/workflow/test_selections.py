"""Any selection of test files runs in one call: what tests share has a name of its own and is never a conftest."""

import ast
from collections import Counter

import pytest

from absent import VARIABLE, absent
from marked_files import is_left_out
from studies import REPOSITORY

TESTS = REPOSITORY / "tests"
FILES = [path for path in TESTS.rglob("*.py") if not (path.parent / "__init__.py").exists()]
FILES = [path for path in FILES if ".cache" not in path.relative_to(TESTS).parts]


def imported(path):
    """Return the modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def test_no_two_modules_that_tests_share_have_the_same_name():
    names = Counter(path.stem for path in FILES if path.name != "conftest.py" and not path.stem.startswith("test_"))
    assert [name for name, count in names.items() if count > 1] == []


def test_no_test_imports_a_conftest_or_another_test_because_several_folders_have_one_of_that_name():
    private = {path.stem for path in FILES if path.name == "conftest.py" or path.stem.startswith("test_")}
    assert {path.name: private & set(imported(path)) for path in FILES if private & set(imported(path))} == {}


def test_no_test_file_repeats_the_name_of_its_folder():
    files = [path for path in TESTS.rglob("test_*.py") if ".cache" not in path.relative_to(TESTS).parts]
    assert len(files) > 200
    assert [path.name for path in files if path.stem.startswith(f"test_{path.parent.name}_")] == []


def marks_slow(path):
    """Return whether a file uses the mark, read from its syntax tree."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "slow"}
    return ".".join(("pytest", "mark", "slow")) in named


def test_a_run_of_slow_tests_imports_just_the_files_that_have_some():
    files = [path for path in TESTS.rglob("test_*.py") if ".cache" not in path.relative_to(TESTS).parts]
    slow = {path for path in files if marks_slow(path)}
    assert {"test_study.py", "test_refusals.py"} <= {path.name for path in slow}
    assert {path for path in files if not is_left_out(path, "slow")} == slow
    assert not [path for path in files if is_left_out(path, "not slow") or is_left_out(path, "")]
    assert not is_left_out(TESTS / "unit", "slow")


@pytest.mark.parametrize("named", [None, "", "browser axe"])
def test_a_stage_whose_programs_are_absent_fails(monkeypatch, named):
    monkeypatch.delenv(VARIABLE, raising=False)
    if named is not None:
        monkeypatch.setenv(VARIABLE, named)
    with pytest.raises(pytest.fail.Exception, match="no SLURM here; POSOLOGIE_MAY_SKIP=slurm skips these tests"):
        absent("slurm", "no SLURM here")


def test_a_stage_is_skipped_where_the_variable_names_it(monkeypatch):
    monkeypatch.setenv(VARIABLE, "axe slurm")
    with pytest.raises(pytest.skip.Exception, match="POSOLOGIE_MAY_SKIP names slurm"):
        absent("slurm", "no SLURM here")


def test_the_checks_of_a_submission_skip_nothing_by_themselves():
    for file in (".ci/run", "Makefile"):
        lines = (REPOSITORY / file).read_text(encoding="utf-8").splitlines()
        assert not [line for line in lines if "MAY_SKIP" in line and not line.startswith("#")]
