"""A bench for seals: a folder with one input, and a stage that is run, planned and frozen without Snakemake."""

import json
from pathlib import Path

import pytest

from posologie.running import sealing
from posologie.running.comparing import Comparison, PlannedJob
from posologie.running.planning import VARIABLE, own_run
from posologie.running.sealing import Request
from posologie.running.seals import FileHashes, Identity

MODULE = "posologie.scoring"


class Bench:
    """A folder with one input and one stage whose command doubles it."""

    def __init__(self, root):
        self.root = root
        self.code = "c0de"
        self.runs = 0
        self.meanwhile = lambda: None
        (root / "input.txt").write_text("a")

    def identity(self, spec):
        return Identity(MODULE, self.code, spec)

    def make(self, spec="s", outputs=("out.txt",), pages=(), beside=""):
        def main(argv):
            self.runs += 1
            text = (self.root / "input.txt").read_text()
            self.meanwhile()
            for output in argv[2:]:
                Path(output).write_text(f"{text}{text} {spec}")
            for page in pages:
                Path(argv[2]).with_name(page).write_text(page)

        request = Request(("input.txt",), tuple(outputs), beside=beside)
        sealing.make(MODULE, lambda module: self.code, ["--spec", json.dumps(spec), *outputs], request, main)

    def planned(self, spec="s", outputs=("out.txt",), beside=""):
        return PlannedJob(self.identity(spec), ("input.txt",), tuple(outputs), beside=beside)

    def stale(self, spec="s", accepted=None, **options):
        comparison = Comparison(FileHashes("hashes.json"), accepted or {})
        reason = comparison.stale(self.planned(spec, **options))
        comparison.hashes.keep()
        return "" if reason is None else str(reason)


@pytest.fixture(name="bench")
def sealing_bench(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    own_run.cache_clear()
    yield Bench(tmp_path)
    own_run.cache_clear()


def enter(monkeypatch, folder):
    """Make this process one of a frozen run."""
    monkeypatch.setenv(VARIABLE, str(folder))
    own_run.cache_clear()
