"""Backbones that others published: from the hub, from a local folder, or from a GGUF file in an installed package.

The files are gathered beside their place and moved there whole, with a manifest of their checksums. A small model with
random weights (`posologie.models.untrained`) is installed in the same way.
"""

import importlib.util
import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from posologie.models.spec import Backbone, ModelSpec, files_of_model
from posologie.models.store import check_version, installed_version, write_manifest
from posologie.records.hub import download
from posologie.running.commands import parser, run
from posologie.running.errors import InputError

log = logging.getLogger(__name__)

Gather = Callable[[Backbone, Path, Path], dict[str, Any]]
"""Puts a model's files into a temporary folder (the second argument; the third is where they will lie) and returns the
manifest's facts: kind, revisions, trust."""

HUB_PATTERNS = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.tiktoken")
"""What is taken from the hub: no pickled weights, and Python code only where the user trusts it."""


def main(argv: list[str]) -> None:
    """Install a published backbone."""
    install("posologie.models.origins", "Fetch, copy or convert a published model.", _gather, argv)


def install(module: str, description: str, gather: Gather, argv: list[str]) -> None:
    """Run a fetching command: `--spec ModelSpec --manifest models/{name}@{revision}/manifest.json`.

    Raises:
        InputError: if the model cannot be had, has no safetensors weights, or comes from a package of another version
            than the planned one.
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


def _gather(backbone: Backbone, target: Path, folder: Path) -> dict[str, Any]:
    if backbone.hub is not None:
        return _fetch(backbone, target, folder)
    if backbone.folder is not None:
        return _copy(backbone, target)
    if backbone.gguf_package is not None:
        return _convert(backbone, target)
    raise InputError("hub, folder or gguf_package: missing, and one of them is required")


def _fetch(backbone: Backbone, target: Path, folder: Path) -> dict[str, Any]:
    """Put the files of one commit of `backbone.hub` into `target`, and return the manifest's facts."""
    name = str(backbone.hub)
    patterns = [*HUB_PATTERNS, "*.py"] if backbone.trust_remote_code else HUB_PATTERNS
    downloaded = download(name, kind="model", revision=backbone.revision, patterns=patterns, beside=folder)
    for file in downloaded.checksums:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        (downloaded.folder / file).replace(target / file)
    shutil.rmtree(downloaded.folder)
    return {
        "kind": "hub",
        "repository": name,
        "requested_revision": backbone.revision,
        "revision": downloaded.commit,
        "trust_remote_code": backbone.trust_remote_code,
    }


def _copy(backbone: Backbone, target: Path) -> dict[str, Any]:
    """Copy the files of `backbone.folder` into `target`, pickled weights left out, and return the manifest's facts."""
    source = Path(str(backbone.folder))
    if not (source / "config.json").is_file() and not (source / "adapter_config.json").is_file():
        raise InputError(f"folder = '{source}': no config.json there; expected a model in transformers' form")
    for file in files_of_model(source):
        shutil.copy2(file, target / Path(file).name)
    return {"kind": "folder", "trust_remote_code": backbone.trust_remote_code}


def _convert(backbone: Backbone, target: Path) -> dict[str, Any]:
    """Write the dequantised weights of a GGUF file (float32) and its tokenizer to `target`, and return the facts."""
    package, file = str(backbone.gguf_package), str(backbone.gguf_file)
    module = importlib.util.find_spec(package)
    if module is None or module.origin is None:
        raise InputError(f"gguf_package = '{package}': not installed; expected an importable Python package")
    folder = Path(module.origin).parent
    if not (folder / file).is_file():
        raise InputError(f"gguf_file = '{file}': not in package '{package}'; expected a GGUF file there")
    import torch  # takes seconds, which a download or a copy need not spend
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=file)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
    # transformers takes the weights that it has just unpacked for quantised ones and refuses to save them.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    return {"kind": "gguf", "package": package, "revision": installed_version(package)}


if __name__ == "__main__":
    run(main)
