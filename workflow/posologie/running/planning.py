"""The plan compares seals with the study: what each artifact has to be, and why it would be made again.

Nothing here knows Snakemake; `posologie.running.seam` gives it the jobs of Snakemake's plan.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from posologie.errors import InputError
from posologie.running.frozen import same_code
from posologie.running.hashes import FileHashes
from posologie.running.seals import (
    Identity,
    Seal,
    in_one_line,
    input_differences,
    read_seal,
    seal_path,
    spec_differences,
)
from posologie.running.whole_files import keep_json

_COMMAND = re.compile(r"^python -m (\S+) .* # code ([0-9a-f]+)$", re.DOTALL)


@dataclass(frozen=True)
class PlannedJob:
    """A job of the plan.

    Attributes:
        identity: what its artifact has to be.
        inputs: its declared inputs.
        outputs: the files of its artifact.
        passing: whether the files may be deleted once they were used.
    """

    identity: Identity
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    passing: bool = False


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
        known: checksums of files that were compared already.
    """

    hashes: FileHashes
    accepted: Mapping[str, list[list[str]]] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)

    def checksum(self, path: str) -> str:
        """Return the checksum of a file; "" where it is not there."""
        if path not in self.known:
            self.known[path] = self.hashes.of(path)
        return self.known[path]

    def stale(self, job: PlannedJob) -> Stale | None:
        """Return why a job's artifact would be made again; None where it is as planned, or not there at all."""
        seal = read_seal(seal_path(job.outputs))
        there = [path for path in job.outputs if Path(path).exists()]
        if not there and not (job.passing and seal is not None):
            return None
        if seal is None:
            return Stale(spec=(f"seal: {seal_path(job.outputs).name} is missing or unreadable",))
        now = {path: self.checksum(path) for path in job.inputs}
        # an input that is gone is no difference: Snakemake asks for it only where the artifact has to be made again
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
            *([] if job.passing else self._files(seal, job.outputs)),
        ]
        return Stale(tuple(different), changed_code) if different or changed_code else None

    def _files(self, seal: Seal, outputs: Sequence[str]) -> list[str]:
        sealed = {str(path): checksum for path, checksum in seal.files().items()}
        different = []
        for path in outputs:
            if path not in sealed:
                different.append(f"file: {path} is not in the seal")
            elif not (found := self.checksum(path)):
                different.append(f"file: {path} is gone")
            elif found != sealed[path]:
                different.append(f"file: {path} was altered after it was made")
        return different


def command_of(shell: str | None) -> tuple[str, str] | None:
    """Return the module that a rule's command runs and the digest of the code behind it."""
    found = _COMMAND.match(shell or "")
    return None if found is None else (found[1], found[2])


def acceptances(study_folder: str | Path) -> list[dict[str, Any]]:
    """Return the code changes of a study that were accepted: module, old and new digest, reason, when.

    Raises:
        InputError: if the file is there and cannot be read as such.
    """
    path = Path(study_folder) / "accepted.json"
    if not path.exists():
        return []
    try:
        entries = json.loads(path.read_bytes())
    except ValueError:
        entries = None
    keys = ("module", "old", "new", "reason", "when")
    if not isinstance(entries, list) or any(
        not isinstance(entry, dict) or set(keys) - entry.keys() for entry in entries
    ):
        raise InputError(f"{path}: expected a list of entries with {', '.join(keys)}, as posologie accept writes it")
    return entries


def accept(study_folder: str | Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Add entries to the accepted code changes of a study."""
    keep_json(Path(study_folder) / "accepted.json", [*acceptances(study_folder), *map(dict, entries)])


def accepted_pairs(entries: Sequence[Mapping[str, Any]]) -> dict[str, list[list[str]]]:
    """Return, for each module, the pairs (old, new) of digests between which no number changes."""
    pairs: dict[str, list[list[str]]] = {}
    for entry in entries:
        pairs.setdefault(str(entry["module"]), []).append([str(entry["old"]), str(entry["new"])])
    return pairs
