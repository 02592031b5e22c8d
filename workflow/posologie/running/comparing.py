"""Why an artifact is not the planned one: its seal compared with a job of the plan."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from posologie.running.planning import same_code
from posologie.running.seals import (
    FileHashes,
    Identity,
    Seal,
    further_files,
    in_one_line,
    input_differences,
    origin,
    read_seal,
    seal_of,
    seal_path,
    spec_differences,
)


@dataclass(frozen=True)
class PlannedJob:
    """A job of the plan.

    Attributes:
        identity: what its artifact has to be.
        inputs: its declared inputs.
        outputs: the files of its artifact.
        passing: whether the files may be deleted once they were used.
        beside: pattern of the names of further files of the artifact.
    """

    identity: Identity
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    passing: bool = False
    beside: str = ""


@dataclass(frozen=True)
class Stale:
    """Why an artifact is not the planned one.

    Attributes:
        spec: differences of spec, settings, inputs and files.
        code: the differences of code.
    """

    spec: tuple[str, ...] = ()
    code: tuple[str, ...] = ()

    def __str__(self) -> str:
        return in_one_line([*self.spec, *self.code])


@dataclass
class Comparison:
    """Compares seals with a plan; every file is hashed at most once.

    Attributes:
        accepted: pairs of digests of a module's code that a person found to change no number.
        maker: returns the job of the plan that makes a file; None for a file that no job makes.
        known: checksums of files that were compared already.
        origins: origins of files that were compared already, as the plan would make them.
    """

    hashes: FileHashes
    accepted: Mapping[str, list[list[str]]] = field(default_factory=dict)
    maker: Callable[[str], PlannedJob | None] = lambda path: None
    known: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    def checksum(self, path: str) -> str:
        """Return the checksum of a file; "" where it is not there."""
        if path not in self.known:
            self.known[path] = self.hashes.of(path)
        return self.known[path]

    def stale(self, job: PlannedJob) -> Stale | None:
        """Return why a job's artifact would be made again; None where it is as planned.

        Of an artifact that was deleted and left its seal, the seal is compared; where the seal is gone too, what was
        made of it is compared (`_deleted`).
        """
        seal = read_seal(seal_path(job.outputs))
        exists = any(Path(path).exists() for path in job.outputs)
        if seal is None and not exists:
            return None
        if seal is None:
            return Stale(spec=(f"seal: {seal_path(job.outputs).name} is missing or unreadable",))
        now = {path: self.checksum(path) for path in job.inputs}
        # that an input is gone is no difference: Snakemake asks for it only where the artifact has to be made again
        gone = [path for path, checksum in now.items() if not checksum]
        now = {path: checksum or seal.inputs.get(path, "") for path, checksum in now.items()}
        code = job.identity.code
        changed_code = (
            ()
            if same_code(job.identity.module, seal.identity.code, code, self.accepted)
            else (f"code: {job.identity.module} {code}, sealed {seal.identity.code}",)
        )
        different = [
            *spec_differences(seal.identity, job.identity),
            *input_differences(seal.inputs, now),
            *self._deleted(seal, gone),
            *(self._files(seal, job) if exists and not job.passing else []),
        ]
        return Stale(tuple(different), changed_code) if different or changed_code else None

    def _deleted(self, seal: Seal, gone: Sequence[str]) -> list[str]:
        """Say which inputs that were deleted with their seals the plan would make otherwise than they were made."""
        different = []
        for path in gone:
            sealed = (seal.origins or {}).get(path, "")
            planned = self._origin(path) if sealed and seal_of(path) is None else ""
            if planned not in ("", sealed):
                different.append(f"input: {path} was deleted, and would be made otherwise now")
        return different

    def _origin(self, path: str) -> str:
        """Return the origin that a file would have as the plan makes it; "" where that is not known."""
        if path not in self.origins:
            job = self.maker(path)
            seal = seal_of(path) if job is None else None
            if job is not None:
                self.origins[path] = origin(job.identity, {name: self._origin(name) for name in job.inputs})
            else:
                self.origins[path] = self.checksum(path) if seal is None else seal.origin()
        return self.origins[path]

    def _files(self, seal: Seal, job: PlannedJob) -> list[str]:
        sealed = {str(path): checksum for path, checksum in seal.files().items()}
        further = [path for path in sealed if fnmatch(Path(path).name, job.beside)]
        different = []
        for path in dict.fromkeys([*job.outputs, *further, *further_files(job.outputs, job.beside)]):
            if path not in sealed:
                different.append(f"file: {path} is not in the seal")
            elif not (current := self.checksum(path)):
                different.append(f"file: {path} is gone")
            elif current != sealed[path]:
                different.append(f"file: {path} was altered after it was made")
        return different
