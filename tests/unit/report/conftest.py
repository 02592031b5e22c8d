"""A simulated study with its figures, made once for the tests of the report."""

import shutil

import pytest
from browser_made import MANIFESTS, WordCounter
from browser_made import make_study as make_browsed_study

from posologie.report import sent
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


@pytest.fixture(scope="session")
def browsed_study(tmp_path_factory):
    """The small study of `browser_made`: its folder and its tested shards; tests leave both as they are."""
    root = tmp_path_factory.mktemp("browsed")
    return root, make_browsed_study(root)


@pytest.fixture
def counted_words(monkeypatch):
    """Let the backbone that a form of the small study names be a counter of words, if its manifest is handed over."""

    def chats(form, manifests):
        assert not form.backbone or {name: str(path) for name, path in manifests.items()} == MANIFESTS
        return WordCounter() if form.backbone else None

    monkeypatch.setattr(sent, "_chats", chats)
