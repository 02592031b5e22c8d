"""What all tests share: where the project and the real data lie, and one thread for torch."""

import os
import shutil
import sys
from pathlib import Path

import hypothesis
import pytest
from filelock import FileLock
from xdist.scheduler import LoadScopeScheduling

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# The same examples in every run; others are tried with `--hypothesis-profile default`. An example may take as long as a
# busy machine needs.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
# A mutant is noticed by the first example that fails: to find the smallest one would take minutes.
found = [phase for phase in hypothesis.Phase if phase not in {hypothesis.Phase.shrink, hypothesis.Phase.explain}]
hypothesis.settings.register_profile("mutants", hypothesis.settings.get_profile("same"), phases=found)
hypothesis.settings.load_profile("mutants" if "POSOLOGIE_MUTANTS" in os.environ else "same")

TOGETHER = {
    "tests/slurm/test_faults.py": "nodes of the cluster",
    "tests/slurm/test_study.py": "nodes of the cluster",
    "tests/slurm/test_training.py": "nodes of the cluster",
    "tests/slurm/test_orphans.py": "nodes of the cluster",
    "tests/slurm/test_scheduler.py": "jobs of the cluster",
}
"""Files whose tests one worker runs, because they take down what the others would use."""

REPOSITORY = Path(__file__).resolve().parents[1]

# Any selection of test files runs in one call: pytest imports each under a name of its own (--import-mode=importlib),
# and the modules that several share (`mixes_made.py`, `endpoint_server.py` …) are found in every folder.
sys.path += sorted(
    {
        str(path.parent)
        for path in (REPOSITORY / "tests").rglob("*.py")
        if not (path.parent / "__init__.py").exists() and str(path.parent) not in sys.path
        if ".cache" not in path.relative_to(REPOSITORY / "tests").parts  # tools that are installed beside the tests
    }
)


def pytest_ignore_collect(collection_path, config):
    """Import only the files that hold a slow test if only slow tests are asked for."""
    from marked_files import is_left_out

    return is_left_out(collection_path, config.option.markexpr) or None


class ByFile(LoadScopeScheduling):
    """Gives each file, or the files of `TOGETHER`, to one worker as a whole, in the order of collection.

    The group marks of pytest-xdist 3.8 have no effect under pytest 9.2, which ignores the node ids that they change.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return TOGETHER.get(file, file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Spread the tests over the workers by file."""
    return ByFile(config, log)


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
def finished_study(tmp_path_factory, worker_id):
    """A copy of the project in which `config/test.yaml` has run to the report.

    The first worker that asks makes it and the others wait; each works on a clone of its own. Tests leave the clone as
    it was: they make dry runs of edits that they take back, or work on `finished_study.clone(folder)`.
    """
    from studies import Project

    own = tmp_path_factory.mktemp("finished") / "project"
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "finished-study"
    output = shared / "first_run.txt"
    with FileLock(f"{shared}.lock"):
        if not output.exists():
            shutil.rmtree(shared, ignore_errors=True)
            made = Project.copy_to(shared / "project")
            output.write_text(made.snakemake("--configfile", "config/test.yaml", "--cores", "2"), encoding="utf-8")
    project = Project(shared / "project").clone(own)
    project.first_run = output.read_text(encoding="utf-8")
    return project
