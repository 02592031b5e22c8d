"""The test cluster, and folders that Snakemake runs in on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from absent import absent
from slurm.cluster import Cluster, missing
from slurm.running import Slurm
from studies import Project


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running cluster; where there is no SLURM, the test fails, or is skipped if that is meant (see `absent`)."""
    if why := missing():
        absent("slurm", why)
    cluster = Cluster()
    with cluster.running():
        yield cluster


@pytest.fixture
def slurm(cluster: Cluster, tmp_path: Path) -> Iterator[Slurm]:
    """A copy of the project."""
    root = tmp_path / "project"
    Project.copy_to(root)
    project = Slurm(cluster, root)
    yield project
    project.clean_up()
