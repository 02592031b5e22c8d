"""An exclusive claim on an artifact: two jobs that make the same one never write at once, even on different nodes.

A Snakemake that was killed leaves its SLURM jobs running; started again, it submits them a second time. So any job that
makes an artifact that takes long claims it first. A claim is a numbered file in a folder of the shared file system,
made with `O_EXCL`, which one process alone succeeds in; the highest number holds. Its owner writes a new count into it
every few seconds. A claim whose owner is dead is passed over by making the next number, which again one process alone
succeeds in.

- The second of two equal jobs waits. When the first is done it finds the artifact whole and of its own spec, inputs and
  code, and has nothing to do; when the first died it goes on from the checkpoint.
- A job of another spec supersedes the one under way, which belongs to a configuration that is no longer.
- An owner that finds a higher claim which passed it over was taken for dead (its node hung, say). It ends at once, as
  if it had been killed: everything it had not moved into place does not count.
- The numbers start over when a claim is given back. So two waiting jobs may make two of them at once, one above the
  claim that was given back and one in its place; the higher one passed nobody over and waits for the lower one.

Whether an owner lives is known at once on the same machine (same boot, same process namespace); of other machines it is
judged by the count alone: unchanged for `SILENCE` seconds of the observer's own clock, so that clocks need not agree.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

log = logging.getLogger(__name__)

BEAT = 10.0
"""Seconds between two signs of life."""

SILENCE = 120.0
"""Seconds without a sign of life after which an owner on another machine counts as dead: more than NFS caches."""

LOST = 75
"""The exit status of a process that lost its claim: `EX_TEMPFAIL` of sysexits.h."""

_LOOK = 2.0


@dataclass(frozen=True)
class Process:
    """A process, named so that no other one on any machine has the name.

    Attributes:
        machine: boot and process namespace, within which a pid means one process.
        started: when the process started, in seconds since the epoch.
        host: the machine's name, for people.
    """

    machine: str
    pid: int
    started: float
    host: str = ""

    @classmethod
    def this(cls) -> "Process":
        """Return the process that asks."""
        process = psutil.Process()
        return cls(
            _machine(), process.pid, process.create_time(), os.environ.get("SLURMD_NODENAME") or os.uname().nodename
        )

    def dead(self) -> bool:
        """Whether the process is known to be dead; False where that cannot be known from here."""
        if self.machine != _machine():
            return False
        try:
            return bool(abs(psutil.Process(self.pid).create_time() - self.started) > 1)
        except psutil.NoSuchProcess:
            return True


@dataclass(frozen=True)
class Owner:
    """Who holds a claim, as its file says.

    Attributes:
        job: what the owner makes; equal for equal jobs.
        machine: boot and process namespace, within which a pid means one process.
        started: when the process started, in seconds since the epoch.
        place: host and SLURM job, for people.
        passed: the processes that this owner took for dead or superseded when it made its claim.
    """

    job: str
    machine: str
    pid: int
    started: float
    place: str
    passed: tuple[str, ...] = ()

    @property
    def process(self) -> str:
        """The process, named so that no other one on any machine has the name."""
        return f"{self.machine} {self.pid} {self.started}"

    def dead(self) -> bool:
        """Whether the owner is known to be dead; False where that cannot be known from here."""
        return Process(self.machine, self.pid, self.started).dead()


@contextlib.contextmanager
def claimed(work: Path, artifact: Path, job: Sequence[str]) -> Iterator[None]:
    """Hold the claim on `artifact` while the block runs, once nobody else holds it.

    Args:
        work: a folder that all jobs which may make the artifact see.
        artifact: the artifact's path; two paths are two artifacts.
        job: what is made and how; a job with another text supersedes the one under way.
    """
    name = hashlib.sha256(str(artifact.absolute()).encode()).hexdigest()[:16]
    text = hashlib.sha256("\x00".join(job).encode()).hexdigest()[:16]
    claim = _Claim(work / "claims" / name, text, artifact)
    claim.acquire()
    try:
        yield
    finally:
        claim.release()


class _Claim:
    def __init__(self, folder: Path, job: str, artifact: Path) -> None:
        self.folder, self.artifact = folder, artifact
        process = psutil.Process()
        host = os.environ.get("SLURMD_NODENAME") or os.uname().nodename
        if slurm := os.environ.get("SLURM_JOB_ID"):
            host = f"SLURM job {slurm} on {host}"
        self.me = Owner(job, _machine(), process.pid, process.create_time(), host)
        self.number = 0
        self.released = threading.Event()
        self._seen: dict[int, tuple[bytes, float]] = {}

    def acquire(self) -> None:
        """Return when this process holds the claim and no earlier owner is left."""
        waited = False
        while not self.number:
            top = max(_numbers(self.folder), default=0)
            content = self._read(top)
            owner = _parsed(content)
            if not self._gone(top, content) and (owner is None or owner.job == self.me.job):
                if not waited:
                    who = "another process" if owner is None else owner.place
                    log.info("%s is being made by %s; waiting for it", self.artifact, who)
                waited = True
                time.sleep(_LOOK)
            elif self._take(top + 1, owner):
                self.number = top + 1
        threading.Thread(target=self._beat, daemon=True).start()
        while earlier := [number for number in _numbers(self.folder) if number < self.number]:
            for number in earlier:
                content = self._read(number)
                if not self._gone(number, content):
                    time.sleep(_LOOK / len(earlier))
                elif content is not None:
                    self._file(number).unlink(missing_ok=True)

    def release(self) -> None:
        """Give the claim back; the folder stays only while a process uses it."""
        self.released.set()
        if self._passed_over():
            self._lose()
        self._file(self.number).unlink(missing_ok=True)
        for folder in (self.folder, self.folder.parent):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:06d}"

    def _take(self, number: int, below: Owner | None) -> bool:
        """Make the claim of this number, unless another process has; it names the one it passes over."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.me = dataclasses.replace(self.me, passed=(below.process,) if below else ())
        try:
            descriptor = os.open(self._file(number), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o664)
        except (FileExistsError, FileNotFoundError):  # the second: the last owner removed the folder just now
            return False
        with os.fdopen(descriptor, "wb") as file:
            file.write(_content(self.me, 0))
            file.flush()
            os.fsync(descriptor)
        return True

    def _beat(self) -> None:
        """Write a new count every few seconds; end the process where another has taken the claim over."""
        count = 0
        while not self.released.wait(BEAT):
            if self._passed_over():
                self._lose()
            count += 1
            try:
                with open(self._file(self.number), "r+b") as file:
                    file.write(_content(self.me, count))
                    file.flush()
                    os.fsync(file.fileno())
            except FileNotFoundError:  # another process took this one for dead, and is done by now
                self._lose()
            except OSError as error:  # a full or hanging file system: an observer will see the silence
                log.warning("no sign of life could be written for %s: %s", self.artifact, error)

    def _lose(self) -> None:
        """End as if killed: another process holds the claim, and nothing may be written any more."""
        log.error("%s was claimed by another process; this one ends", self.artifact)
        mine = _parsed(self._read(self.number))
        if mine is not None and mine.process == self.me.process:
            self._file(self.number).unlink(missing_ok=True)
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
        os._exit(LOST)

    def _passed_over(self) -> bool:
        """Whether another process took this one for dead, or makes the artifact of another spec."""
        content = self._read(self.number)
        mine = _parsed(content)
        if content is None or (mine is not None and mine.process != self.me.process):
            return True
        higher = [_parsed(self._read(number)) for number in _numbers(self.folder) if number > self.number]
        return any(owner.job != self.me.job or self.me.process in owner.passed for owner in higher if owner)

    def _gone(self, number: int, content: bytes | None) -> bool:
        """Whether the owner of a number has gone: its claim given back, its process dead, or silent for too long."""
        owner = _parsed(content)
        if content is None or (owner is not None and owner.dead()):
            return True
        before, since = self._seen.get(number, (b"", 0.0))
        if content != before or not since:
            self._seen[number] = (content, time.monotonic())
            return False
        return time.monotonic() - since > SILENCE

    def _read(self, number: int) -> bytes | None:
        """Return the content of a claim: None where there is no such claim, empty where it cannot be read just now."""
        try:
            return self._file(number).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("a claim for %s cannot be read: %s", self.artifact, error)
            return b""


def _numbers(folder: Path) -> list[int]:
    try:
        return [int(name) for name in os.listdir(folder) if name.isdigit()]
    except FileNotFoundError:
        return []


def _content(owner: Owner, count: int) -> bytes:
    return json.dumps({"count": f"{count:09d}", **dataclasses.asdict(owner)}).encode()


def _parsed(content: bytes | None) -> Owner | None:
    """Return the owner that a claim names; None without a claim and while it is being written."""
    try:
        facts = json.loads(content or b"")
        facts.pop("count")
        return Owner(**{**facts, "passed": tuple(facts["passed"])})
    except (ValueError, KeyError, TypeError):
        return None


def _machine() -> str:
    """Return what identifies the machine since its boot, and the namespace in which pids count."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return os.uname().nodename
