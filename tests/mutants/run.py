"""Mutation testing of what numbers rest on: `python tests/mutants/run.py [MODULE…]`, or `make mutants`.

mutmut (https://mutmut.readthedocs.io) changes one expression of a module at a time and runs the module's own tests
(`modules.toml`). A mutant that no test notices survives; those that change nothing that counts are listed with the
reason in `survivors.yaml`. Mutants of error messages, log lines and help are left out altogether, as the digest of the
code leaves these words out. The run fails where fewer than 95 % of a module's other mutants are killed, and prints each
survivor that is not listed, the share of all that are killed, and the share without those that are listed.

mutmut is no part of the environment: it is installed beside it, into tests/.cache/mutmut.
"""

import argparse
import ast
import difflib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from posologie.running.counted_code import counted_text

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
TOOL = REPOSITORY / "tests/.cache/mutmut"
PACKAGES = ("mutmut==3.8.1", "libcst==1.9.0", "coverage==7.17.5", "setproctitle==1.3.8")
WANTED = 0.95
NOTHING = "the name of no mutant"
COPIED = ("tests", "resources", "config", "envs", "workflow/rules", "workflow/schemas")
CONFIGURATION = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = ["src/posologie/{module}"]
also_copy = ["resources", "config", "envs", "workflow"]
# A test that fails is enough: explaining it would take longer than the test.
pytest_add_cli_args = ["-x", "--assert=plain", "--tb=native",
  "-p", "no:xdist", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib"]
pytest_add_cli_args_test_selection = {tests}
use_git_change_detection = false
process_isolation = "{isolation}"
timeout_multiplier = 10.0
timeout_constant = 30.0
"""
KILLED = {1: "killed", 3: "killed", -24: "timeout", 24: "timeout", 36: "timeout", 152: "timeout", 255: "timeout"}
"""mutmut's exit codes of a mutant that a test noticed, or that ran for ever."""


class Generated:
    """The functions of a module as mutmut wrote them: each original, and its mutants beside it."""

    def __init__(self, path: Path) -> None:
        source = path.read_text(encoding="utf-8")
        lines = source.splitlines()
        self.lines: dict[str, list[str]] = {}
        self.counted: dict[str, str] = {}
        for top in ast.parse(source).body:
            for function in [top] if isinstance(top, ast.FunctionDef) else getattr(top, "body", ()):
                if isinstance(function, ast.FunctionDef):
                    name, function.name = function.name, "same"
                    own = name.removeprefix("x_").rpartition("ǁ")[2].rpartition("__mutmut_")[0]
                    shown = lines[function.lineno - 1 : function.end_lineno]
                    self.lines[name] = [line.replace(f"def {name}(", f"def {own}(") for line in shown]
                    self.counted[name] = counted_text(ast.Module([function], []))

    def is_prose(self, mutant: str) -> bool:
        """Whether a mutant changes only words that people read: messages of errors, log lines, help.

        It is then equal to the original for the digest of the code (`posologie.running.counted_code`), which makes
        nothing again for it, and is neither killed nor a survivor.
        """
        name, original = self._names(mutant)
        return self.counted[name] == self.counted[original]

    def change(self, mutant: str) -> list[str]:
        """Return the lines that a mutant takes away (-) and puts in (+)."""
        name, original = self._names(mutant)
        lines = list(difflib.unified_diff(self.lines[original], self.lines[name], n=0, lineterm=""))[2:]
        return [f"{line[0]} {line[1:].strip()}" for line in lines if line[0] in "+-"]

    def _names(self, mutant: str) -> tuple[str, str]:
        name = mutant.rpartition(".")[2]
        return name, f"{name.rpartition('__mutmut_')[0]}__mutmut_orig"


def install() -> None:
    """Install mutmut where it is not yet."""
    if not (TOOL / "mutmut").is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--target", str(TOOL), *PACKAGES], check=True)


def mutate(module: str, tests: list[str], folder: Path, again: bool) -> tuple[dict[str, int | None], Generated]:
    """Run one module's mutants in a copy of the project; return them, and the exit code of each that is no prose.

    Args:
        again: whether to keep what an earlier run found, and to try only what survived then, with the tests of now.
    """
    if not again:
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(
        REPOSITORY / "workflow/posologie",
        folder / "src/posologie",
        ignore=shutil.ignore_patterns("__pycache__"),
        dirs_exist_ok=True,
    )
    for name in COPIED:
        ignored = shutil.ignore_patterns("__pycache__", ".cache")
        shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored, dirs_exist_ok=True)
    # mutmut runs the tests once and forks each mutant from there: what `functools.cache` keeps would hide mutants.
    source = (REPOSITORY / "workflow/posologie" / module).read_text(encoding="utf-8")
    isolation = "forkserver" if "cache" in source else "fork"
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text(
        project + CONFIGURATION.format(module=module, tests=json.dumps(tests), isolation=isolation)
    )
    results = folder / f"mutants/src/posologie/{module}.meta"
    with open(folder / "mutmut.log", "w", encoding="utf-8") as log:
        command = [*mutmut(), "run", "--max-children", "1"]
        options: dict[str, Any] = {"cwd": folder, "env": environment(), "stdout": log, "stderr": log}
        subprocess.run([*command, NOTHING], **options)  # makes the mutants and measures the tests, and ends
        if not results.is_file():
            raise SystemExit(f"{module}: mutmut made no mutants; see {folder}/mutmut.log")
        codes = exit_codes(results)
        generated = Generated(results.with_suffix(""))
        counted = {name for name in codes if not generated.is_prose(name)}
        if tried := sorted(name for name in counted if codes[name] not in KILLED):
            subprocess.run([*command, *tried], **options)
    codes = {name: code for name, code in exit_codes(results).items() if name in counted}
    if not codes or None in codes.values():
        raise SystemExit(f"{module}: mutmut did not try every mutant (do the tests pass?); see {folder}/mutmut.log")
    return codes, generated


