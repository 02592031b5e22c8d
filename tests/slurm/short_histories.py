"""Many short histories of a small study on the test cluster: `python tests/slurm/chaos.py --histories 50`.

Each history begins with a finished study (one in eight with nothing), edits it, starts it on the cluster and disturbs
it a few times; then it runs to its end. Calm runs on this machine, one for each configuration, make what it is
compared with: in the end every seal has the identity of the calm run of the last configuration, with the same inputs
and files but for those that hold measured time; every seal holds, and nothing is left to do. While it runs, no file of
an artifact may be absent for a moment that nobody deleted.

A history depends on the seed and its number alone, but for what the cluster does meanwhile. Those that the log holds
are not made again.
"""

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from posologie.running.seals import read_seal, seals_below
from slurm.cluster import Cluster
from slurm.running import Running, Slurm, until
from slurm.short_studies import FILE, KINDS, RESULTS, Kind, calm_studies, configure
from studies import Project

TIMED = (".run.json", "/run.json", "history.parquet")
"""Ends of the names of files that hold measured time; what reads them has other inputs in each run."""

PATIENCE = 3600.0
"""Seconds after which a history that is not at its end counts as wrong."""


class History:
    """One study from its first edit to its end."""

    def __init__(self, slurm: Slurm, chance: random.Random, kind: Kind, configuration: str, pause: float) -> None:
        self.slurm, self.root, self.random, self.pause = slurm, slurm.root, chance, pause
        self.kind, self.command = kind, (*kind.targets, "--configfile", FILE)
        self.configuration, self.planned = configuration, configuration
        self.damaged = False
        self.done: list[str] = []
        self.wrong: list[str] = []
        self.there: set[Path] = set()
        self.head: Running | None = None

    def run(self, disturbances: int, watched: set[Path]) -> None:
        """Edit, start, disturb so many times, and wait for the end.

        Args:
            watched: the files that are never absent once they were there, below the study's root.
        """
        deadline = time.monotonic() + PATIENCE
        self._edit()
        self._start()
        due = time.monotonic() + self.random.expovariate(1 / self.pause)
        while time.monotonic() < deadline:
            self._watch(watched)
            assert self.head is not None
            status = self.head.process.poll()
            settled = self.planned == self.configuration and not self.damaged
            if status == 0 and len(self.done) >= disturbances and settled:
                return
            if status is not None:
                if status == 0 and len(self.done) < disturbances:
                    self._disturb(self._edit, self._delete, self._alter)
                self._start()
            elif len(self.done) < disturbances and time.monotonic() >= due and self.slurm.jobs():
                self._disturb(*self._while_jobs_run())
                due = time.monotonic() + self.random.expovariate(1 / self.pause)
            time.sleep(0.2)
        self.wrong.append("not at its end in time")

    def _watch(self, watched: set[Path]) -> None:
        now = {path for path in watched if (self.root / path).exists()}
        self.wrong += [f"{path}: was there, and is gone" for path in sorted(self.there - now)]
        self.there = now

    def _start(self) -> None:
        self.planned, self.damaged = self.configuration, False
        self.head = self.slurm.start("--retries", "3", *self.command)

    def _disturb(self, *chances: Callable[[], str]) -> None:
        self.done.append(self.random.choice(chances)())

    def _while_jobs_run(self) -> list[Callable[[], str]]:
        chances = [self._kill_head, self._hang_up, self._second_head, self._edit, self._edit_at_a_killed_head]
        chances += [self._orphans_end, self._delete, self._alter]
        states = {job["state"] for job in self.slurm.jobs()}
        if "RUNNING" in states:
            chances += [self._kill_job, self._cancel_job, self._ask_job, self._put_back]
        if "PENDING" in states:
            chances += [self._hold]
        return chances

    def _job(self, state: str) -> str:
        jobs = [job["id"] for job in self.slurm.jobs() if job["state"] == state]
        return self.random.choice(sorted(jobs, key=int)) if jobs else "0"

    def _ask(self, *words: str) -> None:
        subprocess.run(words, env=self.slurm.cluster.environment(), check=False, capture_output=True, timeout=60)

    def _kill_job(self) -> str:
        self._ask("scancel", "--signal=KILL", self._job("RUNNING"))
        return "job killed"

    def _cancel_job(self) -> str:
        self._ask("scancel", self._job("RUNNING"))
        return "job cancelled"

    def _ask_job(self) -> str:
        self._ask("scancel", "--signal=TERM", self._job("RUNNING"))
        return "job asked to end"

    def _put_back(self) -> str:
        self._ask("scontrol", "requeue", self._job("RUNNING"))
        return "job put back"

    def _hold(self) -> str:
        self._ask("scontrol", "hold", self._job("PENDING"))
        self._end_head(signal.SIGKILL)
        self._start()
        return "job held, head killed"

    def _end_head(self, number: int) -> None:
        assert self.head is not None
        self.head.process.send_signal(number)
        self.head.process.wait()

    def _kill_head(self) -> str:
        self._end_head(signal.SIGKILL)
        self._start()
        return "head killed"

    def _hang_up(self) -> str:
        self._end_head(signal.SIGHUP)
        self._start()
        return "head hung up"

    def _orphans_end(self) -> str:
        self._end_head(signal.SIGKILL)
        self._edit()
        until(lambda: not self.slurm.jobs(), 300, "the orphans end")
        self._start()
        return "head killed, edit, orphans end by themselves"

    def _second_head(self) -> str:
        second = self.slurm.start(*self.command)
        assert self.head is not None
        if second.process.wait(120) == 0 and self.head.process.poll() is None:
            self.wrong.append("a second Snakemake ended with 0 beside the first")
        return "second head"

    def _edit(self) -> str:
        self.configuration = self.random.choice(
            [name for name in self.kind.configurations if name != self.configuration]
        )
        configure(self.root, self.kind, self.configuration)
        return f"edit ({self.configuration})"

    def _edit_at_a_killed_head(self) -> str:
        self._end_head(signal.SIGKILL)
        edit = self._edit()
        self._start()
        return f"head killed, {edit}"

    def _delete(self) -> str:
        path = self._some_artifact()
        (self.root / path).unlink(missing_ok=True)
        self.there.discard(path)
        self.damaged = True
        return "artifact deleted"

    def _alter(self) -> str:
        path = self.root / self._some_artifact()
        if path.exists():
            path.write_bytes(path.read_bytes() + b" ")
        self.damaged = True  # a run that was planned before need not see it; the next one must
        return "artifact altered"

    def _some_artifact(self) -> Path:
        return self.random.choice(sorted(self.there)) if self.there else Path(self.kind.targets[0])


