"""A world in which a study is edited, run, killed and run again, for the tests of identity.

The study has three stages in the shape of the real one: two mixes are drawn from one source, an adapter is trained on
each, and a table is made of both. Everything that decides identity is the program's own: seals, sealing, frozen runs,
and the comparison of the plan with seals. What stands in for Snakemake and the cluster is this file: a head plans,
freezes and submits; jobs wait in a queue, start, run to their end or are killed half-way, also long after their head
has died.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from posologie.records.files import write_text
from posologie.running import sealing
from posologie.running.comparing import Comparison, PlannedJob
from posologie.running.errors import InputError
from posologie.running.planning import VARIABLE, freeze, own_run, planned
from posologie.running.sealing import Request
from posologie.running.seals import FileHashes, Identity, Seal, read_seal, seal_path

MIXES = ("NAT", "SYN")
STAGES = ("mixes", "training", "table")


@dataclass(frozen=True)
class Study:
    """What a person edits: one setting and one version of the code for each stage, the source, and a prompt."""

    settings: tuple[int, int, int] = (0, 0, 0)
    code: tuple[int, int, int] = (0, 0, 0)
    source: str = "source"
    prompt: str = "prompt"


@dataclass
class Job:
    """A submitted job, which makes what its run planned."""

    name: str
    run: Path
    planned: PlannedJob
    held: bool = False
    steps: Iterator[None] | None = None


@dataclass
class Head:
    """A Snakemake that waits for its jobs."""

    run: Path
    plan: dict[str, PlannedJob]
    waiting: list[str]
    submitted: dict[str, Job] = field(default_factory=dict)


class World:
    """A folder, a queue, and the processes that are alive."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.study = Study()
        self.queue: list[Job] = []
        self.head: Head | None = None
        self.clock = 0
        self.refused: list[str] = []
        self.restore(self.study)

    # -- the study ---------------------------------------------------------------------------------------------------

    def restore(self, study: Study) -> None:
        """Put the files that the study reads in place."""
        self.study = study
        for name, text in (("source.txt", study.source), ("prompt.txt", study.prompt)):
            file = self.root / name
            if not file.exists() or file.read_text() != text:
                write_text(file, text)

    def digest(self, module: str) -> str:
        """Return the digest of a stage's code as it is now."""
        return f"code-{self.study.code[STAGES.index(module)]}"

    def plan(self, study: Study) -> dict[str, PlannedJob]:
        """Return the jobs of a study by name, in the order of the data."""
        jobs = {}
        for mix in MIXES:
            parts = (f"{mix}/train.txt", f"{mix}/valid.txt")
            jobs[f"mixes {mix}"] = PlannedJob(_identity(study, "mixes", mix), ("source.txt",), parts)
            adapter = (f"{mix}/adapter.txt", f"{mix}/log.txt")
            jobs[f"training {mix}"] = PlannedJob(_identity(study, "training", mix), parts, adapter)
        read = (*(f"{mix}/adapter.txt" for mix in MIXES), "prompt.txt")
        jobs["table all"] = PlannedJob(_identity(study, "table", "all"), read, ("table.txt",))
        return jobs

    # -- heads -------------------------------------------------------------------------------------------------------

    def start_head(self) -> None:
        """Start Snakemake as the study is now: it settles orphans, plans, and freezes its run."""
        if self.head is not None:
            return
        jobs = self.plan(self.study)
        self.clock += 1
        files = {output: job.identity for job in jobs.values() for output in job.outputs}
        code = {stage: self.digest(stage) for stage in STAGES}
        run = freeze("work", f"run-{self.clock:04d}", {}, code, files, {})
        for orphan in list(self.queue):
            its_plan, mine = planned(orphan.run), planned(run)
            if orphan.held or any(its_plan[file] != mine[file] for file in orphan.planned.outputs):
                self.kill(orphan)
            else:
                while orphan in self.queue:  # the head waits for it
                    self.advance(orphan)
        needed = self._needed(jobs)
        self.head = Head(run, jobs, needed) if needed else None
        self.submit()

    def _needed(self, jobs: dict[str, PlannedJob]) -> list[str]:
        """Return the jobs that Snakemake would run: what is stale, absent and asked for, or reads what they make.

        Only the table is asked for; an adapter or a mix that is absent is made where one that reads it is made.
        """
        makers = {output: job for job in jobs.values() for output in job.outputs}
        comparison = Comparison(FileHashes("hashes.json"), maker=makers.get)
        needed = {name for name, job in jobs.items() if comparison.stale(job) is not None}
        comparison.hashes.keep()
        asked = {path for path in jobs["table all"].outputs if not os.path.exists(path)}
        before = None
        while needed != before:
            before = set(needed)
            written = {output for name in needed for output in jobs[name].outputs}
            asked |= {path for name in needed for path in jobs[name].inputs if not os.path.exists(path)}
            needed |= {name for name, job in jobs.items() if written & set(job.inputs) or asked & set(job.outputs)}
        return [name for name in jobs if name in needed]

    def submit(self) -> None:
        """Submit what the head can: jobs whose inputs nobody still has to make."""
        if self.head is None:
            return
        plan = self.head.plan
        unmade = {output for name in self.head.waiting for output in plan[name].outputs}
        for name in self.head.waiting:
            if name not in self.head.submitted and not unmade & set(plan[name].inputs):
                job = Job(name, self.head.run, plan[name])
                self.head.submitted[name] = job
                self.queue.append(job)

    def kill_head(self) -> None:
        """Kill the head; its jobs go on."""
        self.head = None

    # -- jobs --------------------------------------------------------------------------------------------------------

    def advance(self, job: Job) -> None:
        """Let a job go one step further: it starts, makes one file after the other, seals, and ends."""
        if job.held and job.steps is None:
            return
        os.environ[VARIABLE] = str(job.run)
        own_run.cache_clear()
        try:
            if job.steps is None:
                job.steps = self._steps(job)
            next(job.steps)
        except StopIteration:
            self.ended(job, failed=False)
        except InputError as error:
            self.refused.append(str(error))
            self.ended(job, failed=True)
        finally:
            os.environ.pop(VARIABLE, None)
            own_run.cache_clear()

    def _steps(self, job: Job) -> Iterator[None]:
        """Yield between the moments at which a job can be cut: the parts of `sealing.make`, one by one."""
        module, request = job.planned.identity.module, Request(job.planned.inputs, job.planned.outputs)
        argv = ["--spec", json.dumps(job.planned.identity.spec)]
        making = sealing.begin(module, self.digest(module), argv, request)
        if sealing.is_made(request.outputs, making.identity, making.inputs):
            return
        yield
        text = f"{making.identity.text()} {making.identity.code} {sorted(making.inputs.values())}"
        staging = sealing.Staging(request.outputs)
        for number, output in enumerate(staging.words(request.outputs)):
            write_text(output, f"{hashlib.sha256(text.encode()).hexdigest()} {number}")
            yield
        sealing.end(making, self.digest(module), staging)
        yield

    def kill(self, job: Job) -> None:
        """Kill a job where it is."""
        if job.steps is not None:
            job.steps.close()
        self.ended(job, failed=True)

    def ended(self, job: Job, failed: bool) -> None:
        """Take a job out of the queue; its head, if it lives, goes on, or ends at a failure."""
        self.queue.remove(job)
        if self.head is None or self.head.submitted.get(job.name) is not job:
            return
        if failed:
            self.head = None  # Snakemake waits for other jobs and ends; those go on as orphans here, which is harder
            return
        self.head.waiting.remove(job.name)
        self.submit()
        if not self.head.waiting:
            self.head = None

    # -- the end -----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Run heads and jobs until a head finds nothing left to do."""
        for _ in range(20):
            if self.head is None:
                self.start_head()
            for job in self.queue:
                job.held = False
            for _ in range(200):
                if not self.queue:
                    break
                self.advance(self.queue[0])
            if self.head is None and not self.queue and not self._needed(self.plan(self.study)):
                return
        raise AssertionError(f"the study never comes to rest: {self.refused[-3:]}")

    def contents(self) -> dict[str, str]:
        """Return what every artifact that is there is made of: its bytes, and its sealed identity."""
        states = {}
        for job in self.plan(self.study).values():
            if not any(os.path.exists(path) for path in job.outputs):
                continue
            seal = read_seal(seal_path(job.outputs))
            assert seal is not None
            states[job.outputs[0]] = f"{_lineage(seal)} {[Path(path).read_text() for path in job.outputs]}"
        return states


def _identity(study: Study, stage: str, name: str) -> Identity:
    place = STAGES.index(stage)
    return Identity(stage, f"code-{study.code[place]}", {"mix": name, "setting": study.settings[place]})


def _lineage(seal: Seal) -> list[object]:
    """Return what is equal for artifacts that were made of the same by the same code."""
    return [seal.identity.text(), seal.identity.code, sorted(seal.inputs.items())]


def calm(study: Study, folder: Path) -> dict[str, str]:
    """Return what a study makes when nothing happens to it."""
    before = Path.cwd()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.chdir(folder)
    try:
        world = World(folder)
        world.restore(study)
        world.settle()
        return world.contents()
    finally:
        os.chdir(before)
