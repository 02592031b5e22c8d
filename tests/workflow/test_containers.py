"""The recipes of containers, read without a builder: a pinned base, the lock file, no root, all files of the wheel."""

import re

import pytest

from studies import REPOSITORY

FOLDER = REPOSITORY / "envs/containers"
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
APPTAINER = (FOLDER / "posologie.def").read_text(encoding="utf-8")
IGNORED = (FOLDER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()


def instructions():
    """Return the instructions of the Dockerfile in their order, continued lines joined, without comments."""
    text = "\n".join(line for line in DOCKERFILE.splitlines() if not line.startswith("#"))
    return [tuple(line.split(" ", 1)) for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def section(name):
    """Return a section of the Apptainer definition."""
    return re.search(rf"^%{name}\n(.*?)(?=^%|\Z)", APPTAINER, re.MULTILINE | re.DOTALL)[1]


def shipped():
    setup = (REPOSITORY / "setup.py").read_text(encoding="utf-8")
    return {name.split("/")[0] for name in re.findall(r'"([^"]+)"', re.search(r"SHIPPED = \((.*?)\)", setup, re.S)[1])}


def test_both_recipes_begin_with_the_same_python_of_the_lock_pinned_to_its_patch():
    (base,) = (words for name, words in instructions() if name == "FROM")
    assert f"From: {base}\n" in APPTAINER
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base)


@pytest.mark.parametrize("text", [DOCKERFILE, section("post")], ids=["docker", "apptainer"])
def test_packages_come_from_the_lock_and_nothing_else_is_downloaded(text):
    installs = re.findall(r"pip install (.+?)(?:;|\\?$)", text, re.MULTILINE)
    lines = {line.strip().rstrip("\\ ") for line in installs}
    assert {"--no-deps -r envs/requirements.lock", "-c envs/requirements.lock torch"} < lines
    assert {"--no-deps --no-build-isolation ."} < lines
    assert all("--no-deps" in line or "-c envs/requirements.lock" in line for line in lines)
    assert not re.search(r"curl|wget|https?://|\| *sh", text)
    assert not re.search(r"\b(TOKEN|PASSWORD|SECRET)\b", text)


def test_a_changed_source_file_builds_no_packages_again():
    words = [f"{name} {rest}" for name, rest in instructions()]
    locked = next(place for place, line in enumerate(words) if "-r envs/requirements.lock" in line)
    assert locked < words.index("COPY . /opt/posologie")
    assert words[: words.index("COPY . /opt/posologie")].count(
        "COPY envs/requirements.lock /opt/posologie/envs/requirements.lock"
    )


def test_nothing_in_the_image_runs_as_root():
    names = [name for name, _ in instructions()]
    (user,) = (words for name, words in instructions() if name == "USER")
    assert int(user) >= 1000
    assert "RUN" not in names[names.index("USER") :]
    assert names.index("USER") < names.index("ENTRYPOINT")


def test_both_recipes_take_all_that_the_wheel_is_built_of():
    needed = shipped() | {"workflow", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"}
    allowed = {line.removeprefix("!") for line in IGNORED if line.startswith("!")}
    assert IGNORED[1] == "*"
    assert allowed == needed
    copied = dict(line.split() for line in section("files").splitlines() if line.strip())
    assert copied == {name: f"/opt/posologie/{name}" for name in needed}
    assert all((REPOSITORY / name).exists() for name in needed)
