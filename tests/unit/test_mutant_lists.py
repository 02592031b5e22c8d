"""The lists of the mutation tests name modules, tests and lines that exist."""

import tomllib
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
HERE = REPOSITORY / "tests/mutants"
LIBRARY = REPOSITORY / "workflow/posologie"
MODULES = tomllib.loads((HERE / "modules.toml").read_text(encoding="utf-8"))["modules"]
LISTED = (HERE / "survivors.yaml").read_text(encoding="utf-8")
SURVIVORS = yaml.safe_load(LISTED)


def test_mutated_modules_and_their_tests_exist():
    assert MODULES
    assert not [module for module in MODULES if not (LIBRARY / module).is_file()]
    assert not [test for tests in MODULES.values() for test in tests if not (REPOSITORY / test).is_file()]


def test_listed_survivors_change_lines_that_the_module_still_has():
    assert set(SURVIVORS) <= set(MODULES)
    headings = [line for line in LISTED.splitlines() if line.endswith(".py:")]
    assert len(headings) == len(SURVIVORS), "a module stands in two places, of which YAML reads one"
    stale = []
    for module, survivors in SURVIVORS.items():
        lines = {line.strip() for line in (LIBRARY / module).read_text(encoding="utf-8").splitlines()}
        changed = [line for survivor in survivors for line in survivor["change"] if line.startswith("-")]
        stale += [(module, line) for line in changed if line.removeprefix("-").strip() not in lines]
    assert not stale
