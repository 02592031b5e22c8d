"""Bring a backbone into `models/{name}@{revision}/`: from the hub, a folder, a GGUF file in a package, or made untrained."""

import importlib.util
import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

from posologie.commands import parser, run
from posologie.errors import InputError
from posologie.models.spec import Backbone, ModelSpec
from posologie.models.store import write_manifest

log = logging.getLogger(__name__)

HUB_PATTERNS = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.tiktoken")
"""What is taken from a model repository: no pickled weights, and Python code only where the user trusts it."""


def main(argv: list[str]) -> None:
    """Fetch or make the model, then move the whole folder into place and write its manifest last."""
    arguments = parser("posologie.models.fetch", __doc__ or "")
    arguments.add_argument("--manifest", required=True, type=Path)
    options = arguments.parse_args(argv)
    spec = ModelSpec.from_json(options.spec)
    folder = options.manifest.parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        fetched = Path(temporary) / "model"
        fetched.mkdir()
        facts = fetch(spec.backbone, fetched)
        files = [path for path in sorted(fetched.rglob("*")) if path.is_file()]
        if not any(path.suffix == ".safetensors" for path in files):
            raise InputError(f"backbone '{spec.name}': no .safetensors file found; expected safetensors weights")
        write_manifest(fetched, {"name": spec.name, **facts}, files)
        shutil.rmtree(folder, ignore_errors=True)
        fetched.replace(folder)
    log.info("%s: %d files", folder, len(files))


def fetch(backbone: Backbone, target: Path) -> dict[str, Any]:
    """Put the model's files into `target` and return the manifest's facts: kind, revisions, trust."""
    facts: dict[str, Any] = {"requested_revision": None, "revision": None, "trust_remote_code": False}
    if backbone.hub is not None:
        commit = _from_hub(backbone, target)
        return {
            **facts,
            "kind": "hub",
            "repository": backbone.hub,
            "requested_revision": backbone.revision,
            "revision": commit,
            "trust_remote_code": backbone.trust_remote_code,
        }
    if backbone.folder is not None:
        _from_folder(Path(backbone.folder), target)
        return {**facts, "kind": "folder", "trust_remote_code": backbone.trust_remote_code}
    if backbone.untrained is not None:
        from posologie.models.untrained import make_untrained

        make_untrained(backbone.untrained, target)
        return {**facts, "kind": "untrained"}
    version = _from_package(str(backbone.gguf_package), str(backbone.gguf_file), target)
    return {**facts, "kind": "gguf", "package": backbone.gguf_package, "revision": version}


def _from_hub(backbone: Backbone, target: Path) -> str:
    """Download the model's files at one commit, and return that commit."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name = str(backbone.hub)
    patterns = [*HUB_PATTERNS, "*.py"] if backbone.trust_remote_code else list(HUB_PATTERNS)
    try:
        commit = HfApi().model_info(name, revision=backbone.revision).sha
        snapshot_download(name, revision=commit, allow_patterns=patterns, local_dir=target)
    except GatedRepoError as error:
        raise InputError(f"hub = '{name}': gated; accept its terms on the hub and set HF_TOKEN") from error
    except RevisionNotFoundError as error:
        raise InputError(
            f"revision = '{backbone.revision}': not in {name}; expected a branch, tag or commit"
        ) from error
    except RepositoryNotFoundError as error:
        raise InputError(f"hub = '{name}': no such repository, or a private one without HF_TOKEN") from error
    except (OfflineModeIsEnabled, LocalEntryNotFoundError) as error:
        raise InputError(f"hub = '{name}': the hub cannot be reached; fetch on a machine with network first") from error
    except (HfHubHTTPError, OSError) as error:
        raise InputError(
            f"hub = '{name}': download failed ({str(error).splitlines()[0]}); run again to go on"
        ) from error
    shutil.rmtree(target / ".cache", ignore_errors=True)
    if commit is None:
        raise InputError(f"hub = '{name}': the hub named no commit for '{backbone.revision}'")
    return commit


def _from_folder(source: Path, target: Path) -> None:
    if not (source / "config.json").is_file():
        raise InputError(f"folder = '{source}': no config.json there; expected a model in transformers' form")
    for path in sorted(source.iterdir()):
        if (
            path.is_file()
            and path.name != "manifest.json"
            and path.suffix not in {".bin", ".pt", ".pth", ".pkl", ".h5"}
        ):
            shutil.copy2(path, target / path.name)


def _from_package(package: str, file: str, target: Path) -> str:
    """Convert a GGUF file inside an installed package to safetensors and a tokenizer; return the package's version."""
    import importlib.metadata

    import torch
    import transformers

    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise InputError(f"gguf_package = '{package}': not installed; expected an importable Python package")
    folder = Path(found.origin).parent
    if not (folder / file).is_file():
        raise InputError(f"gguf_file = '{file}': not in package '{package}'; expected a GGUF file there")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=file)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
    # transformers takes the weights it has just unpacked for quantised ones and refuses to save them.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    distribution = importlib.metadata.packages_distributions()[package][0]
    return importlib.metadata.version(distribution)


if __name__ == "__main__":
    run(main)
