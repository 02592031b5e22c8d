"""Any selection of test files runs in one call: what tests share has a name of its own and is never a conftest."""

import ast
from collections import Counter

from studies import REPOSITORY

FILES = [path for path in (REPOSITORY / "tests").rglob("*.py") if not (path.parent / "__init__.py").exists()]


def imported(path):
    """Return the modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def test_no_two_files_of_the_tests_have_the_same_name_unless_pytest_alone_imports_them():
    names = Counter(path.stem for path in FILES if path.name != "conftest.py")
    assert [name for name, count in names.items() if count > 1] == []


def test_no_test_imports_a_conftest_because_every_folder_has_one():
    assert [path.name for path in FILES if "conftest" in imported(path)] == []
