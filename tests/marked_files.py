"""Which test files a run of slow tests needs to import."""

from pathlib import Path


def is_left_out(path: Path, marks: str) -> bool:
    """Return whether a test file holds no test of the marks that were asked for.

    Args:
        path: the file.
        marks: pytest's option `-m`. Only for `slow` are files left out: most of the time of such a run would be the
            import of three hundred files without a slow test.
    """
    is_test = path.name.startswith("test_") and path.suffix == ".py"
    return marks == "slow" and is_test and "pytest.mark.slow" not in path.read_text(encoding="utf-8")
