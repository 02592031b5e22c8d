"""Layers at a lower price: dropout by example, what checkpointing keeps, and the last layer for rows that predict."""

import hashlib
from collections import defaultdict, deque
from collections.abc import Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Any

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
        mask = torch.empty(self.bounds[-1], features, dtype=like.dtype, device=like.device)
        generator = torch.Generator("cpu" if like.is_meta else like.device)
        for key, start, end in zip(self.keys, self.bounds, self.bounds[1:], strict=False):
            generator.manual_seed((key + layer * 0x9E3779B97F4A7C15) % (1 << 63))
            count = (end - start) * features
            bits = torch.empty(-(-count // 4), dtype=torch.int64, device=like.device)
            if not bits.is_meta:
                bits.random_(-(1 << 63), None, generator=generator)
            torch.ge(bits.view(torch.int16)[:count].view(end - start, features), threshold, out=mask[start:end])
        return mask if self.rows is None else mask[self.rows]


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
        entries = self.source.kept(self.layer, x.shape[-1], self.probability, x)
        return Mask(entries, 1 / (1 - self.probability))

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


WIDE = 2
"""How many times as wide as the residual stream an input is at least whose layer's output is kept."""


@dataclass
class Slot:
    """Holds what one call of a linear layer computed, from the forward pass to the recomputation.

    Attributes:
        value: its output, and the activation that its backward pass needs beside it; None before the first pass.
    """

    value: tuple[torch.Tensor, torch.Tensor | None] | None = None


@dataclass
class _Pass:
    """The forward pass of a checkpointed layer, or its recomputation."""

    slots: defaultdict[int, deque[Slot]]
    again: bool
    tokens: list[Token["_Pass | None"]] = field(default_factory=list)

    def __enter__(self) -> None:
        self.tokens.append(_PASS.set(self))

    def __exit__(self, *_: object) -> None:
        _PASS.reset(self.tokens.pop())


_PASS: ContextVar[_Pass | None] = ContextVar("pass of a checkpointed layer", default=None)


def both_passes() -> tuple[_Pass, _Pass]:
    """Return the contexts of a layer's forward pass and of its recomputation (`context_fn` of torch's `checkpoint`)."""
    slots: defaultdict[int, deque[Slot]] = defaultdict(deque)
    return _Pass(slots, again=False), _Pass(slots, again=True)


def slot_of(layer: torch.nn.Module) -> Slot | None:
    """Return the slot of this call of a layer; None outside of checkpointing."""
    now = _PASS.get()
    if now is None:
        return None
    slots = now.slots[id(layer)]
    if now.again:
        return slots.popleft()
    slots.append(Slot())
    return slots[-1]


_BY_ROW = ("self_attn.q_proj", "self_attn.o_proj", "mlp")


class PredictingRows:
    """Restricts modules that treat each row by itself to the rows that predict."""

    def __init__(self, masks: MaskSource) -> None:
        self._masks = masks
        self._rows = torch.empty(0, dtype=torch.int64)
        self._count = 0

    def begin(self, rows: torch.Tensor, count: int) -> None:
        """Set the rows of the next micro-batch that predict, ascending, and the number of all its rows."""
        self._rows, self._count = rows, count

    def restrict(self, module: torch.nn.Module) -> None:
        """Let a module with one argument, of shape (…, rows, features), compute these rows alone from now on."""
        module.register_forward_pre_hook(self._gather)
        module.register_forward_hook(self._scatter, always_call=True)

    def _gather(self, module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        self._masks.rows = self._rows
        return (inputs[0].index_select(-2, self._rows),)

    def _scatter(
        self, module: torch.nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor | None
    ) -> torch.Tensor | None:
        self._masks.rows = None
        if output is None:  # an error, or a recomputation that has all it needs
            return None
        whole = output.new_zeros(*output.shape[:-2], self._count, output.shape[-1])
        return whole.index_copy_(-2, self._rows, output)


def restrict_last_layer(decoder: Any, masks: MaskSource) -> PredictingRows | None:
    """Restrict a decoder's last layer; None, and no change, where its parts are not known to treat rows one by one.

    They are known by their names. Experts are not restricted (their router may keep statistics of all rows), nor is a
    layer with a convolution.
    """
    layer = decoder.layers[-1] if hasattr(decoder, "layers") else torch.nn.Module()
    parts = [module for name, module in layer.named_modules() if name in _BY_ROW]
    by_row = len(parts) == len(_BY_ROW) and not any(hasattr(part, "experts") for part in parts)
    if not by_row or any(isinstance(module, torch.nn.Conv1d) for module in layer.modules()):
        return None
    rows = PredictingRows(masks)
    for part in parts:
        rows.restrict(part)
    return rows
