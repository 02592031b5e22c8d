"""A simulated study with its figures, made once for the tests of the report."""

import shutil

import pytest

from posologie.report.figures import __main__ as figures
from simulated import make_study


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """A demonstration whose figures are drawn; tests leave it as it is."""
    study = make_study(tmp_path_factory.mktemp("simulated"), demonstration=True)
    folder = str(study.root / "figures")
    figures.main(["--spec", study.report.canonical_json(), "--results", str(study.root), "--figures", folder])
    return study


@pytest.fixture
def own_study(simulated, tmp_path):
    """A copy of the simulated study that a test may change: its root, and the spec of its report."""
    root = tmp_path / "study"
    shutil.copytree(simulated.root, root)
    return root, simulated.report