def exit_codes(results: Path) -> dict[str, int | None]:
    """Return mutmut's exit code of each mutant; None for one that was not tried."""
    codes: dict[str, int | None] = json.loads(results.read_text(encoding="utf-8"))["exit_code_by_key"]
    return codes


def mutmut() -> list[str]:
    """Return the command."""
    return ["nice", "-n", "15", sys.executable, "-m", "mutmut"]


def environment() -> dict[str, str]:
    """Return the environment in which mutmut is found, and no thread is started beside it."""
    return {**os.environ, "PYTHONPATH": str(TOOL), "OMP_NUM_THREADS": "1", "POSOLOGIE_MUTANTS": "1"}


def main() -> int:
    """Mutate modules one by one; print the score of each, and every survivor that is not listed."""
    modules = tomllib.loads((HERE / "modules.toml").read_text(encoding="utf-8"))["modules"]
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("modules", nargs="*", metavar="MODULE", help="such as prompting.py; all if left out")
    arguments.add_argument("--again", action="store_true", help="try only what survived before, with the tests of now")
    arguments.add_argument("--work", type=Path, default=REPOSITORY / "work/mutants", help="folder of the copies")
    options = arguments.parse_args()
    if unknown := set(options.modules) - set(modules):
        arguments.error(f"{', '.join(sorted(unknown))}: not in {HERE / 'modules.toml'}")
    install()
    listed = yaml.safe_load((HERE / "survivors.yaml").read_text(encoding="utf-8")) or {}
    wrong = 0
    for module in options.modules or modules:
        folder = options.work / module.replace("/", "-")
        codes, generated = mutate(module, modules[module], folder, options.again)
        known = [entry["change"] for entry in listed.get(module, [])]
        counts: Counter[str] = Counter()
        for name, code in codes.items():
            outcome = KILLED.get(code, "survived")
            counts[outcome] += 1
            if outcome == "survived" and (change := generated.change(name)) in known:
                counts["listed"] += 1
                counts["survived"] -= 1
            elif outcome == "survived":
                print(f"  {name.rpartition('.')[2]} (exit {code})", *change, sep="\n    ")
        killed, others = counts["killed"] + counts["timeout"], len(codes) - counts["listed"]
        wrong += not others or killed / others < WANTED
        raw, net = 100 * killed / len(codes), 100 * killed / max(others, 1)
        print(
            f"{module}: {killed} of {len(codes)} mutants killed, {raw:.1f} %;"
            f" {net:.1f} % without the {counts['listed']} that are listed",
            flush=True,
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
