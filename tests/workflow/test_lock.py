import re
import runpy
import sys
import tomllib
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from itertools import chain

from packaging.requirements import Requirement


def test_the_lock_pins_exact_public_versions(repository):
    lines = (repository / "envs/requirements.lock").read_text(encoding="utf-8").splitlines()
    assert len(lines) > 50
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.!]*", line), (
            f"{line}: expected NAME==VERSION, no local tag"
        )
    assert "torch==2.13.0" in lines


def test_the_lock_holds_everything_that_is_asked_for(repository):
    locked = {
        re.sub(r"[-_.]+", "-", line.split("==")[0]).lower()
        for line in (repository / "envs/requirements.lock").read_text(encoding="utf-8").splitlines()
    }
    for file in ("envs/requirements.in", "envs/models.in"):
        for line in (repository / file).read_text(encoding="utf-8").splitlines():
            name = re.split(r"[\[=<>#\s]", line)[0]
            if name:
                assert re.sub(r"[-_.]+", "-", name).lower() in locked, f"{name}: run `make lock`"


def test_uv_installs_the_versions_of_the_lock(repository):
    text = (repository / "pyproject.toml").read_text(encoding="utf-8")
    made = runpy.run_path(str(repository / "envs/uv.py"))["project_for_uv"](text)
    assert made == text, "run `python envs/uv.py`"
    project = tomllib.loads(text)
    lock = (repository / "envs/requirements.lock").read_text(encoding="utf-8").split()
    assert project["tool"]["uv"]["constraint-dependencies"] == lock
    asked = project["dependency-groups"]["dev"] + project["project"]["dependencies"]
    files = [(repository / f"envs/{name}.in").read_text(encoding="utf-8") for name in ("requirements", "models")]
    listed = [line for line in "\n".join(files).splitlines() if line and not line.startswith("#")]
    assert {Requirement(line).name for line in asked} == {Requirement(line).name for line in listed}


def test_every_package_that_the_library_imports_comes_with_what_it_declares(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    declared = set()
    while waiting:
        asked = Requirement(waiting.pop())
        for extra in ("", *asked.extras):
            if (name := plain(asked.name), extra) not in declared:
                declared.add((name, extra))
                with suppress(PackageNotFoundError):  # an option's package that is not installed here
                    lines = [line for line in requires(name) or () if ("extra ==" in line) == bool(extra)]
                    waiting += [line for line in lines if applies(Requirement(line), extra)]
    names = {name for name, _ in declared}
    source = "\n".join(path.read_text(encoding="utf-8") for path in (repository / "workflow/posologie").rglob("*.py"))
    imported = set(re.findall(r"^ *(?:import|from) (\w+)", source, re.MULTILINE)) - sys.stdlib_module_names
    installed = packages_distributions()
    missing = {name for name in imported & installed.keys() if not names & set(map(plain, installed[name]))}
    assert missing - {"posologie"} == set()


def test_what_the_lock_leaves_out_is_explained_and_stays_out(repository):
    lines = (repository / "envs/requirements.lock").read_text(encoding="utf-8").splitlines()
    locked = {plain(line.split("==")[0]) for line in lines}
    left_out = set()
    for name in locked:
        with suppress(PackageNotFoundError):  # a package of another platform
            asked = [Requirement(line) for line in requires(name) or ()]
            left_out |= {
                (name, plain(requirement.name))
                for requirement in asked
                if applies(requirement, "") and plain(requirement.name) not in locked
            }
    left_out = {(name, asked) for name, asked in left_out if not asked.startswith(("nvidia-", "cuda-", "triton"))}
    models = (repository / "envs/models.in").read_text(encoding="utf-8").splitlines()
    others = {(name, asked) for name, asked in left_out if name not in models}
    assert others == {("num2words", "docopt")}
    readme = (repository / "envs/README.md").read_text(encoding="utf-8")
    assert [row for row in left_out if f"| `{row[0]}` | `{row[1]}` |" not in readme] == []
    assert "|docopt|" in (repository / "Makefile").read_text(encoding="utf-8"), "make lock leaves it out"


def applies(requirement, extra):
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()
