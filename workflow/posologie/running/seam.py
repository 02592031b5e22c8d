"""Where the program meets Snakemake's own classes: seals decide what runs again, and nothing whole is deleted.

Snakemake 9 has no official interface for this. What is used of its inside stands in this module alone, and
`tests/workflow/test_identity.py` fails where a new version behaves otherwise:

- `snakemake.workflow.FilePersistence`, the records of earlier runs, is replaced by `SealedPersistence`. It answers
  from the seals whether an artifact has another spec, code or inputs, so that `.snakemake` may be deleted or copied.
  The lock of a dead head is taken over.
- `Job.remove_existing_output` and `Job.cleanup` keep the files of sealed artifacts: a stage moves its files into place
  when they are whole, and what is not whole has no valid seal.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import snakemake.jobs
import snakemake.workflow
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.persistence import NO_PARAMS_CHANGE, ParamsChange
from snakemake.persistence.file import FilePersistence

from posologie.running.claims import Process
from posologie.running.comparing import Comparison, PlannedJob, Stale
from posologie.running.errors import machine_error
from posologie.running.planning import acceptances, accepted_pairs, command_of
from posologie.running.sealing import Request
from posologie.running.seals import FileHashes, Identity, read_seal, seal_path

LIST_LIMIT = 60_000
"""Characters from which what a job reads and writes is handed over in a file: a command line takes 128 KiB at most."""


class Reason(ParamsChange):  # type: ignore[misc]
    """Why an artifact is not the planned one; Snakemake prints it behind "Params have changed since …"."""

    def __init__(self, stale: Stale) -> None:
        super().__init__(only_new=set(stale.spec))
        self.stale = stale

    def __str__(self) -> str:
        return str(self.stale)


def is_sealed(job: Any) -> bool:
    """Whether a job's rule makes a sealed artifact; a target makes nothing."""
    return _is_sealed(job.rule)


@cache
def _is_sealed(rule: Any) -> bool:
    return command_of(rule.shellcmd) is not None and "sealing" in rule.params.keys()  # noqa: SIM118 - no dictionary


def planned_job(job: Any) -> PlannedJob:
    """Return a job of a sealed artifact as the plan sees it."""
    module, code = command_of(job.rule.shellcmd) or ("", "")
    request = Request.from_text(job.params.sealing)
    spec = (json.loads(job.params.spec) or None) if "spec" in job.rule.params.keys() else None  # noqa: SIM118 - no dictionary
    passing = all("temp" in file.flags for file in job.output)
    return PlannedJob(
        Identity(module, code, spec, request.settings), request.inputs, request.outputs, passing, request.beside
    )


