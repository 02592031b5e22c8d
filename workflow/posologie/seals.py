"""The checksums that a stage writes beside its artifact, and the check before the next stage uses it.

Reports of shards, screened shards and mixes hold `sha256`, from file name to checksum; run records hold `outputs`. A
file that was truncated, or altered by hand or by a job of an older configuration, is refused by name, never read.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from posologie.errors import InputError
from posologie.files import sha256_of_file


def seal(*files: str | os.PathLike[str]) -> dict[str, dict[str, str]]:
    """Return the entry of a report that seals files of its folder: `{"sha256": {name: checksum}}`."""
    return {"sha256": {Path(file).name: sha256_of_file(file) for file in files}}


def check_seal(file: str | os.PathLike[str]) -> None:
    """Compare a file with the checksum beside it; a file without one is somebody's own and passes.

    Raises:
        InputError: naming the file and the record that it is not as.
    """
    path = Path(file)
    for record in (path.with_suffix(".json"), path.with_suffix(".run.json"), *_shared(path.parent)):
        for name, expected in _sealed(record):
            if name != path.name:
                continue
            if not path.is_file():
                raise InputError(f"{path}: no such file; {record} knows it")
            if (found := sha256_of_file(path)) != expected:
                raise InputError(
                    f"{path}: truncated or altered after it was made (sha256 {found[:12]}…; {record} says"
                    f" {expected[:12]}…); delete it, and Snakemake makes it again"
                )
            return


def _shared(folder: Path) -> tuple[Path, Path]:
    return folder / "composition.json", folder / "run.json"


def _sealed(record: Path) -> Iterator[tuple[str, str]]:
    try:
        facts: Any = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    if not isinstance(facts, dict):
        return
    if isinstance(facts.get("sha256"), dict):
        yield from facts["sha256"].items()
    if isinstance(facts.get("outputs"), dict):
        for output in facts["outputs"].values():
            yield Path(output["file"]).name, output["sha256"]