def artifact_files(calm: Path) -> set[Path]:
    """Return the files of every artifact of a finished study, below its root."""
    return {
        path.relative_to(calm)
        for seal in seals_below(calm / RESULTS)
        for path in seal.files()
        if path.exists()  # the parts of a gathered artifact are deleted
    }


def differences(calm: Path, root: Path) -> list[str]:
    """Return in what the artifacts of a history are not those of the calm run of its last configuration."""
    wrong = []
    timed = {path.as_posix() for path in artifact_files(calm) if path.as_posix().endswith(TIMED)}
    for seal in seals_below(calm / RESULTS):
        if not any(path.exists() for path in seal.files()):
            continue
        name = seal.path.relative_to(calm).as_posix()
        other = read_seal(root / name)
        if other is None or other.identity != seal.identity:
            wrong.append(f"{name}: {'missing' if other is None else 'another identity'}")
            continue
        folder = seal.path.parent.relative_to(calm).as_posix()
        wrong += [f"{name}: input {path}" for path in _unequal(seal.inputs, other.inputs) if path not in timed]
        outputs = _unequal(seal.outputs, other.outputs)
        wrong += [f"{name}: file {path}" for path in outputs if f"{folder}/{path}" not in timed]
    return wrong


def _unequal(values: Any, others: Any) -> list[str]:
    return [path for path in sorted({*values, *others}) if values.get(path) != others.get(path)]


def unsettled(root: Path, kind: Kind) -> list[str]:
    """Return what is wrong with the seals of a study that has come to rest, and what would still be made."""
    project = Project(root)
    words = [sys.executable, "-m", "posologie", "verify", "--results", RESULTS]
    done = subprocess.run(words, cwd=root, env=project.environment(), capture_output=True, text=True, check=False)
    planned = project.snakemake("-n", "--cores", "1", *kind.targets, "--configfile", FILE)
    left = [] if "Nothing to be done" in planned else [f"something is left to do: {planned[-500:]}"]
    return (done.stdout.splitlines()[:3] if done.returncode else []) + left


def histories(cluster: Cluster, options: argparse.Namespace) -> int:
    """Make the histories that the log does not hold yet; the exit code is 1 if one of all is wrong."""
    lines = options.log.read_text(encoding="utf-8").splitlines() if options.log.exists() else []
    made = {
        line["history"]: line
        for line in map(json.loads, lines)
        if line.get("seed") == options.seed and line.get("kind") == options.kind
    }
    options.work.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * options.minutes
    calm = calm_studies(options.work, KINDS[options.kind])
    with options.log.open("a", encoding="utf-8") as log:
        for number in range(1, options.histories + 1):
            if number not in made and time.monotonic() < deadline:
                made[number] = one_history(cluster, options, calm, number)
                log.write(json.dumps(made[number]) + "\n")
                log.flush()
                print(json.dumps(made[number]), flush=True)
    kinds = Counter(what.split(" (")[0] for line in made.values() for what in line["disturbances"])
    wrong = [number for number, line in sorted(made.items()) if line["wrong"]]
    minutes = sum(line["seconds"] for line in made.values()) / 60
    counts = f"{len(made)} histories, {kinds.total()} disturbances"
    print(f"seed {options.seed}: {counts}, {minutes:.0f} min; wrong: {wrong}")
    print("; ".join(f"{count} × {what}" for what, count in kinds.most_common()))
    return 1 if wrong or len(made) < options.histories else 0


def one_history(cluster: Cluster, options: argparse.Namespace, calm: dict[str, Path], number: int) -> dict[str, Any]:
    """Make one history and return what is written into the log."""
    began, chance = time.monotonic(), random.Random(f"{options.seed}-{number}")
    root, kind = options.work / f"history-{number}", KINDS[options.kind]
    shutil.rmtree(root, ignore_errors=True)
    configuration = chance.choice(list(kind.configurations))
    fresh = chance.random() < 1 / 8
    if fresh:
        Project.copy_to(root)
        configure(root, kind, configuration)
    else:
        Project(calm[configuration]).clone(root)
    slurm = Slurm(cluster, root)
    history = History(slurm, chance, kind, configuration, options.pause)
    try:
        history.run(options.disturbances, artifact_files(calm["first"]))
    except (AssertionError, RuntimeError, subprocess.TimeoutExpired) as error:
        history.wrong.append(str(error)[-500:])
    finally:
        slurm.clean_up()
    wrong = history.wrong or differences(calm[history.configuration], root) + unsettled(root, kind)
    if not wrong:
        shutil.rmtree(root)
    return {
        "seed": options.seed,
        "kind": options.kind,
        "history": number,
        "begins": "with nothing" if fresh else f"finished ({configuration})",
        "ends": history.configuration,
        "disturbances": history.done,
        "heads": len(slurm.started),
        "seconds": round(time.monotonic() - began, 1),
        "wrong": wrong,
    }