class SealedPersistence(FilePersistence):  # type: ignore[misc]
    """Snakemake's records of earlier runs, with seals in place of what it remembers of sealed artifacts."""

    accepted: Mapping[str, list[list[str]]] = {}

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Begin with the checksums that are remembered, and nothing compared."""
        super().__init__(*arguments, **options)
        hashes = FileHashes(Path(self.path) / "posologie-hashes.json")
        self.comparison = Comparison(hashes, self.accepted, self._maker)
        self._compared: dict[Any, Stale | None] = {}
        self._makers: dict[str, Any] = {}

    def stale(self, job: Any) -> Stale | None:
        """Return why a job's artifact is not the planned one.

        Raises:
            WorkflowError: in one line, where a file cannot be read.
        """
        if job not in self._compared:
            # a job that has made nothing yet is not asked for its spec: in a fresh clone that would be every job
            exists = read_seal(seal_path(job.output)) is not None or any(map(os.path.exists, job.output))
            try:
                self._compared[job] = self.comparison.stale(planned_job(job)) if exists else None
            except OSError as error:
                raise WorkflowError(machine_error(error) or str(error)) from None
        return self._compared[job]

    def _maker(self, path: str) -> PlannedJob | None:
        """Return the job that makes a file of a sealed artifact; None where its spec is not known yet."""
        if not self._makers:
            self._makers = {str(file): job for job in self.dag.jobs if is_sealed(job) for file in job.output}
        job = self._makers.get(path)
        try:
            return None if job is None else planned_job(job)
        except (ValueError, TypeError):  # parts that a checkpoint has yet to count
            return None

    def has_metadata(self, job: Any) -> bool:
        """Whether something is known of how a job's outputs were made: of sealed ones, always."""
        return is_sealed(job) or super().has_metadata(job)

    def has_outdated_metadata(self, job: Any) -> bool:
        """Whether records are of an older form; seals are not."""
        return not is_sealed(job) and super().has_outdated_metadata(job)

    def params_changed(self, job: Any, file: Any = None) -> Any:
        """Return in what spec, settings, inputs and files differ from those of the seal."""
        if not is_sealed(job):
            return super().params_changed(job, file)
        stale = self.stale(job)
        return Reason(stale) if stale is not None and stale.spec else NO_PARAMS_CHANGE

    def code_changed(self, job: Any, file: Any = None) -> Any:
        """Return the outputs that other code has made."""
        if not is_sealed(job):
            return super().code_changed(job, file)
        stale = self.stale(job)
        return list(job.output) if stale is not None and stale.code else []

    def input_changed(self, job: Any, file: Any = None) -> Any:
        """Return the outputs with another set of inputs; of sealed ones, `params_changed` says so."""
        return [] if is_sealed(job) else super().input_changed(job, file)

    def input_checksums(self, job: Any, input_path: Any) -> set[Any]:
        """Return the checksum that an input had when it was read."""
        if not is_sealed(job):
            return super().input_checksums(job, input_path)  # type: ignore[no-any-return]
        seal = read_seal(seal_path(job.output))
        sealed = None if seal is None else seal.inputs.get(str(input_path))
        if sealed is None:
            return {None}
        # Snakemake takes a checksum that it has already, so that a large file is not hashed again in every dry run
        iocache = self.dag.workflow.iocache
        if iocache.active and os.path.isfile(input_path):
            iocache.checksum[input_path] = f"sha256:{self.comparison.checksum(str(input_path))}"
        return {f"sha256:{sealed}"}

    async def incomplete(self, job: Any) -> list[Any]:
        """Return the outputs of a job that was cut; a sealed artifact says itself whether it is whole."""
        return [] if is_sealed(job) else await super().incomplete(job)

    async def finished(self, job: Any) -> None:
        """Record a job; remember the checksums of what it made, so that the next plan need not compute them."""
        await super().finished(job)
        if not is_sealed(job) or not self.dag.workflow.is_main_process:
            return
        if (seal := read_seal(seal_path(job.output))) is not None:
            self.comparison.hashes.remember_sealed(seal)
        self.comparison.hashes.keep()

    @contextmanager
    def lock(self) -> Iterator[None]:  # type: ignore[override]
        """Lock what this head reads and makes; the locks of heads that are known to be dead are taken over."""
        living = set()
        for lock in sorted(Path(self._lockdir).glob("*.lock")):
            owner = _owner_of(lock)
            if owner is None:
                continue
            if owner != Process.this() and not owner.dead():
                living.add(f"Process {owner.pid} on {owner.host}")
                continue
            if owner != Process.this() and lock.name.endswith(".output.lock"):
                logger.warning(f"The lock of process {owner.pid} on {owner.host}, which has ended, is taken over.")
            _remove(lock)
        if living and self.locked:
            logger.error(
                f"{', '.join(sorted(living))} makes the same files. If it has ended, take its lock away with --unlock."
            )
        with super().lock():
            yield

    def _write_locks(self, lock_type: str, keys: Any) -> None:
        os.makedirs(self._lockdir, exist_ok=True)
        super()._write_locks(lock_type, keys)
        if lock_type in self._lockfile:
            owner = _owner_file(Path(self._lockfile[lock_type]))
            owner.write_text(json.dumps(asdict(Process.this())), encoding="utf-8")

    def _delete_locks(self) -> None:
        """Remove the locks of this head alone: another one may make another study in the same folder."""
        for lock in self._lockfile.values():
            _remove(Path(lock))
        self._lockfile.clear()

    def cleanup_locks(self) -> None:
        """Remove every lock, as `snakemake --unlock` asks."""
        for lock in Path(self._lockdir).glob("*.lock"):
            _remove(lock)


def _owner_file(lock: Path) -> Path:
    return lock.with_suffix(".owner")


def _owner_of(lock: Path) -> Process | None:
    """Return the head that made a lock; None where nothing says so."""
    try:
        return Process(**json.loads(_owner_file(lock).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _remove(lock: Path) -> None:
    lock.unlink(missing_ok=True)
    _owner_file(lock).unlink(missing_ok=True)


def _keeping(change: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of a job that leaves the files of sealed artifacts alone."""

    async def kept(self: Any, *arguments: Any, **options: Any) -> None:
        if not is_sealed(self):
            await change(self, *arguments, **options)
        elif change.__name__ == "remove_existing_output":
            for file in self.log:
                await file.remove(remove_non_empty_dir=False)

    return kept


def install(study_folder: str) -> None:
    """Let seals decide what runs again; called while the Snakefile is read, before Snakemake makes its plan.

    Raises:
        InputError: if the accepted changes of code cannot be read.
    """
    SealedPersistence.accepted = accepted_pairs(acceptances(study_folder))
    snakemake.workflow.FilePersistence = SealedPersistence
    for name in ("remove_existing_output", "cleanup"):
        method = getattr(snakemake.jobs.Job, name)
        if method.__name__ != "kept":
            setattr(snakemake.jobs.Job, name, _keeping(method))


def sealing_text(request: Request, folder: Path) -> str:
    """Return the value of `--sealing`: as text, or, where it is long, as the name of a file that holds it."""
    text = request.to_text()
    if len(text) < LIST_LIMIT:
        return text
    import hashlib

    file = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}.{os.getpid()}")
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, file)
    return f"@{file}"
