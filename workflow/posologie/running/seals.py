"""The format of a seal, how two identities differ, and the checksums that both rest on.

A seal beside each artifact says what it is: its spec, settings, code digest, the checksum of each input as it was read,
and the checksum of each of its files ([format](results/README.md#seals)).
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from posologie.running.errors import InputError
from posologie.running.whole_files import keep_json, sha256_of_file

SUFFIX = ".seal.json"
FORMAT = 1


@dataclass(frozen=True)
class Identity:
    """What a job is asked to make, apart from the content of its inputs.

    Attributes:
        module: name of the code that was run (`posologie.running.code_digest.code_name`), which stands for the stage.
        code: digest of that code.
        spec: the stage's spec as a JSON value.
        settings: what else the artifact depends on, as a JSON value.
    """

    module: str
    code: str
    spec: Any
    settings: Mapping[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """Return a checksum of the identity without its code, which a person may accept in another version."""
        return hashlib.sha256(_canonical([self.module, self.spec, self.settings]).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Seal:
    """A seal as it was read.

    Attributes:
        path: where it lies.
        inputs: checksum of each input by its path, as it was read.
        outputs: checksum of each file of the artifact, by its path from the seal's folder.
        made: when, by which run and on which machine; not part of the identity.
        origins: origin (`origin`) of each input that is an artifact; None in a seal of an earlier version.
    """

    path: Path
    identity: Identity
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    made: Mapping[str, Any]
    origins: Mapping[str, str] | None = None

    def files(self) -> dict[Path, str]:
        """Return the checksum of each file of the artifact, by its path."""
        return {_joined(self.path.parent, name): checksum for name, checksum in self.outputs.items()}

    def origin(self) -> str:
        """Return the origin of the artifact; "" where the seal is of an earlier version."""
        return "" if self.origins is None else origin(self.identity, {**self.inputs, **self.origins})


def origin(identity: Identity, behind: Mapping[str, str]) -> str:
    """Return a checksum of everything that an artifact rests on; "" where that is not known of an input.

    It tells whether an artifact that was deleted, its seal included, would be made in the same way again.

    Args:
        behind: by the path of each input, its own origin if it is an artifact, else its checksum.
    """
    known = _from_the_end(behind)
    return (
        "" if "" in known else hashlib.sha256(_canonical([identity.text(), identity.code, known]).encode()).hexdigest()
    )


def seal_path(outputs: Sequence[str | os.PathLike[str]]) -> Path:
    """Return where the seal of an artifact lies: beside its first file."""
    first = Path(outputs[0])
    return first.with_name(first.name + SUFFIX)


def further_files(outputs: Sequence[str | os.PathLike[str]], beside: str) -> list[str]:
    """Return the files beside an artifact's first one that belong to it undeclared, by a pattern of names."""
    candidates = Path(outputs[0]).parent.glob(beside) if beside else ()
    return sorted(
        str(path) for path in candidates if path.is_file() and path not in {Path(output) for output in outputs}
    )


_OF_A_BACKEND = re.compile(
    r"posologie\.(judging|generation\.synthesis|generation\.translation|generation\.translation_quality|screening\.rating"
    r"|prediction)\.(causal|seq2seq|openai_endpoint|engine)"
)

_RENAMED = {
    "posologie.generation.synthesis.command": "posologie.generation.synthesis",
    "posologie.generation.translation.command": "posologie.generation.translation",
    "posologie.generation.translation_quality.command": "posologie.generation.translation_quality",
    "posologie.generation.translation_quality.comet": "posologie.generation.comet",
    "posologie.generation.translation_quality.table": "posologie.generation.translation_quality_table",
    "posologie.screening.rating.command": "posologie.screening.rating",
}
"""Modules of commands that earlier versions called otherwise."""


def called_now(code: str) -> str:
    """Return the name of the code behind a command, also where an earlier version called its module otherwise.

    The earliest versions had a module for each stage and backend.
    """
    if former := _OF_A_BACKEND.fullmatch(code):
        stage = "prediction.served" if former[1] == "prediction" else f"{former[1]}.command"
        code = f"posologie.{stage}+posologie.backends.{former[2]}"
    module, plus, backend = code.partition("+")
    return f"{_RENAMED.get(module, module)}{plus}{backend}"


def write_seal(
    outputs: Sequence[str | os.PathLike[str]],
    identity: Identity,
    inputs: Mapping[str, str],
    made: Mapping[str, Any],
    origins: Mapping[str, str] | None = None,
) -> None:
    """Hash the files of an artifact and write its seal.

    Args:
        origins: origin of each input that is an artifact.

    Raises:
        FileNotFoundError: if a file of the artifact is not there.
    """
    path = seal_path(outputs)
    checksums = {os.path.relpath(output, path.parent): sha256_of_file(output) for output in outputs}
    keep_json(
        path,
        {
            "format": FORMAT,
            "module": identity.module,
            "code": identity.code,
            "spec": identity.spec,
            "settings": dict(identity.settings),
            "inputs": dict(inputs),
            **({} if origins is None else {"origins": dict(origins)}),
            "outputs": checksums,
            "made": dict(made),
        },
    )


