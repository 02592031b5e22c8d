"""What a run has planned: what is frozen, and what its jobs refuse."""

import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from posologie.running.claims import Process
from posologie.running.code_digest import code_name, module_digests, total_digest
from posologie.running.counted_code import PACKAGE
from posologie.running.errors import InputError
from posologie.running.seals import Identity, Seal, called_now
from posologie.running.whole_files import keep_json

VARIABLE = "POSOLOGIE_RUN"
"""The environment variable that names the folder of the run that a job belongs to."""

KEPT_DAYS = 30.0
"""Days after which the folder of an ended run is removed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A planned run.

    Attributes:
        name: the run's name; on SLURM that of its jobs in `squeue`.
        head: the process that planned it.
        code: digest of the code behind each module that a command runs.
        accepted: for each module, pairs of digests (old, new) between which a person found no change of any number.
        number: greater than that of every earlier run of the study, whatever the clocks of their machines say.
    """

    name: str
    head: Process
    code: Mapping[str, str]
    accepted: Mapping[str, list[list[str]]] = field(default_factory=dict)
    started: str = ""
    number: int = 0

    @property
    def order(self) -> tuple[int, str, str]:
        """What sorts the runs of a study from the first to the last."""
        return self.number, self.started, self.name


def freeze(
    work: str | os.PathLike[str],
    name: str,
    study: Mapping[str, Any],
    code: Mapping[str, str],
    plan: Mapping[str, Identity],
    accepted: Mapping[str, list[list[str]]],
) -> Path:
    """Write the folder of a run and return it; folders of runs that ended long ago are removed.

    Args:
        plan: identity of each artifact, by the path of each of its files.
    """
    folder = Path(work) / "runs" / name
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    keep_json(folder / "study.json", study, sort_keys=False)  # the order of sources decides in screening
    keep_json(folder / "plan.json", {file: [identity.text(), identity.code] for file, identity in plan.items()})
    earlier = (read_run(place) for place in folder.parent.iterdir() if place != folder)
    number = 1 + max((run.number for run in earlier if run is not None), default=0)
    run = Run(name, Process.this(), dict(code), dict(accepted), started, number)
    keep_json(folder / "run.json", asdict(run))
    _prune(folder.parent, folder)
    return folder


def keep_modules(work: str | os.PathLike[str], code: Mapping[str, str]) -> None:
    """Keep the digests of the modules behind each code of a run, so that `posologie why` can name those that changed.

    Args:
        work: the study's work folder.
        code: digest of the code behind each module that a command runs, and of the rules, which are no modules.
    """
    for name, total in code.items():
        file = _modules_file(work, total)
        if not name.startswith(f"{PACKAGE}.") or file.is_file():
            continue
        if total_digest(digests := module_digests(name)) == total:  # else it was edited since the plan
            keep_json(file, digests)


def kept_modules(work: str | os.PathLike[str], total: str) -> dict[str, str] | None:
    """Return the digests of the modules behind a code, by the code's own digest; None where they were not kept."""
    try:
        digests: dict[str, str] = json.loads(_modules_file(work, total).read_bytes())
    except (OSError, ValueError):
        return None
    return digests


def _modules_file(work: str | os.PathLike[str], total: str) -> Path:
    return Path(work) / "code" / f"{total}.json"


def _prune(runs: Path, own: Path) -> None:
    for folder in runs.iterdir():
        try:
            if folder != own and time.time() - (folder / "run.json").stat().st_mtime > KEPT_DAYS * 86400:
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue


