"""Snakemake on the test cluster, under the profile that ships."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from slurm.cluster import Cluster
from studies import Project

QUICK = str(Path(__file__).with_name("snakemake_quick.py"))
TESTED = ("--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "20")


class Running:
    """A Snakemake under way, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self.log = process, log

    @property
    def said(self) -> str:
        """What it has printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """Kill it as in a power cut of the login node; its SLURM jobs run on."""
        self.process.kill()
        self.process.wait()

    def interrupt(self) -> None:
        """Press ^C."""
        self.process.send_signal(signal.SIGINT)

    def end(self, timeout: float = 240, fails: bool = False) -> str:
        """Wait for its end, and return what it printed; a failure is an error of the test unless it is expected."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no end after {timeout} s:\n{self.said[-6000:]}") from None
        assert (status != 0) == fails, self.said[-6000:]
        return self.said


class Slurm:
    """Starts Snakemake in a folder, on the test cluster."""

    def __init__(self, cluster: Cluster, root: Path) -> None:
        self.cluster, self.root = cluster, root
        self.started: list[Running] = []

    def environment(self) -> dict[str, str]:
        """Return the environment of a login node."""
        own = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
        return (
            self.cluster.environment()
            | own
            | Project(self.root).environment()
            | {
                "SLURM_CONF": str(self.cluster.configuration),
                "OMP_NUM_THREADS": "1",
            }
        )

    def start(self, *arguments: str, without: tuple[str, ...] = ()) -> Running:
        """Start Snakemake with the profile `slurm`, `without` some variables of the environment."""
        log = self.root / f"snakemake-{len(self.started)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, QUICK, "--profile", "slurm", *arguments, *TESTED, *self._partitions()],
                cwd=self.root,
                env={name: value for name, value in self.environment().items() if name not in without},
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.started.append(Running(process, log))
        return self.started[-1]

    def _partitions(self) -> tuple[str, str]:
        """Write the partition file as a user does, without the partition that preempts."""
        file = self.root / "partitions.yaml"
        if not file.exists():
            words = [sys.executable, "-m", "posologie", "partitions", "--out", file, "--only", "cpu", "gpu"]
            subprocess.run(words, env=self.environment(), check=True, stdout=subprocess.DEVNULL)
        return "--slurm-partition-config", str(file)

    def jobs(self, *, ended: bool = False) -> list[dict[str, str]]:
        """Return the SLURM jobs that were submitted from this folder."""
        return [job for job in self.cluster.jobs(ended=ended) if job["folder"] == str(self.root)]

    def running(self, rule: str, seconds: float = 90) -> dict[str, str]:
        """Wait until a job of a rule (its name, or what its comment begins with) runs, and return it."""
        return self._seen(lambda job: job["rule"].startswith(rule) and job["state"] == "RUNNING", seconds, rule)

    def _seen(self, fits: Callable[[dict[str, str]], bool], seconds: float, what: str) -> dict[str, str]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if matching := [job for job in self.jobs() if fits(job)]:
                return matching[0]
            time.sleep(0.3)
        raise AssertionError(f"no job {what} within {seconds} s; there are {self.jobs(ended=True)}")

    def clean_up(self) -> None:
        """End what the test has left."""
        for run in self.started:
            if run.process.poll() is None:
                run.kill()
        if left := [job["id"] for job in self.jobs()]:
            self.cluster.ask("scancel", *left)


def until(holds: Callable[[], object], seconds: float = 60, what: str = "it holds") -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.3)
