"""`kill -9` of Snakemake while its SLURM jobs run: they are found, and adopted or cancelled."""

import json
import subprocess
import sys

import pytest

from slurm.running import until

# Two stages of one command of the project that takes a while: what it makes is told in its log like any other's.
SNAKEFILE = """
from posologie.code_digest import digest

rule all:
    input: expand("made/{name}.txt", name=["a", "b"])

rule make:
    input: "first.txt"
    output: "made/{name}.txt"
    log: "logs/{name}.log"
    params: text=config.get("text", "text")
    resources: mem_mb=500, runtime=10
    shell:
        "python -m posologie.making --spec {params.text:q} --out {output:q} 2> {log}"
        " # code " + digest("posologie.making")
"""

MAKING = """
import time
from pathlib import Path

from posologie import commands, files


def main(argv):
    arguments = commands.parser("posologie.making", "")
    arguments.add_argument("--out")
    given = arguments.parse_args(argv)
    while not Path("go").exists():  # until the test lets it
        time.sleep(0.2)
    files.write_text(given.out, given.spec)


if __name__ == "__main__":
    commands.run(main)
"""


pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def killed(slurm):
    """A folder in which Snakemake was killed while its two jobs ran."""
    (slurm.root / "Snakefile").write_text(SNAKEFILE)
    (slurm.root / "first.txt").write_text("first")
    (slurm.root / "workflow/posologie/making.py").write_text(MAKING)
    first = slurm.start()
    until(lambda: [job["state"] for job in slurm.jobs()] == ["RUNNING"] * 2, 120, "two jobs run")
    until(lambda: len(list((slurm.root / ".snakemake/incomplete").glob("*"))) == 2, 30, "both are marked")
    first.kill()
    return slurm


def posologie(slurm, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "posologie", *arguments],
        cwd=slurm.root,
        env=slurm.environment(),
        capture_output=True,
        text=True,
        timeout=240,
    )
    return done.returncode, done.stdout + done.stderr


def test_orphans_are_shown_and_adopted_and_nothing_is_made_twice(killed):
    code, shown = posologie(killed, "resume", "--json")
    assert code == 1
    assert {tuple(orphan["outputs"]) for orphan in json.loads(shown)["orphans"]} == {("made/a.txt",), ("made/b.txt",)}
    (killed.root / "go").touch()
    code, told = posologie(killed, "resume", "--adopt", "--every", "1")
    assert (code, "2 adopted, 0 removed" in told) == (0, True), told
    assert (killed.root / "made/a.txt").read_text() == "text"
    said = killed.start("-n").end()
    assert "Nothing to be done" in said
    assert "missing provenance" not in said
    changed = killed.start("-n", "--config", "text=other").end()
    assert "Params have changed" in changed, "the record knows what it was made with"


def test_what_snakemake_would_make_otherwise_now_is_not_adopted(killed):
    (killed.root / "go").touch()
    code, told = posologie(killed, "resume", "--adopt", "--every", "1", "--config", "text=other")
    assert (code, "0 adopted, 2 removed" in told) == (1, True), told
    assert not list((killed.root / "made").iterdir())


def test_orphans_are_cancelled_and_the_lock_is_taken_away(killed):
    code, told = posologie(killed, "resume", "--cancel", "--every", "1")
    assert (code, "2 cancelled" in told) == (0, True), told
    assert not killed.jobs()
    assert not list((killed.root / ".snakemake/locks").glob("*.lock"))
    assert posologie(killed, "resume")[0] == 0
