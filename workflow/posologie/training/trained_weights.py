"""The weights that a training left: each trained tensor of the backbone in float32, from the artifact's files.

Factors are never added up: effective weights are. The sums of two adapters' A and of their B are no factors of the sum
of their updates, and DoRA's norms are those of the whole row.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import safetensors
import safetensors.torch
import torch

from posologie.records.files import read_json
from posologie.running.errors import InputError
from posologie.training.dora import row_norms, row_squares

_PREFIX = "base_model.model."
_UNSUPPORTED = ("alpha_pattern", "rank_pattern", "modules_to_save", "layer_replication", "trainable_token_indices")


class Change(Protocol):
    """What a training did to a backbone; `left` holds the names of the tensors that have not been used yet."""

    left: set[str]

    def trained(self) -> set[str]:
        """Return the names of the backbone's tensors that were trained."""
        ...

    def effective(self, name: str, base: torch.Tensor) -> torch.Tensor | None:
        """Return a trained tensor in float32, or None where the training left it as it was."""
        ...


def change_of(weights: Path, config: Path) -> Change:
    """Return what a training changed, read from its artifact.

    Raises:
        InputError: if the artifact is an adapter of a kind that cannot be merged.
    """
    settings = read_json(config)
    return _Replacement(weights) if settings.get("method") == "full" else _Adapter(weights, config, settings)


def applied(change: Change, name: str, base: torch.Tensor) -> torch.Tensor:
    """Return a tensor of the backbone as the training left it, in the backbone's precision."""
    effective = change.effective(name, base)
    return base if effective is None else effective.to(base.dtype)


def refuse_left(change: Change, weights: Path, backbone: str) -> None:
    """Raise InputError if tensors of a training were not used, because the backbone has no place for them."""
    if change.left:
        raise InputError(
            f"{weights}: {len(change.left)} of its tensors do not exist in {backbone}, such as "
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

    def trained(self) -> set[str]:
        """Return the names of the backbone's tensors that the adapter changes."""
        suffix = ".lora_A.weight"
        return {name.removeprefix(_PREFIX).removesuffix(suffix) + ".weight" for name in self.left if suffix in name}

    def effective(self, name: str, base: torch.Tensor) -> torch.Tensor | None:
        """Return a tensor of the backbone with the adapter's change, or None where it has none."""
        module = _PREFIX + name.removesuffix(".weight")
        keys = (f"{module}.lora_A.weight", f"{module}.lora_B.weight")
        if not name.endswith(".weight") or keys[0] not in self.tensors:
            return None
        a, b = (self.tensors[key].to(base.device).float() for key in keys)
        if (b.shape[0], a.shape[1]) != tuple(base.shape):
            shape, expected = (b.shape[0], a.shape[1]), tuple(base.shape)
            raise InputError(f"{self.weights}: the update of '{name}' has shape {shape}; expected {expected}")
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

    def trained(self) -> set[str]:
        """Return the names of all trained tensors."""
        return set(self.names)

    def effective(self, name: str, base: torch.Tensor) -> torch.Tensor | None:
        """Return the trained tensor, or None for one that was not saved, because it is another's."""
        if name not in self.names:
            return None
        tensor = self.file.get_tensor(name)  # type: ignore[no-untyped-call]
        if tensor.shape != base.shape:
            shape, expected = tuple(tensor.shape), tuple(base.shape)
            raise InputError(f"{self.weights}: '{name}' has shape {shape}; expected {expected}")
        self.left.discard(name)
        return tensor.to(base.device).float()
