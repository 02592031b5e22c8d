"""Merge an adapter into its backbone: a model that needs nothing but transformers.

    python -m posologie.training.merge --spec MergeSpec --backbone MANIFEST --adapter-weights F --adapter-config F
        --manifest OUT/manifest.json

The backbone is read and written one tensor at a time, in its own shards and its own precision; the sum itself is taken
in float32. Merging needs no GPU and no more memory than one shard.
"""

import logging
import math
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from posologie import commands
from posologie.errors import InputError
from posologie.files import read_json, sha256_of_file
from posologie.models.store import checked_folder, read_manifest, write_manifest
from posologie.training.dora import row_norms, row_squares
from posologie.training.release_spec import MergeSpec

log = logging.getLogger(__name__)

_PREFIX = "base_model.model."
_UNSUPPORTED = ("alpha_pattern", "rank_pattern", "modules_to_save", "layer_replication", "trainable_token_indices")


def main(argv: list[str]) -> None:
    """Merge an adapter into its backbone."""
    arguments = commands.parser("posologie.training.merge", __doc__ or "")
    arguments.add_argument("--backbone", required=True, type=Path, help="manifest of the backbone")
    arguments.add_argument("--adapter-weights", required=True, type=Path)
    arguments.add_argument("--adapter-config", required=True, type=Path)
    arguments.add_argument("--manifest", required=True, type=Path, help="manifest.json of the merged model")
    options = arguments.parse_args(argv)
    spec = MergeSpec.from_json(options.spec)
    source, target = checked_folder(options.backbone), options.manifest.parent
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
        folder = Path(temporary) / "model"
        folder.mkdir()
        merge(source, options.adapter_weights, options.adapter_config, folder)
        stated = read_manifest(options.backbone)
        facts = {
            "name": spec.model,
            "kind": "merged",
            "requested_revision": None,
            "revision": None,
            "trust_remote_code": stated.get("trust_remote_code", False),
            "merged_from": {
                "backbone": stated.get("name"),
                "backbone_revision": stated.get("revision"),
                "adapter_sha256": sha256_of_file(options.adapter_weights),
            },
        }
        write_manifest(folder, facts, folder.iterdir())
        shutil.rmtree(target, ignore_errors=True)
        folder.replace(target)
    log.info("%s: merged", target)


def merge(source: Path, weights: Path, config: Path, target: Path) -> None:
    """Write the files of a merged model to `target`.

    Args:
        source: folder of the backbone.
        weights: `adapter_model.safetensors`, or all weights of a fully trained backbone.
        config: `adapter_config.json`.
        target: an empty folder.

    Raises:
        InputError: if the adapter does not fit the backbone, or is of a kind that this does not merge.
    """
    settings = read_json(config)
    change = _Replacement(weights) if settings.get("method") == "full" else _Adapter(weights, config, settings)
    for path in sorted(source.iterdir()):
        if path.suffix == ".safetensors":
            with safetensors.safe_open(path, "pt") as shard:
                merged = {name: change.applied(name, shard.get_tensor(name)) for name in shard.keys()}  # noqa: SIM118
                metadata = shard.metadata()
            safetensors.torch.save_file(merged, target / path.name, metadata=metadata)
        elif path.is_file() and path.name not in ("manifest.json", "README.md"):  # the card is the merged model's own
            shutil.copyfile(path, target / path.name)
    if change.left:
        raise InputError(
            f"{weights}: {len(change.left)} of its tensors have no place in {source.name}, such as "
            f"'{min(change.left)}'; expected an adapter of this backbone"
        )


class _Adapter:
    """A LoRA or DoRA adapter; `left` holds the names of the tensors that have not been used yet."""

    def __init__(self, weights: Path, config: Path, settings: Mapping[str, Any]) -> None:
        if settings.get("peft_type") != "LORA":
            raise InputError(f"{config}: peft_type = {settings.get('peft_type')!r}; expected 'LORA'")
        for key in _UNSUPPORTED:
            if settings.get(key):
                raise InputError(f"{config}: {key} is set; expected an adapter with one rank for all its layers")
        root = math.sqrt(settings["r"]) if settings.get("use_rslora") else settings["r"]
        self.scaling = settings["lora_alpha"] / root
        self.tensors = safetensors.torch.load_file(weights)
        self.left = set(self.tensors)
        self.weights = weights

    def applied(self, name: str, base: torch.Tensor) -> torch.Tensor:
        """Return a tensor of the backbone with the adapter's change, in its own precision."""
        module = _PREFIX + name.removesuffix(".weight")
        keys = (f"{module}.lora_A.weight", f"{module}.lora_B.weight")
        if not name.endswith(".weight") or keys[0] not in self.tensors:
            return base
        a, b = (self.tensors[key].float() for key in keys)
        if (b.shape[0], a.shape[1]) != tuple(base.shape):
            found, expected = (b.shape[0], a.shape[1]), tuple(base.shape)
            raise InputError(f"{self.weights}: the update of '{name}' has shape {found}; expected {expected}")
        wide = base.float()
        merged = torch.addmm(wide, b, a, alpha=self.scaling)
        magnitude = f"{module}.lora_magnitude_vector"
        if magnitude in self.tensors:
            norms = row_norms(wide, row_squares(wide), a, b, self.scaling)
            merged.mul_((self.tensors[magnitude].float() / norms)[:, None])
        if not bool(torch.isfinite(merged).all()):
            raise InputError(f"{self.weights}: the merged '{name}' holds values that are not finite numbers")
        self.left -= {*keys, magnitude}
        return merged.to(base.dtype)


class _Replacement:
    """All weights of a fully trained backbone."""

    def __init__(self, weights: Path) -> None:
        self.tensors = safetensors.torch.load_file(weights)
        self.left = set(self.tensors)
        self.weights = weights

    def applied(self, name: str, base: torch.Tensor) -> torch.Tensor:
        """Return the trained tensor in the precision of the backbone's."""
        if name not in self.tensors:
            return base
        if self.tensors[name].shape != base.shape:
            found, expected = tuple(self.tensors[name].shape), tuple(base.shape)
            raise InputError(f"{self.weights}: '{name}' has shape {found}; expected {expected}")
        self.left.discard(name)
        return self.tensors[name].to(base.dtype)


if __name__ == "__main__":
    commands.run(main)
