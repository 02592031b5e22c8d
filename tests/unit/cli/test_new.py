"""`posologie new`: modules to start from that run, tests of them that pass, and the places that are left."""

import importlib
import json
import shutil
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[1]
STARTED = (
    ("metric", "brevity_here", "--kind", "open", "--direction", "higher", "--title", "brevity"),
    ("metric", "found_here", "--kind", "choice", "--direction", "lower"),
    ("table", "silence_here", "--title", "questions without an answer"),
    ("reader", "exams_here"),
)


@pytest.fixture
def clone(tmp_path):
    for package in ("scoring", "statistics", "sources"):
        (tmp_path / "workflow" / "posologie" / package).mkdir(parents=True)
        (tmp_path / "tests" / "unit" / package).mkdir(parents=True)
    return tmp_path


def test_the_tests_of_what_is_started_pass(posologie, clone, monkeypatch):
    for started in STARTED:
        code, _, err = posologie("new", *started, "--clone", clone)
        assert (code, err) == (0, "")
    for package in ("scoring", "statistics", "sources"):
        module = importlib.import_module(f"posologie.{package}")
        monkeypatch.setattr(module, "__path__", [*module.__path__, str(clone / "workflow" / "posologie" / package)])
        if (UNIT / package / "conftest.py").is_file():
            shutil.copy(UNIT / package / "conftest.py", clone / "tests" / "unit" / package)
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--import-mode=importlib", f"--rootdir={clone}"]
    options += ["-c", str(clone / "pytest.ini"), "-o", f"pythonpath={UNIT / 'statistics'}"]
    (clone / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    passed = []

    class Seen:
        def pytest_runtest_logreport(self, report):
            if report.when == "call" and report.passed:
                passed.append(report.nodeid)

    assert pytest.main([*options, str(clone / "tests")], plugins=[Seen()]) == 0
    assert len(passed) == 7


def test_the_places_that_are_left_are_printed_with_the_line_to_add(posologie, clone):
    code, out, _ = posologie("new", *STARTED[0], "--clone", clone, "--json")
    answer = json.loads(out)
    assert code == 0
    assert answer["written"] == [
        "workflow/posologie/scoring/brevity_here.py",
        "tests/unit/scoring/test_brevity_here.py",
    ]
    lines = {place["file"].partition(",")[0]: place["add"] for place in answer["places"]}
    assert (
        lines["workflow/posologie/scoring/metrics.py"] == '"brevity_here": Metric("brevity", "open", GREEDY, 1, "%"),'
    )
    for file in lines:
        assert (UNIT.parents[1] / file).is_file(), file
    code, out, _ = posologie("new", *STARTED[2], "--clone", clone)
    assert 'Table("questions without an answer", "statistics.silence_here"' in out
    assert "pytest tests/unit/statistics/test_silence_here.py tests/workflow/test_registries.py" in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("reader", "Exams"), "NAME = 'Exams': expected small letters"),
        (("reader", "class"), "NAME = 'class': expected small letters"),
        (("metric", "em", "--kind", "choice", "--direction", "higher"), "the metric is registered already"),
        (("table", "mcqa"), "the table is registered already"),
        (("metric", "x", "--kind", "choice"), "--direction: missing; a metric needs it"),
        (("table", "x", "--kind", "open"), "--kind: only a metric has one"),
        (("table", "x", "--title", 'a"b'), "--title: expected one line without quotation marks"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(posologie, clone, arguments, expected):
    code, _, err = posologie("new", *arguments, "--clone", clone)
    assert code == 2
    assert expected in err
    assert not list(clone.rglob("*.py"))


def test_a_file_that_is_there_is_kept_and_another_folder_is_no_clone(posologie, clone, tmp_path):
    assert posologie("new", "reader", "exams_here", "--clone", clone)[0] == 0
    assert "already exists; choose another name" in posologie("new", "reader", "exams_here", "--clone", clone)[2]
    assert "run this in a clone" in posologie("new", "reader", "exams_here", "--clone", tmp_path / "nothing")[2]
