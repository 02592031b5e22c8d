"""Check every seal of a study: whether files are unchanged since they were made, and their inputs too.

  posologie verify --results results/demo
  posologie verify --results results/demo --fix
  posologie verify --results demo-crate

A file is *altered* when its bytes differ from its seal, *outdated* when an input has changed since it was read, and
*not sealed* when nothing says what made it. Snakemake rebuilds all three. --fix moves altered files aside, to
`set-aside/` below the study's folder, so a change by hand is not lost. In an archived study (`posologie package`)
every file and seal is checked against the others, except for what was left out of it.
"""

import argparse
import os
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from posologie.cli.crate import METADATA, is_crate
from posologie.cli.places import FOLDERS, add_results, console, print_json, results_folder
from posologie.records.files import read_json, sha256_of_file
from posologie.running.errors import InputError
from posologie.running.seals import SUFFIX, Seal, packed_seals, seals_below

ASIDE = "set-aside"


@dataclass(frozen=True)
class Fault:
    """One file of a study that is not what its seal says."""

    file: str
    state: str
    why: str


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `verify`."""
    add_results(arguments)
    arguments.add_argument(
        "--fix", action="store_true", help="move altered files aside, so that Snakemake rebuilds them"
    )


def answer(options: argparse.Namespace) -> int:
    """Print what is wrong; the exit code is 1 if anything is."""
    root = results_folder(options.results)
    packed = is_crate(root)
    if packed and options.fix:
        raise InputError(f"--fix: {root} is an archived study, whose files cannot be rebuilt; take a fresh copy")
    seals = packed_seals(root) if packed else list(seals_below(root))
    if not seals:
        raise InputError(f"--results {root}: no seals in it; expected the results of a study, or an archive of them")
    faults = list(faults_of_crate(root, seals) if packed else faults_of(root, seals))
    moved = [_set_aside(root, Path(fault.file)) for fault in faults if fault.state == "altered"] if options.fix else []
    if options.json:
        print_json({"seals": len(seals), "faults": [asdict(fault) for fault in faults], "moved": moved})
        return 1 if faults else 0
    out = console()
    for fault in faults:
        out.print(f"{fault.state}: {fault.file} ({fault.why})", markup=False)
    for path in moved:
        out.print(f"moved aside: {path}", markup=False)
    counts = Counter(fault.state for fault in faults)
    summary = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))
    absent = sum(not any(path.is_file() for path in seal.files()) for seal in seals) if packed else 0
    left_out = f" {absent} artifacts are not in the archive; their seals were compared." if absent else ""
    out.print(f"{len(seals)} seals: {summary or 'everything is unchanged since it was made'}.{left_out}", markup=False)
    return 1 if faults else 0


def faults_of(root: Path, seals: list[Seal]) -> Iterator[Fault]:
    """Yield what is not as it was made, of a study's files and of the inputs behind them."""
    hashes: dict[str, str] = {}

    def checksum(path: Path) -> str:
        key = str(path)
        if key not in hashes:
            hashes[key] = sha256_of_file(path) if path.is_file() else ""
        return hashes[key]

    sealed: set[str] = set()
    for seal in seals:
        files = seal.files()
        sealed.update(map(str, files))
        if not any(path.exists() for path in files):
            continue  # a part that was gathered and deleted: its seal says how it was made
        for path, expected in files.items():
            current = checksum(path)
            if not current:
                yield Fault(str(path), "missing", f"{seal.path.name} knows it")
            elif current != expected:
                yield Fault(str(path), "altered", f"sha256 {current[:12]}…, sealed {expected[:12]}…")
        for name, expected in seal.inputs.items():
            current = checksum(Path(name))
            if current and current != expected:
                yield Fault(
                    str(seal.path.with_name(seal.path.name.removesuffix(SUFFIX))), "outdated", f"{name} has changed"
                )
    yield from _unsealed(root, sealed)


def faults_of_crate(root: Path, seals: list[Seal]) -> Iterator[Fault]:
    """Yield what an archived study holds otherwise than it was packed, and seals that contradict each other.

    An artifact that was left out of the archive is known by its seal: whatever was made of it has to name its checksum.
    """
    sealed = {path.as_posix(): checksum for seal in seals for path, checksum in seal.files().items()}
    packed = {
        (root / entity["@id"]).as_posix(): entity["sha256"]
        for entity in read_json(root / METADATA)["@graph"]
        if "sha256" in entity
    }
    for name, expected in {**packed, **sealed}.items():
        if not Path(name).is_file():
            if name in packed:
                yield Fault(name, "missing", f"{METADATA} names it")
        elif (current := sha256_of_file(name)) != expected:
            yield Fault(name, "altered", f"sha256 {current[:12]}…, sealed {expected[:12]}…")
    for seal in seals:
        for name, expected in seal.inputs.items():
            if sealed.get(name, expected) != expected:
                artifact = seal.path.as_posix().removesuffix(SUFFIX)
                yield Fault(artifact, "outdated", f"it was made from a different {name} than the one that is sealed")
    yield from _unsealed(root, {*sealed, *packed})


def _unsealed(root: Path, sealed: Collection[str]) -> Iterator[Fault]:
    for folder in sorted(FOLDERS):
        for path in sorted((root / folder).rglob("*")):
            if (
                path.is_file()
                and not path.name.endswith(SUFFIX)
                and str(path) not in sealed
                and not _is_loose(root, path)
            ):
                yield Fault(str(path), "not sealed", "nothing says what made it")


def _is_loose(root: Path, path: Path) -> bool:
    """Whether a file belongs to an artifact without being declared: merged weights."""
    inside = path.relative_to(root).parts
    return path.name.startswith(".") or inside[0] in ("merged", "pushed")


def _set_aside(root: Path, path: Path) -> str:
    target = root / ASIDE / path.relative_to(root)
    number = 0
    while target.exists():
        number += 1
        target = target.with_name(f"{target.name}.{number}")
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(path, target)
    return str(target)
