"""DoRA and LoRA layers at the price of their matrix products, on top of peft's own layers.

DoRA (Liu et al. 2024, arXiv 2402.09353, equation 5) computes, for a frozen weight W of shape (out, in), trained A of
shape (r, in), B of shape (out, r) and magnitude m of shape (out,), with s = alpha / r:

    y = m / |W + s B A| * (W x + s B A x) + bias

The norm is taken per row and is a constant in the gradient (section 4.3). peft computes it in every forward pass by
multiplying an identity matrix through A and B and adding full-size weights; here it comes from factored terms,

    |W + s B A|^2 = |W|^2 + 2 s sum_r(B * (W A^T)) + s^2 sum_r((B A A^T) * B)      (per row),

once per change of A or B, in float32: gradient accumulation and the recomputation of gradient checkpointing share it.
Forward and backward are written out, so that a layer keeps its input, x A^T, its dropout mask and one activation.

With dropout, peft's layer takes the dropped input for the base product of the correction as well, which costs a second
base product (`dropout_on="input"`, exact). `dropout_on="adapter"` drops the input of A alone and needs one.
"""

from dataclasses import dataclass
from typing import Any, Literal

import peft
import torch
from torch.nn.functional import linear

from posologie.training.layers import ExampleDropout, Mask, Slot, slot_of

DropoutOn = Literal["input", "adapter"]

_BLOCK = 1 << 24
"""Entries of W that are held in float32 at once while norms are computed."""


@dataclass(frozen=True)
class Factors:
    """What stays the same between two changes of a layer's trained weights.

    Attributes:
        a: A in the precision of the activations, shape (r, in).
        sb: s B in that precision, shape (out, r).
        gsb: s B scaled by the gain, in that precision, shape (out, r).
        norm: row norms of W + s B A, float32, shape (out,); None for LoRA.
        gain: m / norm, float32, shape (out,); None for LoRA.
    """

    a: torch.Tensor
    sb: torch.Tensor
    gsb: torch.Tensor
    norm: torch.Tensor | None
    gain: torch.Tensor | None


def row_squares(weight: torch.Tensor) -> torch.Tensor:
    """Return the squared norm of each row, float32 (float64 for float64 weights), shape (out,)."""
    wide = torch.promote_types(weight.dtype, torch.float32)
    return torch.linalg.vector_norm(weight, dim=1, dtype=wide).square_()


def row_norms(
    weight: torch.Tensor, squares: torch.Tensor, a: torch.Tensor, b: torch.Tensor, scaling: float
) -> torch.Tensor:
    """Return the norms of the rows of W + s B A, float32, shape (out,), without forming B A.

    Args:
        weight: W, shape (out, in), any precision.
        squares: `row_squares(weight)`.
        a: shape (r, in).
        b: shape (out, r).
        scaling: s.
    """
    a, b = a.float(), b.float()
    crossed = torch.cat([block.float() @ a.T for block in _blocks(weight)])
    squared = squares + 2 * scaling * (b * crossed).sum(1) + scaling**2 * ((b @ (a @ a.T)) * b).sum(1)
    return squared.clamp_min_(0).sqrt_()


