"""What the four ways to a backbone share: files are gathered beside their place and moved there whole."""

import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from posologie.models.spec import Backbone, ModelSpec
from posologie.models.store import check_version, write_manifest
from posologie.running.commands import parser
from posologie.running.errors import InputError

log = logging.getLogger(__name__)

Gather = Callable[[Backbone, Path, Path], dict[str, Any]]
"""Puts a model's files into a temporary folder (the second argument; the third is where they will lie) and returns the
manifest's facts: kind, revisions, trust."""


def install(module: str, description: str, gather: Gather, argv: list[str]) -> None:
    """Run a fetching command: `--spec ModelSpec --manifest models/{name}@{revision}/manifest.json`.

    Raises:
        InputError: if the model cannot be had, has no safetensors weights, or comes from a package of another version than
            the planned one.
    """
    arguments = parser(module, description)
    arguments.add_argument("--manifest", required=True, type=Path)
    options = arguments.parse_args(argv)
    spec = ModelSpec.from_json(options.spec)
    check_version("gguf_package", spec.backbone.gguf_package, spec.package_version)
    folder: Path = options.manifest.parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        gathered = Path(temporary) / "model"
        gathered.mkdir()
        facts = gather(spec.backbone, gathered, folder)
        files = [path for path in sorted(gathered.rglob("*")) if path.is_file()]
        if not any(path.suffix == ".safetensors" for path in files):
            raise InputError(
                f"backbone '{spec.name}': no .safetensors file found; expected safetensors weights"
                " (config/README.md says how pickled ones are converted)"
            )
        defaults = {"name": spec.name, "requested_revision": None, "revision": None, "trust_remote_code": False}
        write_manifest(gathered, {**defaults, **facts}, files)
        shutil.rmtree(folder, ignore_errors=True)
        gathered.replace(folder)
    log.info("%s: %d files", folder, len(files))
