"""Text encoders: where the files of one are, and what it is called in a record."""

import importlib.metadata
import importlib.util
from pathlib import Path

from posologie.models.spec import EncoderOrigin
from posologie.models.store import checked_folder, read_manifest
from posologie.records.files import sha256_of_file
from posologie.running.errors import InputError


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