def _blocks(weight: torch.Tensor) -> tuple[torch.Tensor, ...]:
    blocks: tuple[torch.Tensor, ...] = weight.split(max(1, _BLOCK // weight.shape[1]))
    return blocks


def _scaled(x: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
    """Return x * gain in the precision of x, with a gain in float32: rounding it would scale whole columns wrongly."""
    return torch.mul(x, gain, out=torch.empty_like(x))


def _product(
    rows: torch.Tensor,
    low_input: torch.Tensor,
    low: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    factors: Factors,
    scale: float,
    exact: bool,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the output for inputs `rows`, and the activation that the magnitude's gradient needs beside it."""
    last = factors.gain is not None and not exact  # the gain multiplies the base product, but not the bias
    y = linear(rows, weight, None if last else bias)
    if factors.gain is None:
        return y.addmm_(low, factors.sb.T), None
    if exact:
        product = linear(low_input, weight)
        return y.addcmul_(product, (factors.gain - 1).mul_(scale)).addmm_(low, factors.gsb.T), product
    y.addmm_(low, factors.sb.T).mul_(factors.gain)
    if bias is not None:
        y.add_(bias)
    return y, y


class _LowRankLinear(torch.autograd.Function):  # type: ignore[misc]
    """The layer's product; gradients for x, A, B and m."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        a: torch.Tensor,
        b: torch.Tensor,
        magnitude: torch.Tensor | None,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        scaling: float,
        factors: Factors,
        mask: Mask | None,
        exact: bool,
        slot: Slot | None,
    ) -> torch.Tensor:
        exact = exact and mask is not None and factors.gain is not None
        rows = x.reshape(-1, x.shape[-1])
        low_input = rows if mask is None else mask.apply(rows)
        scale = 1.0 if mask is None else mask.scale
        low = (low_input @ factors.a.T).mul_(scale)
        if slot is not None and slot.value is not None:
            y, activation = slot.value
        else:
            y, activation = _product(
                rows, low_input, low, weight=weight, bias=bias, factors=factors, scale=scale, exact=exact
            )
            if slot is not None:
                slot.value = y, activation
        # All activations are saved as tensors: what hangs on the context itself, checkpointing could not drop.
        ctx.constants = weight, bias, scaling, factors, scale, exact
        ctx.save_for_backward(rows, low, activation, b, magnitude, None if mask is None else mask.kept)
        ctx.shape = x.shape
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        weight, bias, scaling, factors, scale, exact = ctx.constants
        rows, low, activation, b, magnitude, entries = ctx.saved_tensors
        mask = None if entries is None else Mask(entries, scale)
        dy = gradients[0].reshape(-1, weight.shape[0])
        d_magnitude = None
        if factors.gain is None:
            scaled, gsb = dy, factors.sb
        elif exact:
            scaled, gsb = dy, factors.gsb
        else:
            scaled, gsb = _scaled(dy, factors.gain), factors.sb
            plain = activation if bias is None else activation - bias
            d_magnitude = (dy * plain).sum(0, dtype=magnitude.dtype) / magnitude
        crossed = (scaled.T @ low).to(b.dtype)
        d_low = (scaled @ gsb).mul_(scale)  # of the input of A as it is before scaling
        d_b = crossed.mul_(scaling)
        dx = None
        if exact:
            d_magnitude = ((dy * activation).sum(0, dtype=b.dtype) * scale + (crossed * b).sum(1)) / factors.norm
            d_b = crossed * factors.gain[:, None]
        if ctx.needs_input_grad[0]:
            dx = scaled @ weight
            if mask is None:
                dx.addmm_(d_low, factors.a)
            else:
                through = d_low @ factors.a
                if exact:
                    through.addmm_(_scaled(dy, (factors.gain - 1).mul_(scale)), weight)
                dx.add_(mask.apply(through))
            dx = dx.view(ctx.shape)
        low_input = rows if mask is None else mask.apply(rows)
        d_a = (d_low.T @ low_input).to(b.dtype)
        return dx, d_a, d_b, d_magnitude, None, None, None, None, None, None, None


class FastLinear(peft.tuners.lora.Linear):  # type: ignore[misc]
    """peft's LoRA or DoRA linear layer with the forward and backward passes of this module.

    Made by `make_fast` out of a peft layer: parameters, names and state dict stay peft's.
    """

    _dropout_on: DropoutOn
    _keeps_output: bool
    _squares: torch.Tensor | None
    _factors: tuple[tuple[Any, ...], Factors] | None

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the layer's output, shape (…, out); where peft does more than one adapter's product, peft's own."""
        if args or kwargs or self.disable_adapters or self.merged or list(self.active_adapters) != ["default"]:
            return super().forward(x, *args, **kwargs)
        dropout = self.lora_dropout["default"]
        mask = dropout.mask(x) if self.training and isinstance(dropout, ExampleDropout) else None
        base = self.get_base_layer()
        magnitude = self.lora_magnitude_vector["default"].weight if "default" in self.lora_magnitude_vector else None
        return _LowRankLinear.apply(
            x,
            self.lora_A["default"].weight,
            self.lora_B["default"].weight,
            magnitude,
            base.weight,
            base.bias,
            self.scaling["default"],
            self._current_factors(x.dtype, magnitude),
            mask,
            self._dropout_on == "input",
            slot_of(self) if self._keeps_output else None,
        )

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _current_factors(self, dtype: torch.dtype, magnitude: torch.Tensor | None) -> Factors:
        a, b, scaling = self.lora_A["default"].weight, self.lora_B["default"].weight, self.scaling["default"]
        weights = [a, b] if magnitude is None else [a, b, magnitude]
        state = (dtype, *((id(weight), weight._version) for weight in weights))
        if self._factors is not None and self._factors[0] == state:
            return self._factors[1]
        norm = gain = None
        if magnitude is not None:
            weight = self.get_base_layer().weight
            if self._squares is None or self._squares.device != weight.device:
                self._squares = row_squares(weight)
            norm = row_norms(weight, self._squares, a, b, scaling)
            gain = magnitude.float() / norm
        sb = b.float() * scaling
        gsb = sb if gain is None else sb * gain[:, None]
        factors = Factors(a.to(dtype), sb.to(dtype), gsb.to(dtype), norm, gain)
        self._factors = (state, factors)
        return factors


def make_fast(layer: Any, dropout_on: DropoutOn, *, keeps_output: bool = False) -> bool:
    """Turn a peft LoRA or DoRA linear layer into a `FastLinear`, in place, and return whether that was done.

    Its output outlives gradient checkpointing if it `keeps_output` (`posologie.training.layers`).
    Layers of other kinds (embeddings, quantised weights, transposed weights, other variants) are left as they are.
    """
    plain = type(layer) is peft.tuners.lora.Linear and type(layer.get_base_layer()) is torch.nn.Linear
    variants = {type(variant).__name__ for variant in layer.lora_variant.values()}
    if not plain or layer.fan_in_fan_out or variants - {"DoraLinearVariant"} or any(layer.lora_bias.values()):
        return False
    layer.__class__ = FastLinear
    layer._dropout_on = dropout_on
    layer._keeps_output = keeps_output
    layer._squares = layer._factors = None
    return True
