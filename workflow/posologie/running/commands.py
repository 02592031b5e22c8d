"""The process of a job: its arguments, the GPUs it claims, how far it is, and how it ends."""

import argparse
import contextlib
import fcntl
import json
import logging
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from posologie.running.code_digest import code_name, digest
from posologie.running.errors import InputError, machine_error
from posologie.running.sealing import make, taken_out
from posologie.running.whole_files import whole_file


def parser(module: str, description: str) -> argparse.ArgumentParser:
    """Return the argument parser of a stage's command, with what every stage takes: `--spec`, `--devices`."""
    arguments = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    arguments.add_argument("--spec", required=True, help="the spec as JSON, or @FILE that holds it")
    arguments.add_argument("--devices", type=int, default=0, help="GPUs to claim where no scheduler gives any")
    return arguments


def named_path(text: str) -> tuple[str, str]:
    """Split an argument NAME=PATH."""
    name, separator, path = text.partition("=")
    if not separator or not name or not path:
        raise argparse.ArgumentTypeError(f"'{text}': expected NAME=PATH")
    return name, path


def run(main: Callable[[list[str]], None]) -> NoReturn:
    """Run `main` on the command line's arguments and exit.

    A command that a rule starts with `--sealing` makes an artifact and seals it (`posologie.running.sealing`).

    Log lines go to standard error. An `InputError`, or an error of the machine such as a full disk, becomes one line on
    standard error and status 2. Whatever else is raised is a bug and keeps its traceback (status 1).
    """
    logging.basicConfig(
        stream=sys.stderr, level=os.environ.get("POSOLOGIE_LOG", "INFO"), format="%(asctime)s %(name)s: %(message)s"
    )
    logging.captureWarnings(True)
    for noisy in ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "urllib3", "filelock"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        _started(main)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        line = machine_error(error)
        if line is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0)


def _started(main: Callable[[list[str]], None]) -> None:
    """Run `main`; where a rule started the command, make and seal its artifact."""
    argv, request = taken_out(sys.argv[1:])
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is None:
        main(argv)
        return
    module = spec.name.removesuffix(".__main__")
    code = code_name(module, argv)
    logging.getLogger("posologie").info("started %s %s", digest(code), shlex.join([module, *argv]))
    if request is None:
        main(argv)
    else:
        make(code, digest, argv, request, main)


class Progress:
    """Writes `progress.json` at most every two seconds and a log line at most every thirty."""

    def __init__(self, folder: str | os.PathLike[str], artifact: str, total: int, unit: str) -> None:
        """Begin at 0 of `total` units (`unit` is the plural noun shown: steps, prompts, requests)."""
        self.path = Path(folder) / "progress.json"
        self.artifact, self.total, self.unit = artifact, total, unit
        self.done = self.first = 0
        self.started = time.time()
        self._written = self._logged = 0.0
        self._log = logging.getLogger("posologie.running.commands")

    def resume_at(self, done: int) -> None:
        """Say that `done` units were finished by an earlier run, so that the rate counts only this one's."""
        self.done = self.first = done

    def advance(self, count: int = 1) -> None:
        """Count units as done."""
        self.done += count
        now = time.time()
        last = self.done >= self.total
        if last or now - self._written >= 2:
            self._written = now
            self._write(now)
        if last or now - self._logged >= 30:
            self._logged = now
            rate = (self.done - self.first) / max(now - self.started, 1e-9)
            self._log.info("%s: %d of %d %s, %.2f a second", self.artifact, self.done, self.total, self.unit, rate)

    def _write(self, now: float) -> None:
        facts = {
            "artifact": self.artifact,
            "done": self.done,
            "first": self.first,
            "total": self.total,
            "unit": self.unit,
            "started": self.started,
            "updated": now,
            "pid": os.getpid(),
            "host": os.environ.get("SLURMD_NODENAME") or os.uname().nodename,
            "slurm_job": os.environ.get("SLURM_JOB_ID"),
        }
        with whole_file(self.path) as partial:
            partial.write_text(json.dumps(facts), encoding="utf-8")


@contextlib.contextmanager
def driver() -> Iterator[Any]:
    """Give the library while the block runs; None where there is no driver, no library of it, or no permission."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


log = logging.getLogger(__name__)

_HELD: list[int] = []
"""Descriptors of the locks of this process: open until it ends."""

_LOOK = 2.0


def claim_devices(count: int, folder: Path | None = None) -> list[str]:
    """Take `count` devices that no other job on this machine has, and show them alone to CUDA.

    Nothing happens for a job without a GPU, inside a SLURM job, and on a machine with at most one device. Where
    CUDA_VISIBLE_DEVICES names some devices, only those are taken.

    Args:
        folder: of the lock files; all jobs of a machine must use the same.

    Returns:
        The devices taken; empty where nothing happened.
    """
    if count < 1 or "SLURM_JOB_ID" in os.environ or _HELD:
        return []
    usable = usable_devices()
    if len(usable) < max(2, count):
        return []
    folder = folder or Path(tempfile.gettempdir()) / "posologie-devices"
    folder.mkdir(parents=True, exist_ok=True)
    waited = False
    while True:
        taken: dict[str, int] = {}
        for device in usable:
            if len(taken) < count and (lock := _locked(folder / device.replace("/", "_"))) is not None:
                taken[device] = lock
        if len(taken) == count:
            break
        for lock in taken.values():
            os.close(lock)
        if not waited:
            log.info("%d of %d devices are free; waiting for %d", len(taken), len(usable), count)
        waited = True
        time.sleep(_LOOK)
    _HELD.extend(taken.values())
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
    log.info("working on GPU %s of this machine", " and ".join(taken))
    return list(taken)


def usable_devices() -> list[str]:
    """Return the devices that this process may use, by index or as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() and name.strip() != "-1"]
    return [str(number) for number in range(_installed())]


def _installed() -> int:
    """Return how many GPUs the driver knows, without starting CUDA."""
    with driver() as library:
        return 0 if library is None else int(library.nvmlDeviceGetCount())


def _locked(file: Path) -> int | None:
    """Lock a file and return its descriptor, or None if another process has it."""
    try:
        descriptor = os.open(file, os.O_RDWR)  # without O_CREAT: systems forbid that for another user's file
    except FileNotFoundError:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