def read_run(folder: str | os.PathLike[str]) -> Run | None:
    """Return the run of a folder; None where it is gone or not whole."""
    try:
        facts = json.loads((Path(folder) / "run.json").read_bytes())
        return Run(**{**facts, "head": Process(**facts["head"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def planned(folder: str | os.PathLike[str]) -> dict[str, list[str]]:
    """Return checksum and code of the identity of each file that a run planned; empty where the run is gone."""
    try:
        plan: dict[str, list[str]] = json.loads((Path(folder) / "plan.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return plan


@cache
def own_run() -> tuple[Path, Run, dict[str, list[str]]] | None:
    """Return folder, record and plan of the run that this process belongs to; None for a command given by hand.

    Raises:
        InputError: if the variable names a run whose folder is gone.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    run = read_run(named)
    if run is None:
        raise InputError(f"{named}: the run that this job belongs to is gone; start Snakemake again")
    return Path(named), run, planned(named)


def frozen_study() -> dict[str, Any] | None:
    """Return the study that the run of this process was planned with, as a JSON value; None without a run.

    Raises:
        InputError: if the run's folder is gone.
    """
    own = own_run()
    if own is None:
        return None
    study: dict[str, Any] = json.loads((own[0] / "study.json").read_bytes())
    return study


def rules_digest(folder: str | os.PathLike[str]) -> str:
    """Return a digest of the rules below a folder (Snakefile, *.smk), without lines that are empty or comments."""
    total = hashlib.sha256()
    for path in sorted([*Path(folder).glob("Snakefile"), *Path(folder).rglob("*.smk")]):
        lines = path.read_text(encoding="utf-8").splitlines()
        counted = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
        total.update("\n".join([path.relative_to(folder).as_posix(), *counted, ""]).encode())
    return total.hexdigest()[:16]


def check_code(module: str, code: str) -> None:
    """Refuse to run other code than the run of this process was planned with.

    Raises:
        InputError: naming the module and both digests.
    """
    own = own_run()
    if own is None:
        return
    planned_code = own[1].code.get(module)
    if planned_code is not None and planned_code != code:
        raise InputError(
            f"{module}: its code changed after run {own[1].name} was planned ({planned_code} then, {code} now);"
            " nothing was made; start Snakemake again"
        )


def check_current(file: str, identity: Identity) -> None:
    """Refuse to make what this process's run did not plan, or what the last run that plans it plans otherwise.

    Runs between the two do not count: where the study was edited and put back, the job makes what is wanted again.

    Raises:
        InputError: naming the file and the run.
    """
    own = own_run()
    if own is None:
        return
    folder, run, plan = own
    identity_and_code = [identity.text(), identity.code]
    if plan.get(file, identity_and_code) != identity_and_code:
        raise InputError(
            f"{file}: not what run {run.name} planned: the rules of the workflow, or a file or package that they look"
            " at, changed in the meantime; nothing was made; start Snakemake again"
        )
    later = [(other, place) for place in folder.parent.iterdir() if (other := read_run(place)) is not None]
    for other, place in sorted(later, key=lambda pair: pair[0].order, reverse=True):
        if other.order <= run.order:
            return
        if (planned_identity := planned(place).get(file)) is None:
            continue
        if planned_identity != identity_and_code:
            raise InputError(
                f"{file}: run {other.name} plans it differently from run {run.name}, which has ended; nothing was made"
            )
        return


def check_input(file: str, seal: Seal) -> None:
    """Refuse an input of another identity than the run of this process planned.

    Raises:
        InputError: naming the file.
    """
    own = own_run()
    if own is None or file not in own[2]:
        return
    text, code = own[2][file]
    identity = seal.identity
    if identity.text() == text and same_code(identity.module, identity.code, code, own[1].accepted):
        return
    by = seal.made.get("run") or "a command given by hand"
    raise InputError(
        f"{file}: made with other settings or code than run {own[1].name} planned (by {by}); start Snakemake again,"
        " which rebuilds it"
    )


def same_code(module: str, sealed: str, now: str, accepted: Mapping[str, list[list[str]]]) -> bool:
    """Whether two digests of a module's code are equal, or joined by changes that a person accepted."""
    reached, waiting = {sealed}, [sealed]
    while waiting:
        here = waiting.pop()
        for old, new in accepted.get(module, []):
            if old == here and new not in reached:
                reached.add(new)
                waiting.append(new)
    return now in reached


_COMMAND = re.compile(r"^python -m (\S+) .* # code ([0-9a-f]+)$", re.DOTALL)


def command_of(shell: str | None) -> tuple[str, str] | None:
    """Return the name of the code that a rule's command runs (`code_name`) and its digest."""
    match = _COMMAND.match(shell or "")
    return None if match is None else (code_name(match[1], match[0].split()), match[2])


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
        pairs.setdefault(called_now(str(entry["module"])), []).append([str(entry["old"]), str(entry["new"])])
    return pairs
