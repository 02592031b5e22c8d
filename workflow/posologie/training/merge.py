"""Merge an adapter into its backbone: a model that needs nothing but transformers.

    python -m posologie.training.merge --spec MergeSpec --backbone MANIFEST --adapter-weights F --adapter-config F
        --manifest OUT/manifest.json

The backbone is read and written one tensor at a time, in its own shards and its own precision; the sum itself is taken
in float32. Merging needs no GPU and no more memory than one shard.

`blend` merges several trained models into a loaded backbone: W₀ + Σ αₖ (Wₖ − W₀) over effective weights, as Merge to
Mix (arXiv 2505.16066) and MergeMix (arXiv 2601.17858) rank mixtures. Factors are never added up: the sums of two
adapters' A and of their B are no factors of the sum of their updates, and DoRA's norms are those of the whole row.
"""

import logging
import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import safetensors
import safetensors.torch
import torch

from posologie.models.store import checked_folder, read_manifest, write_manifest
from posologie.records.files import read_json, sha256_of_file
from posologie.running import commands
from posologie.running.errors import InputError
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
    change = _change_of(weights, config)
    for path in sorted(source.iterdir()):
        if path.suffix == ".safetensors":
            with safetensors.safe_open(path, "pt") as shard:
                merged = {name: _applied(change, name, shard.get_tensor(name)) for name in shard.keys()}  # noqa: SIM118
                metadata = shard.metadata()
            safetensors.torch.save_file(merged, target / path.name, metadata=metadata)
        elif path.is_file() and path.name not in ("manifest.json", "README.md"):  # the card is the merged model's own
            shutil.copyfile(path, target / path.name)
    _refuse_left(change, weights, source.name)


@dataclass(frozen=True)
class Ingredient:
    """A trained model and its share in a blend.

    Attributes:
        share: α, the weight of what its training changed; above 0.
        weights: `adapter_model.safetensors`, or all weights of a fully trained backbone.
        config: `adapter_config.json`.
    """

    share: float
    weights: Path
    config: Path


@torch.no_grad()  # type: ignore[untyped-decorator]
def blend(network: Any, ingredients: Sequence[Ingredient], rank: int | None = None) -> Any:
    """Return a loaded backbone with its weights W₀ replaced by W₀ + Σ αₖ (Wₖ − W₀), in place and in its own precision.

    Wₖ are the effective weights of the trained models, computed in float32: for DoRA, magnitude and direction together.

    Args:
        network: the backbone, on any device.
        ingredients: trained models of this backbone.
        rank: if given, each changed matrix's sum of changes is replaced by its best approximation of this rank, as an
            adapter of that rank could hold it (Eckart and Young 1936).

    Raises:
        InputError: if a model was not trained on this backbone, or is of a kind that this does not merge.
    """
    changes = [_change_of(one.weights, one.config) for one in ingredients]
    for name, parameter in network.named_parameters():
        base = parameter.float()
        total = torch.zeros_like(base)
        for one, change in zip(ingredients, changes, strict=True):
            effective = change.effective(name, parameter)
            if effective is not None:
                total += one.share * (effective - base)
        if rank is not None and total.ndim == 2:
            total = _of_rank(total, rank)
        parameter.copy_((base + total).to(parameter.dtype))
    for one, change in zip(ingredients, changes, strict=True):
        _refuse_left(change, one.weights, "the backbone")
    return network.eval()


_OVERSAMPLED, _ITERATIONS = 16, 8
"""Of the randomised SVD: with so many power iterations its error is that of the exact one to float32."""


def _of_rank(matrix: torch.Tensor, rank: int) -> torch.Tensor:
    """Return the best approximation of a matrix of a rank (randomised SVD, Halko et al. 2011, with a fixed seed)."""
    if rank >= min(matrix.shape):
        return matrix
    with torch.random.fork_rng(devices=[matrix.device] if matrix.is_cuda else []):
        torch.manual_seed(0)
        width = min(rank + _OVERSAMPLED, *matrix.shape)
        left, values, right = torch.svd_lowrank(matrix, q=width, niter=_ITERATIONS)
    return (left[:, :rank] * values[:rank]) @ right[:, :rank].T


class _Change(Protocol):
    """What a training did to a backbone; `left` holds the names of the tensors that have not been used yet."""

    left: set[str]

    def effective(self, name: str, base: torch.Tensor) -> torch.Tensor | None:
        """Return a trained tensor in float32, or None where the training left it as it was."""
        ...


def _change_of(weights: Path, config: Path) -> _Change:
    settings = read_json(config)
    return _Replacement(weights) if settings.get("method") == "full" else _Adapter(weights, config, settings)


def _applied(change: _Change, name: str, base: torch.Tensor) -> torch.Tensor:
    """Return a tensor of the backbone as the training left it, in the backbone's precision."""
    effective = change.effective(name, base)
    return base if effective is None else effective.to(base.dtype)


def _refuse_left(change: _Change, weights: Path, backbone: str) -> None:
    if change.left:
        raise InputError(
            f"{weights}: {len(change.left)} of its tensors have no place in {backbone}, such as "
            f"'{min(change.left)}'; expected an adapter of this backbone"
        )


class _Adapter:
    """A LoRA or DoRA adapter."""

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

    def effective(self, name: str, base: torch.Tensor) -> torch.Tensor | None:
        """Return a tensor of the backbone with the adapter's change, or None where it has none."""
        module = _PREFIX + name.removesuffix(".weight")
        keys = (f"{module}.lora_A.weight", f"{module}.lora_B.weight")
        if not name.endswith(".weight") or keys[0] not in self.tensors:
            return None
        a, b = (self.tensors[key].to(base.device).float() for key in keys)
        if (b.shape[0], a.shape[1]) != tuple(base.shape):
            found, expected = (b.shape[0], a.shape[1]), tuple(base.shape)
            raise InputError(f"{self.weights}: the update of '{name}' has shape {found}; expected {expected}")
        wide = base.float()
        merged = torch.addmm(wide, b, a, alpha=self.scaling)
        magnitude = f"{module}.lora_magnitude_vector"
        if magnitude in self.tensors:
            norms = row_norms(wide, row_squares(wide), a, b, self.scaling)
            merged.mul_((self.tensors[magnitude].to(base.device).float() / norms)[:, None])
        if not bool(torch.isfinite(merged).all()):
            raise InputError(f"{self.weights}: the merged '{name}' holds values that are not finite numbers")
        self.left -= {*keys, magnitude}
        return merged


class _Replacement:
    """All weights of a fully trained backbone, read one tensor at a time."""

    def __init__(self, weights: Path) -> None:
        self.file = safetensors.safe_open(weights, "pt")
        self.names = frozenset(self.file.keys())  # type: ignore[no-untyped-call]
        self.left = set(self.names)
        self.weights = weights

    def effective(self, name: str, base: torch.Tensor) -> torch.Tensor | None:
        """Return the trained tensor, or None for one that was not saved, because it is another's."""
        if name not in self.names:
            return None
        tensor = self.file.get_tensor(name)  # type: ignore[no-untyped-call]
        if tensor.shape != base.shape:
            found, expected = tuple(tensor.shape), tuple(base.shape)
            raise InputError(f"{self.weights}: '{name}' has shape {found}; expected {expected}")
        self.left.discard(name)
        return tensor.to(base.device).float()


if __name__ == "__main__":
    commands.run(main)
