"""What all tests share: where the project and the real data lie, and one thread for torch."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the project."""
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real public data beside the project; the test is skipped where it is absent."""
    folder = Path(os.environ.get("POSOLOGIE_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; set POSOLOGIE_REAL_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory):
    """A copy of the project in which `config/test.yaml` has run to the report.

    Tests that use it belong to the group `finished_study`, so that one worker makes it once. They leave it as it was:
    they make dry runs of edits that they take back, or work on `finished_study.clone(folder)`.
    """
    from studies import Project

    project = Project.copy_to(tmp_path_factory.mktemp("finished") / "project")
    project.first_run = project.snakemake("--configfile", "config/test.yaml", "--cores", "2")
    return project
