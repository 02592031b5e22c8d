"""How a job makes an artifact: it claims it, reads what was planned, makes it, and seals it last.

`commands.run` calls `make` for every command that a rule starts with `--sealing`. In order:

1. The code is compared with that of the run that the job belongs to.
2. The artifact is claimed, so that two jobs never make it at once.
3. Every input is hashed and compared with its own seal and with what the run planned.
4. Where the artifact is there already, whole and of the same identity and inputs, nothing is done.
5. The stage's `main` runs. An artifact of several files is written beside its place.
6. Inputs and code are compared with what they were; if one changed, nothing is put in place and the job fails.
7. The files are put in place, all at once, and the seal is written.
"""

import glob
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from posologie.running.claims import claimed
from posologie.running.code_digest import forget
from posologie.running.errors import InputError
from posologie.running.planning import check_code, check_current, check_input, own_run
from posologie.running.seals import (
    Identity,
    Seal,
    checked_sum,
    further_files,
    input_differences,
    mark_of,
    read_seal,
    seal_path,
    write_seal,
)
from posologie.running.whole_files import is_abandoned, sha256_of_file

OPTION = "--sealing"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What a rule says of the artifact that its command makes.

    Attributes:
        inputs: the declared inputs.
        outputs: the files of the artifact; the seal lies beside the first.
        settings: what the artifact depends on beside spec and inputs.
        work: the study's work folder, which all jobs see.
        beside: pattern of the names of further files of the artifact, in the folder of its first one.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    work: str = "work"
    beside: str = ""

    @classmethod
    def from_text(cls, text: str) -> "Request":
        """Read the value of `--sealing`: JSON, or `@FILE` that holds it."""
        if text.startswith("@"):
            text = Path(text[1:]).read_text(encoding="utf-8")
        facts = json.loads(text)
        others = {name: facts[name] for name in ("settings", "work", "beside") if name in facts}
        return cls(inputs=tuple(facts["inputs"]), outputs=tuple(facts["outputs"]), **others)

    def to_text(self) -> str:
        """Return the value of `--sealing`."""
        facts = {"inputs": self.inputs, "outputs": self.outputs, "settings": self.settings, "work": self.work}
        facts |= {"beside": self.beside} if self.beside else {}
        return json.dumps(facts, sort_keys=True, ensure_ascii=False)


def taken_out(argv: Sequence[str]) -> tuple[list[str], Request | None]:
    """Return the arguments without `--sealing`, and what it says."""
    words = list(argv)
    if OPTION not in words:
        return words, None
    place = words.index(OPTION)
    request = Request.from_text(words[place + 1])
    return words[:place] + words[place + 2 :], request


def identity_of(module: str, code: str, argv: Sequence[str], request: Request) -> Identity:
    """Return what a command is asked to make: its spec stands behind `--spec`, as JSON or `@FILE`."""
    words = list(argv)
    spec: Any = None
    if "--spec" in words:
        text = words[words.index("--spec") + 1]
        # a command without a spec is given an empty one
        spec = json.loads(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text) or None
    return Identity(module, code, spec, request.settings)


def make(
    module: str, digest: Callable[[str], str], argv: list[str], request: Request, main: Callable[[list[str]], None]
) -> None:
    """Make the artifact of a command and seal it.

    Args:
        digest: gives the digest of the code behind a module, as it is on disk now.
        main: the stage's command, which takes `argv`.

    Raises:
        InputError: if code or inputs are not those of the plan, or changed while the job ran.
    """
    making = begin(module, digest(module), argv, request)
    job = [making.identity.text(), making.identity.code, *sorted(making.inputs.values())]
    with claimed(Path(request.work), Path(request.outputs[0]), job):
        staging = Staging(request.outputs, request.beside)
        if is_made(request.outputs, making.identity, making.inputs, request.beside):
            log.info("%s: already made as planned; nothing to do", request.outputs[0])
            return
        try:
            _run(main, staging.words(argv))
            forget()
            end(making, digest(module), staging)
        finally:
            staging.remove()


@dataclass(frozen=True)
class Making:
    """An artifact under way: what it is to be, and its inputs as they were when the job began to read them."""

    identity: Identity
    outputs: tuple[str, ...]
    inputs: dict[str, str]
    origins: dict[str, str]
    marks: dict[str, tuple[int, ...]]
    started: float
    beside: str = ""


def begin(module: str, code: str, argv: Sequence[str], request: Request) -> Making:
    """Compare code and inputs with what the run planned.

    Args:
        code: digest of the code behind the module.

    Raises:
        InputError: if one is not as planned, or the run is over.
    """
    started = time.time()
    check_code(module, code)
    identity = identity_of(module, code, argv, request)
    check_current(request.outputs[0], identity)
    inputs, origins, marks = _read(request.inputs)
    return Making(identity, request.outputs, inputs, origins, marks, started, request.beside)


