"""The store of models: manifests with checksums, and the versions of installed packages that hold a model."""

import importlib.metadata
import logging
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from posologie.records.files import read_json, sha256_of_file, write_json
from posologie.running.errors import InputError

log = logging.getLogger(__name__)


def write_manifest(folder: Path, facts: dict[str, Any], files: Iterable[Path]) -> Path:
    """Write `manifest.json` over files below `folder`.

    Args:
        facts: name, kind, requested and resolved revision, and what else is worth keeping.
    """
    files = sorted(files)
    for path in files:
        path.chmod(0o644)  # some libraries write for the owner alone; a models folder is shared between users
    manifest = folder / "manifest.json"
    entries = {path.relative_to(folder).as_posix(): sha256_of_file(path) for path in files}
    write_json(manifest, {**facts, "files": entries})
    return manifest


def checked_folder(manifest: str | os.PathLike[str]) -> Path:
    """Return the folder of a manifest once every file in it has the checksum that the manifest states.

    Raises:
        InputError: naming the first file that is missing or altered, and how to fetch it again.
    """
    path = Path(manifest)
    facts = read_json(path)
    if not isinstance(facts, dict) or not isinstance(facts.get("files"), dict) or not facts["files"]:
        raise InputError(f"{path}: expected a manifest with 'files'")
    for name, expected in facts["files"].items():
        file = path.parent / name
        if not file.is_file():
            raise InputError(f"{file}: missing, although {path} lists it; delete the manifest to fetch it again")
        checksum = sha256_of_file(file)
        if checksum != expected:
            expectation = f"expected {expected[:12]}… ({path}); delete the manifest to fetch it again"
            raise InputError(f"{file}: sha256 is {checksum[:12]}…, {expectation}")
    log.info("%s: %d files checked", path.parent, len(facts["files"]))
    return path.parent


def read_manifest(manifest: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the facts of a manifest."""
    facts: dict[str, Any] = read_json(manifest)
    return facts


@cache
def installed_version(package: str) -> str | None:
    """Return the version of the distribution that brings an importable package; None where it is not installed."""
    try:
        return importlib.metadata.version(package)  # most distributions bear the name of their package
    except importlib.metadata.PackageNotFoundError:
        for distribution in importlib.metadata.packages_distributions().get(package.partition(".")[0], ()):
            return importlib.metadata.version(distribution)
    return None


def check_version(key: str, package: str | None, planned: str | None) -> None:
    """Check that the package installed here is the one that the job was planned with.

    Args:
        key: of the study file, for the message.
        planned: None where nothing was planned, or where the package was missing then.

    Raises:
        InputError: if another version is installed.
    """
    if package is None or planned is None:
        return
    installed = installed_version(package)
    if installed != planned:
        raise InputError(
            f"{key} = '{package}': version {planned} was planned, {installed or 'none'} is installed here; "
            f"run Snakemake again, or install version {planned}"
        )
