"""The store of models: manifests and checksums, installed packages that hold a model, and text encoders."""

import importlib.metadata
import importlib.util
import logging
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from posologie.models.spec import EncoderOrigin
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
        found = sha256_of_file(file)
        if found != expected:
            expectation = f"expected {expected[:12]}… ({path}); delete the manifest to fetch it again"
            raise InputError(f"{file}: sha256 is {found[:12]}…, {expectation}")
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
    found = installed_version(package)
    if found != planned:
        raise InputError(
            f"{key} = '{package}': version {planned} was planned, {found or 'none'} is installed here; "
            f"run Snakemake again, or install version {planned}"
        )


def encoder_folder(encoder: EncoderOrigin, manifest: str | None) -> Path:
    """Return the folder that holds an encoder.

    Raises:
        InputError: if the package is not installed or holds no encoder, or the manifest of a hub encoder is missing.
    """
    if encoder.hub is not None:
        if manifest is None:
            raise InputError("--encoder: missing; expected the manifest of the encoder from the hub")
        return checked_folder(manifest)
    if encoder.folder is not None:
        folders = [Path(encoder.folder)]
    else:
        found = importlib.util.find_spec(str(encoder.package))
        if found is None or not found.submodule_search_locations:
            raise InputError(f"encoder.package = '{encoder.package}': not installed")
        root = Path(found.submodule_search_locations[0])
        folders = sorted((path.parent for path in root.rglob("model.safetensors")), key=lambda path: len(path.parts))
    if not folders or not (folders[0] / "config.json").is_file() or not (folders[0] / "model.safetensors").is_file():
        where = encoder.folder or encoder.package
        raise InputError(f"encoder: '{where}' has no config.json with model.safetensors; expected an encoder")
    return folders[0]


def encoder_name(encoder: EncoderOrigin, folder: Path, manifest: str | None) -> str:
    """Return which encoder it is: name, revision or checksum, and the library that runs it."""
    if encoder.hub is not None and manifest is not None:
        which = f"{encoder.hub}@{read_manifest(manifest)['revision']}"
    else:
        which = f"{encoder.package or folder.name}@sha256:{sha256_of_file(folder / 'model.safetensors')[:12]}"
    return f"encoder:{which}|transformers:{importlib.metadata.version('transformers')}"