class Staging:
    """Folders beside the files of an artifact in which they are written, so that they come into place together.

    A job that is killed before its last file is whole leaves the artifact that was there as it was.
    """

    def __init__(self, outputs: Sequence[str], beside: str = "") -> None:
        """Choose a folder for each place that files go to; an artifact of one file needs none."""
        suffix = f"staging.{os.uname().nodename}.{os.getpid()}"
        self.staged: dict[str, str] = {}
        self.folders: list[Path] = []
        if len(outputs) > 1 or beside:
            name = f".{Path(outputs[0]).name}.{suffix}"
            self.folders = [parent / name for parent in dict.fromkeys(Path(output).parent for output in outputs)]
            self.staged = {output: str(Path(output).parent / name / Path(output).name) for output in outputs}
            for folder in self.folders:
                for abandoned in folder.parent.glob(f"{glob.escape(f'.{Path(outputs[0]).name}.staging.')}*"):
                    if is_abandoned(abandoned):
                        shutil.rmtree(abandoned, ignore_errors=True)

    def words(self, argv: Sequence[str]) -> list[str]:
        """Return arguments with each file of the artifact, as PATH or NAME=PATH, replaced by its staged one."""
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)
        return [self._word(word) for word in argv]

    def _word(self, word: str) -> str:
        name, separator, path = word.partition("=")
        if separator and path in self.staged:
            return f"{name}={self.staged[path]}"
        return self.staged.get(word, word)

    def files(self) -> list[tuple[Path, Path]]:
        """Return every staged file and its place, those that are not declared among them."""
        existing = [folder for folder in self.folders if folder.is_dir()]
        return [(path, folder.parent / path.name) for folder in existing for path in sorted(folder.iterdir())]

    def remove(self) -> None:
        """Remove the folders with what a failed job has left in them."""
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)


def end(making: Making, code: str, staging: Staging | None = None) -> None:
    """Put an artifact in place and seal it.

    Args:
        code: digest of the code behind the module as it is now.
        staging: where its files were written; they are in place already if left out.

    Raises:
        InputError: if code or inputs changed while the job ran, or a file of the artifact is not there.
    """
    _unchanged(making.inputs, making.marks)
    module, planned = making.identity.module, making.identity.code
    if code != planned:
        raise InputError(
            f"{module}: its code changed while the job ran ({planned} then, {code} now); nothing is sealed; start"
            " Snakemake again"
        )
    files = [] if staging is None else staging.files()
    placed = {str(place) for _, place in files}
    # files that the command writes in place by itself (figures, say) are not staged
    missing = [output for output in making.outputs if output not in placed and not os.path.exists(output)]
    if missing:
        raise InputError(f"{missing[0]}: {module} ended without writing it; nothing is sealed")
    check_current(making.outputs[0], making.identity)
    for file, place in files:
        os.replace(file, place)
    further = further_files(making.outputs, making.beside)
    for left in (path for path in further if path not in placed):
        os.unlink(left)  # of the artifact that was there before
    outputs = [*making.outputs, *(path for path in further if path in placed)]
    write_seal(outputs, making.identity, making.inputs, _made(making.started), making.origins)


def _run(main: Callable[[list[str]], None], argv: list[str]) -> None:
    try:
        main(argv)
    except SystemExit as end:
        if end.code not in (0, None):
            raise


def is_made(outputs: Sequence[str], identity: Identity, inputs: dict[str, str], beside: str = "") -> bool:
    """Whether an artifact is there, whole, of this identity and made of these inputs, as the plan compares them."""
    seal = read_seal(seal_path(outputs))
    if seal is None or seal.identity.code != identity.code or seal.identity.text() != identity.text():
        return False
    files = {*map(Path, outputs), *map(Path, further_files(outputs, beside))}
    if input_differences(seal.inputs, inputs) or seal.files().keys() != files:
        return False
    return whole(seal)


def whole(seal: Seal) -> bool:
    """Whether every file of a sealed artifact is there and has the sealed bytes."""
    return all(path.is_file() and sha256_of_file(path) == checksum for path, checksum in seal.files().items())


def _read(paths: Sequence[str]) -> tuple[dict[str, str], dict[str, str], dict[str, tuple[int, ...]]]:
    """Return the checksum of each input, the origin of those that are artifacts, and the file-system mark of each.

    The mark shows whether an input was written since.
    """
    inputs, origins, marks = {}, {}, {}
    for path in paths:
        marks[path] = _mark(path)
        checksum, seal = checked_sum(path)
        if seal is not None:
            check_input(path, seal)
            origins[path] = seal.origin()
        inputs[path] = checksum
    return inputs, origins, marks


def _mark(path: str) -> tuple[int, ...]:
    """Return the mark of a file, as the file server knows it; () where there is no file."""
    try:
        with open(path, "rb"):  # NFS asks the server for the times of a file when it is opened
            return mark_of(path)
    except FileNotFoundError:
        return ()


def _unchanged(inputs: dict[str, str], marks: dict[str, tuple[int, ...]]) -> None:
    """Refuse inputs that were written in the meantime: if one was put back, the job may have read the other content."""
    for path, checksum in inputs.items():
        if _mark(path) != marks[path]:
            same = os.path.isfile(path) and sha256_of_file(path) == checksum
            raise InputError(
                f"{path}: {'was written (and has its old content again)' if same else 'changed'} while the job that"
                " reads it ran; what was made of it is not sealed; start Snakemake again, which rebuilds it"
            )


def _made(started: float) -> dict[str, Any]:
    run = own_run()
    return {
        "run": None if run is None else run[1].name,
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - started, 3),
        "host": os.environ.get("SLURMD_NODENAME") or os.uname().nodename,
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
    }
