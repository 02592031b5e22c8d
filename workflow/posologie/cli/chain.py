"""The chain behind an artifact, read from the seals: each says what its artifact was made of, back to the data."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from posologie.cli.crate import is_crate
from posologie.records.artifacts import KINDS, kind_of
from posologie.records.files import read_json, sha256_of_file
from posologie.running.errors import InputError
from posologie.running.seals import Seal, packed_seals, seal_of

_RECORDED = ("backbone_revision", "tokens", "updates", "prompt_tokens", "gpu_energy_joules")
_WITH_RECORD = frozenset(kind.name for kind in KINDS if kind.recorded)
_COUNTED = ("mode", "read", "kept", "removed", "provenance")


@dataclass
class Link:
    """One artifact of a chain.

    Attributes:
        kind: what it is: table, scores, predictions, adapter, mix, screened, shard, model, file …
        file: its first file, as seen from the working directory.
        facts: what is worth knowing of it, as JSON values.
        record: the run record beside it, where it has one.
        state: `as sealed`, `altered`, `missing`, `not sealed` (below the study's folder), `outdated` (an input has
            another content now than when it was read), `not in the archive`, or empty for a file from outside.
        parents: what it was made from.
    """

    kind: str
    file: str
    facts: dict[str, Any] = field(default_factory=dict)
    record: str | None = None
    state: str = ""
    parents: list["Link"] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the chain as JSON values."""
        shown = {"kind": self.kind, "file": self.file, **({"state": self.state} if self.state else {})}
        if self.record:
            shown["record"] = self.record
        return {**shown, "facts": self.facts, "parents": [parent.as_json() for parent in self.parents]}

    def walk(self) -> Iterator["Link"]:
        """Yield this link and all behind it, each file once."""
        visited: set[tuple[str, str]] = set()
        waiting = [self]
        while waiting:
            link = waiting.pop(0)
            if (link.kind, link.file) not in visited:
                visited.add((link.kind, link.file))
                yield link
                waiting += link.parents


class Chains:
    """The chains of one study; each file is read and hashed once."""

    def __init__(self, root: Path) -> None:
        """Begin with nothing read of the study in `root`."""
        self.root = root
        self._links: dict[str, Link] = {}
        self._hashes: dict[str, str] = {}
        seals = packed_seals(root) if is_crate(root) else []
        self._packed = {path.as_posix(): seal for seal in seals for path in seal.files()}

    def of(self, file: str | Path) -> Link:
        """Return the chain behind a file."""
        seal = self._packed.get(Path(file).as_posix()) or seal_of(file)
        first = self._first(Path(file), seal)
        if first not in self._links:
            link = self._links[first] = Link(self._kind(first), first)
            self._fill(link, seal)
        return self._links[first]

    def below(self, path: str) -> Link:
        """Return the chain behind a file of the study, by its path below the study's folder."""
        return self.of(self.root / path)

    def _first(self, file: Path, seal: Seal | None) -> str:
        """Return the file that stands for an artifact: the one its seal is named after."""
        return (
            file.as_posix()
            if seal is None
            else next(iter(seal.files())).as_posix()
            if seal.outputs
            else file.as_posix()
        )

    def _now(self, path: str) -> str:
        """Return the checksum of an input as it is now, or as its seal says where an archive leaves it out."""
        if Path(path).is_file():
            return self._hash(path)
        seal = self._packed.get(path)
        return "" if seal is None else {name.as_posix(): checksum for name, checksum in seal.files().items()}[path]

    def _kind(self, file: str) -> str:
        if Path(file).name == "manifest.json":
            return "model"
        try:
            path = Path(file).absolute().relative_to(self.root.absolute())
        except ValueError:
            return "file"
        kind = kind_of(path.as_posix())
        return path.parts[0] if kind is None else kind.name

    def _fill(self, link: Link, seal: Seal | None) -> None:
        if not Path(link.file).is_file():
            link.state = "not in the archive" if self._packed else "missing"
        elif seal is None:
            inside = Path(link.file).absolute().is_relative_to(self.root.absolute())
            link.state = "not sealed" if inside else ""
        if seal is None:
            return
        if not link.state:
            files = seal.files().items()
            whole = all(path.is_file() and self._hash(path.as_posix()) == checksum for path, checksum in files)
            link.state = "as sealed" if whole else "altered"
        link.facts = {**self._facts(link), "code": seal.identity.code, **seal.made}
        parent_files: set[str] = set()
        for path, checksum in seal.inputs.items():
            parent = self.of(path)
            if parent.file not in parent_files:
                parent_files.add(parent.file)
                link.parents.append(parent)
            if parent.state != "missing" and self._now(path) not in ("", checksum):
                if parent.state == "":
                    parent.state = "altered"
                elif link.state in ("as sealed", "not in the archive"):
                    link.state = "outdated"

    def _facts(self, link: Link) -> dict[str, Any]:
        """Return what the records beside an artifact say of it: counts, hardware, libraries."""
        path = Path(link.file)
        facts: dict[str, Any] = {}
        for record in (path.with_suffix(".run.json"), path.parent / "run.json"):
            if record.is_file() and link.kind in _WITH_RECORD:
                link.record = record.as_posix()
                run = read_json(record)
                facts |= {name: run[name] for name in _RECORDED if run.get(name) is not None}
                hardware = run.get("hardware", {})
                gpus = [gpu["name"] for gpu in hardware.get("gpus", [])]
                facts["on"] = ", ".join(gpus) or f"{hardware.get('cpus', '?')} {hardware.get('machine', '')} CPUs"
                facts["libraries"] = run.get("libraries", {})
                break
        if link.kind == "model" and path.is_file():
            manifest = read_json(path)
            return facts | {name: manifest[name] for name in ("name", "revision") if manifest.get(name)}
        report = path.parent / "composition.json" if link.kind == "mix" else path.with_suffix(".json")
        if report == path or not report.is_file():
            return facts
        counted = read_json(report)
        if link.kind == "mix":
            train = counted.get("train", {})
            return facts | {name: train[name] for name in ("items", "provenance", "source", "task") if name in train}
        if isinstance(counted, dict):
            facts |= {name: counted[name] for name in _COUNTED if name in counted}
        return facts

    def _hash(self, path: str) -> str:
        if path not in self._hashes:
            self._hashes[path] = sha256_of_file(path)
        return self._hashes[path]


def below(path: Path, root: Path) -> Path:
    """Return a path as seen from a study's folder.

    Raises:
        InputError: if it lies elsewhere.
    """
    try:
        return path.absolute().relative_to(root.absolute())
    except ValueError:
        raise InputError(f"{path}: not below {root}") from None