def read_seal(path: str | os.PathLike[str]) -> Seal | None:
    """Return the seal at a path; None where there is none, or none that can be read as one."""
    try:
        with open(path, "rb") as file:
            facts = json.loads(file.read())
        texts = [facts["module"], facts["code"], *facts["inputs"].values(), *facts["outputs"].values()]
        if facts["format"] != FORMAT or not all(isinstance(text, str) for text in texts):
            return None
        identity = Identity(called_now(facts["module"]), facts["code"], facts["spec"], dict(facts["settings"]))
        origins = dict(facts["origins"]) if "origins" in facts else None
        return Seal(Path(path), identity, dict(facts["inputs"]), dict(facts["outputs"]), dict(facts["made"]), origins)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def seal_of(file: str | os.PathLike[str]) -> Seal | None:
    """Return the seal that covers a file: its own, or that of the artifact which it is a part of."""
    path = Path(file)
    own = read_seal(path.with_name(path.name + SUFFIX))
    if own is not None and path.name in own.outputs:
        return own
    try:
        others = sorted(path.parent.glob(f"*{SUFFIX}"))
    except OSError:
        return None
    for candidate in others:
        seal = read_seal(candidate)
        if seal is not None and path.name in seal.outputs:
            return seal
    return None


def check_seal(file: str | os.PathLike[str]) -> None:
    """Compare a file with its seal before it is read; a file without one is the user's own and passes.

    Raises:
        InputError: naming the file and the seal that it differs from.
    """
    checked_sum(file)


def checked_sum(file: str | os.PathLike[str]) -> tuple[str, Seal | None]:
    """Return the checksum of a file and the seal that covers it.

    Raises:
        InputError: if the file is not there, or is not as its seal says.
    """
    path = Path(file)
    seal = seal_of(path)
    if not path.is_file():
        known = f"; {seal.path} knows it" if seal is not None else ""
        raise InputError(f"{path}: no such file{known}")
    checksum = sha256_of_file(path)
    if seal is not None and checksum != seal.outputs[path.name]:
        raise InputError(
            f"{path}: truncated or altered after it was made (sha256 {checksum[:12]}…; {seal.path.name} says"
            f" {seal.outputs[path.name][:12]}…); start Snakemake again, which rebuilds it"
        )
    return checksum, seal


def spec_differences(identity: Identity, current: Identity) -> list[str]:
    """Say in what the spec and settings of a sealed artifact differ from those that it would have now."""
    if identity.module != current.module:
        return [f"made by {current.module}, sealed {identity.module}"]
    differences = [f"spec: {text}" for text in _value_differences(current.spec, identity.spec)]
    return differences + [f"setting: {text}" for text in _value_differences(current.settings, identity.settings)]


