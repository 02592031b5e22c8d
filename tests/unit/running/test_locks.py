"""Heads lock what they make: two studies in one folder do not touch each other's locks, and dead heads hold none."""

import contextlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import snakemake.api  # noqa: F401 - Snakemake's modules import each other in a circle that only begins here
from snakemake.exceptions import LockException

from posologie.running.claims import Process
from posologie.running.seam import SealedPersistence


class Head(SealedPersistence):
    """A head that makes one file out of another, as a process of its own."""

    def __init__(self, folder, reads, makes, process):
        self._lockdir, self._lockfile = str(folder), {}
        self.reads, self.makes, self.process = reads, makes, process

    def all_inputfiles(self):
        return [self.reads]

    def all_outputfiles(self):
        return [self.makes]


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Return a function that starts a head, and one that says which processes live."""
    this, dead = Process.this(), set()
    current = [this]
    monkeypatch.setattr(Process, "this", classmethod(lambda cls: current[0]))
    monkeypatch.setattr(Process, "dead", lambda self: self.pid in dead)

    @contextlib.contextmanager
    def running(pid, reads, makes):
        current[0] = replace(this, pid=pid, host="here")
        with Head(tmp_path, reads, makes, current[0]).lock():
            yield

    running.dead = dead
    running.folder = tmp_path
    return running


def owners(folder):
    return sorted(json.loads(file.read_text())["pid"] for file in Path(folder).glob("*.output.owner"))


def test_a_head_that_ends_leaves_the_locks_of_another_study(start):
    with start(1, "a", "b"):
        with start(2, "x", "y"):
            assert owners(start.folder) == [1, 2]
        assert owners(start.folder) == [1]
        with pytest.raises(LockException), start(3, "a", "b"):
            pass
    assert not list(start.folder.iterdir())


def test_a_dead_head_holds_no_lock_and_a_living_one_keeps_its_own(start):
    with start(1, "a", "b"):
        second = start(2, "x", "y")
        second.__enter__()
        start.dead.add(2)
        with start(3, "x", "y"):
            assert owners(start.folder) == [1, 3]
        with pytest.raises(LockException), start(4, "a", "b"):
            pass


def test_a_head_that_starts_again_as_the_same_process_has_its_own_locks(start):
    start(1, "a", "b").__enter__()
    with start(1, "a", "b"):
        assert owners(start.folder) == [1]


def test_a_lock_that_names_nobody_stays_until_somebody_unlocks(start):
    (start.folder / "0.output.lock").write_text("b\n")
    with pytest.raises(LockException), start(1, "a", "b"):
        pass
    (start.folder / "0.output.owner").write_text(json.dumps({**asdict(Process.this()), "more": 1}))
    with pytest.raises(LockException), start(1, "a", "b"):
        pass
    Head(start.folder, "a", "b", None).cleanup_locks()
    with start(1, "a", "b"):
        assert owners(start.folder) == [1]
