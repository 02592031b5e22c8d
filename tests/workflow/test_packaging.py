"""A wheel holds the package with its data files and the workflow around it, and names what it needs."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest

from studies import REPOSITORY, Project


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that is built of a copy of the project."""
    root = tmp_path_factory.mktemp("wheel")
    Project.copy_to(root)
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy2(REPOSITORY / name, root / name)
    build = "import setuptools.build_meta as backend; print(backend.build_wheel('dist'))"
    subprocess.run([sys.executable, "-c", build], cwd=root, check=True, capture_output=True)
    (built,) = (root / "dist").glob("*.whl")
    with zipfile.ZipFile(built) as file:
        return {name: file.read(name).decode("utf-8") for name in file.namelist()}


def test_every_file_of_the_package_is_in_the_wheel(wheel):
    library = REPOSITORY / "workflow"
    files = [path for path in (library / "posologie").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    missing = {path.relative_to(library).as_posix() for path in files} - wheel.keys()
    assert not missing
    assert "snakemake_logger_plugin_posologie/__init__.py" in wheel, "Snakemake finds its logger plugin by this name"
    assert {path.suffix for path in files} >= {".py", ".j2", ".js", ".css", ".md"}


def test_what_a_run_reads_is_in_the_wheel_where_the_package_looks_for_it(wheel):
    for folder in ("config", "envs", "profiles", "resources", "workflow/rules", "workflow/report", "workflow/schemas"):
        for path in (REPOSITORY / folder).rglob("*"):
            if path.is_file():
                assert f"posologie/project/{path.relative_to(REPOSITORY).as_posix()}" in wheel
    for name in ("Snakefile", "workflow/Snakefile"):
        assert wheel[f"posologie/project/{name}"] == (REPOSITORY / name).read_text(encoding="utf-8")


def test_the_wheel_needs_what_the_environment_is_made_of(wheel):
    """`envs/requirements.in` up to its development part, package by package."""
    (metadata,) = (text for name, text in wheel.items() if name.endswith("/METADATA"))
    required = re.findall(r"^Requires-Dist: ([\w.-]+)(?!.*extra ==)", metadata, re.MULTILINE)
    asked = (REPOSITORY / "envs/requirements.in").read_text(encoding="utf-8").partition("# development")[0]
    names = [re.match(r"[\w.-]+", line) for line in asked.splitlines() if line and not line.startswith("#")]
    assert sorted(required) == sorted(name[0] for name in names)


def test_the_site_is_built_with_the_locked_packages_and_its_own():
    locks = [
        (REPOSITORY / f"envs/{name}.lock").read_text(encoding="utf-8").lower() for name in ("requirements", "docs")
    ]
    shared, own = (set(re.findall(r"^([\w.-]+)==", text.replace("_", "-"), re.MULTILINE)) for text in locks)
    assert not shared & own
    asked = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]["docs"]
    listed = (REPOSITORY / "envs/docs.in").read_text(encoding="utf-8").splitlines()
    assert asked == [line for line in listed if not line.startswith("#")]
    assert {name.partition("[")[0] for name in asked} <= own


def test_the_bounds_of_the_wheel_hold_the_locked_versions():
    """A locked version outside them would make the lock file and an installed wheel two programs."""
    from packaging.requirements import Requirement

    lock = dict(re.findall(r"^([\w.-]+)==([\w.]+)$", (REPOSITORY / "envs/requirements.lock").read_text(), re.MULTILINE))
    locked = {name.lower().replace("_", "-"): version for name, version in lock.items()}
    for text in tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"]:
        need = Requirement(text)
        assert need.specifier.contains(locked[need.name.lower().replace("_", "-")]), text
