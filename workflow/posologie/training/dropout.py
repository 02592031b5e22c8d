"""Dropout whose masks belong to the example, not to the batch.

A mask depends on the seed, the update, the item, the layer, the token and the kind of device, which draws it (drawn on
the CPU, the masks of a large model would take longer than its products on a GPU), and on nothing else. So neither the
size of a micro-batch nor the number of processes changes a result, gradient checkpointing recomputes the same mask
without saving a random state, and a resumed run needs none.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

_LEVELS = 1 << 16


@dataclass
class MaskSource:
    """What all dropout layers of a model share: the keys of the examples in the current micro-batch.

    Attributes:
        keys: one 63-bit integer per example.
        bounds: example i holds the rows `bounds[i]` to `bounds[i + 1]` of every activation.
        rows: the rows that activations hold at present, where they are not all.
    """

    keys: list[int] = field(default_factory=list)
    bounds: list[int] = field(default_factory=list)
    rows: torch.Tensor | None = None

    def begin(self, *, seed: int, update: int, ids: Sequence[str], bounds: Sequence[int]) -> None:
        """Set the masks of the next micro-batch."""
        self.keys = [_key(f"{seed}\x1f{update}\x1f{name}") for name in ids]
        self.bounds = list(bounds)
        self.rows = None

    def kept(self, layer: int, features: int, probability: float, like: torch.Tensor) -> torch.Tensor:
        """Return 1 for the entries that stay and 0 for the others, shape (rows, features).

        The probability is rounded to a multiple of 1/65536: each entry spends 16 random bits. The mask has the type of
        the activations `like`, since a product of two types takes a CPU twenty times as long.
        """
        threshold = round(probability * _LEVELS) - _LEVELS // 2
        kept = torch.empty(self.bounds[-1], features, dtype=like.dtype, device=like.device)
        generator = torch.Generator("cpu" if like.is_meta else like.device)
        for key, start, end in zip(self.keys, self.bounds, self.bounds[1:], strict=False):
            generator.manual_seed((key + layer * 0x9E3779B97F4A7C15) % (1 << 63))
            count = (end - start) * features
            bits = torch.empty(-(-count // 4), dtype=torch.int64, device=like.device)
            if not bits.is_meta:
                bits.random_(-(1 << 63), None, generator=generator)
            torch.ge(bits.view(torch.int16)[:count].view(end - start, features), threshold, out=kept[start:end])
        return kept if self.rows is None else kept[self.rows]


@dataclass(frozen=True)
class Mask:
    """Which entries of an activation stay, and what they are to be multiplied with.

    Attributes:
        kept: 1 or 0, shape (rows, features).
        scale: 1 / (1 - probability).
    """

    kept: torch.Tensor
    scale: float

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """Return x with dropped entries at zero and the others as they are: scaling is cheaper further on."""
        return x * self.kept.view(x.shape)


class ExampleDropout(nn.Module):  # type: ignore[misc]
    """Takes the place of `nn.Dropout` in front of a low-rank layer, for activations of shape (…, rows, features)."""

    def __init__(self, probability: float, layer: int, source: MaskSource) -> None:
        super().__init__()
        self.probability = probability
        self.layer = layer
        self.source = source

    def mask(self, x: torch.Tensor) -> Mask:
        """Return the mask of this layer for activations of the current micro-batch."""
        kept = self.source.kept(self.layer, x.shape[-1], self.probability, x)
        return Mask(kept, 1 / (1 - self.probability))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x with dropped entries at zero and the others divided by 1 - probability, in training."""
        if not self.training:
            return x
        mask = self.mask(x)
        return mask.apply(x) * mask.scale

    def extra_repr(self) -> str:
        """Return what `print(model)` shows."""
        return f"p={self.probability}, layer={self.layer}"


def _key(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