def input_differences(sealed: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Say which inputs have another content than the sealed ones had when they were read.

    Inputs are paired by path. Those whose paths differ (a study that was renamed, models that moved) are paired in the
    order of their paths read from the end, which a move of their folders leaves as it is.

    Args:
        now: checksum of each input that is there, by its path; "" for one that is not there any more and needs no
            compare.
    """
    changed = [path for path, checksum in now.items() if path in sealed and checksum and checksum != sealed[path]]
    new = {path: checksum for path, checksum in now.items() if path not in sealed}
    gone = {path: checksum for path, checksum in sealed.items() if path not in now}
    differences = [f"input: {path} has other content" for path in changed]
    if _from_the_end(new) != _from_the_end(gone):
        differences += [f"input: {path} was not read" for path in new]
        differences += [f"input: {path} is not read any more" for path in gone]
    return differences


def _from_the_end(inputs: Mapping[str, str]) -> list[str]:
    return [inputs[path] for path in sorted(inputs, key=lambda path: path.split("/")[::-1])]


def in_one_line(differences: Sequence[str], most: int = 3) -> str:
    """Return differences as one line: the first few, and how many more there are."""
    more = len(differences) - most
    return "; ".join(differences[:most]) + (f"; and {more} more" if more > 0 else "")


def seals_below(folder: str | os.PathLike[str]) -> Iterator[Seal]:
    """Yield every readable seal below a folder, ordered by path."""
    for path in sorted(Path(folder).rglob(f"*{SUFFIX}")):
        seal = read_seal(path)
        if seal is not None:
            yield seal


PACKED = "seals"
"""Folder of an archived study (`posologie package`) that holds the seals of all its artifacts."""


def packed_seals(root: str | os.PathLike[str]) -> list[Seal]:
    """Return the seals of an archived study as if each lay beside its artifact and all inputs below this folder.

    Seals name inputs by their paths in the study's own folder. An input that another seal knows as its artifact is
    found by the end of its path; any other keeps its name.
    """
    folder = Path(root)
    seals = [
        replace(seal, path=folder / seal.path.relative_to(folder / PACKED)) for seal in seals_below(folder / PACKED)
    ]
    known = {path.relative_to(folder).as_posix() for seal in seals for path in seal.files()}

    def here(name: str) -> str:
        parts = name.split("/")
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        return next(((folder / end).as_posix() for end in ends if end in known), name)

    return [replace(seal, inputs={here(name): checksum for name, checksum in seal.inputs.items()}) for seal in seals]


def _value_differences(now: Any, sealed: Any, key: str = "") -> list[str]:
    if isinstance(now, Mapping) and isinstance(sealed, Mapping):
        differences: list[str] = []
        for name in sorted({*now, *sealed}, key=str):
            below = f"{key}.{name}" if key else str(name)
            if name not in sealed:
                differences.append(f"{below} {_shown(now[name])}, not sealed")
            elif name not in now:
                differences.append(f"{below} not set, sealed {_shown(sealed[name])}")
            else:
                differences += _value_differences(now[name], sealed[name], below)
        return differences
    if isinstance(now, list) and isinstance(sealed, list) and len(now) == len(sealed):
        pairs: Iterable[tuple[int, tuple[Any, Any]]] = enumerate(zip(now, sealed, strict=True))
        return [text for place, pair in pairs for text in _value_differences(*pair, f"{key}[{place}]")]
    # the text distinguishes 1 from 1.0 and True, which are equal in Python and different in a spec
    return [] if _canonical(now) == _canonical(sealed) else [f"{key or 'whole'} {_shown(now)}, sealed {_shown(sealed)}"]


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= 60 else text[:57] + "…"


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _joined(folder: Path, name: str) -> Path:
    return Path(os.path.normpath(folder / name))


class FileHashes:
    """Checksums that are computed at most once while a file stays as it is, in this process and in later ones."""

    def __init__(self, memory: str | os.PathLike[str]) -> None:
        """Read what is remembered in a file; nothing where there is none."""
        self.memory = Path(memory)
        self.new = False
        try:
            stored = json.loads(self.memory.read_bytes())
        except (OSError, ValueError):
            stored = {}
        entries = stored.items() if isinstance(stored, dict) else ()
        self.checksums: dict[str, list[int | str]] = {path: known for path, known in entries if isinstance(known, list)}

    def of(self, path: str | os.PathLike[str]) -> str:
        """Return the SHA-256 of a file; "" where there is none, and a word that is no checksum for a folder.

        Raises:
            OSError: if it is there and cannot be read.
        """
        try:
            mark = mark_of(path)
        except OSError:
            return ""
        if os.path.isdir(path):
            return "a folder"
        known = self.checksums.get(str(path))
        if known is not None and known[:-1] == [*mark]:
            return str(known[-1])
        checksum = sha256_of_file(path)
        self.remember(path, checksum, mark)
        return checksum

    def remember(self, path: str | os.PathLike[str], checksum: str, mark: Sequence[int] | None = None) -> None:
        """Remember the checksum of a file as it is now, or as it was when its mark was taken."""
        self.checksums[str(path)] = [*(mark or mark_of(path)), checksum]
        self.new = True

    def remember_sealed(self, seal: Seal) -> None:
        """Remember the checksums of an artifact that was just made, but not of files of an earlier or a later time.

        Those may have been put in place by hand since. The time of the inode says nothing: Snakemake changes it.
        """
        with contextlib.suppress(OSError, ValueError):
            sealed = os.stat(seal.path).st_mtime_ns
            started = datetime.fromisoformat(seal.made.get("started", "1970-01-01T00:00:00+00:00")).timestamp() * 1e9
            for path, checksum in seal.files().items():
                if started <= (mark := mark_of(path))[1] <= sealed:
                    self.remember(path, checksum, mark)

    def keep(self) -> None:
        """Write what is new; where that fails, the next process hashes again."""
        if not self.new:
            return
        self.new = False
        partial = self.memory.with_name(f".{self.memory.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            self.memory.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(self.checksums), encoding="utf-8")
            os.replace(partial, self.memory)


def mark_of(path: str | os.PathLike[str]) -> tuple[int, ...]:
    """Return what changes when a file is written: size in bytes, times of content and inode in ns, inode.

    The second time cannot be set, so it also reveals a file that was put back with its old time.

    Raises:
        OSError: if there is no such file.
    """
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
