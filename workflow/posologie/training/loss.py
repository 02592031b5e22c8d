"""The loss of next tokens, without ever holding the logits of a whole batch.

torch has `linear_cross_entropy` for this. It returns the sum in the precision of the hidden states, though: in bfloat16
it is rounded to 8 bits, and so are the recorded losses. Here products have that precision and all else is float32.
"""

from typing import Any

import torch
from torch.nn.functional import cross_entropy, linear

from posologie.running.errors import InputError

CHUNK_BYTES = 1 << 28
"""Float32 logits held at once, in bytes."""

_CHANGES_LOGITS = ("final_logit_softcapping", "logits_scaling", "logit_scale")


def check_output_layer(model: Any, name: str) -> None:
    """Check that the logits are the output layer's product and nothing more.

    Raises:
        InputError: for an architecture that caps or scales its logits.
    """
    for key in _CHANGES_LOGITS:
        if getattr(model.config, key, None) not in (None, 1, 1.0):
            raise InputError(f"{name}: its configuration has {key}; training supports models with plain logits")


def chunk_rows(vocabulary: int, rows: int) -> int:
    """Return how many rows of logits are computed at once."""
    return max(1, min(rows, CHUNK_BYTES // (4 * vocabulary)))


class _SummedLoss(torch.autograd.Function):  # type: ignore[misc]
    """The summed cross-entropy of a linear output layer; its gradients are taken on the way, chunk by chunk."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor
    ) -> torch.Tensor:
        needs_hidden, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        d_hidden = torch.empty_like(hidden) if needs_hidden else None
        d_weight = torch.zeros_like(weight, dtype=torch.float32) if needs_weight else None
        d_bias = torch.zeros_like(bias, dtype=torch.float32) if needs_bias else None
        size = chunk_rows(weight.shape[0], len(targets))
        for start in range(0, len(targets), size):
            rows, wanted = hidden[start : start + size], targets[start : start + size, None]
            logits = linear(rows, weight, bias).float()
            right = logits.gather(1, wanted)
            top = logits.amax(1, keepdim=True)
            shares = logits.sub_(top).exp_()
            sums = shares.sum(1, keepdim=True)
            total += (sums.log() + top - right).sum()
            shares.div_(sums).scatter_add_(1, wanted, shares.new_full((), -1.0).expand_as(wanted))
            narrow = shares.to(weight.dtype)
            if d_hidden is not None:
                torch.mm(narrow, weight, out=d_hidden[start : start + size])
            if d_weight is not None:
                d_weight += narrow.T @ rows
            if d_bias is not None:
                d_bias += shares.sum(0)
        ctx.precision = weight.dtype
        ctx.save_for_backward(d_hidden, d_weight, d_bias)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        scaled = [None if saved is None else (saved * gradients[0]).to(ctx.precision) for saved in ctx.saved_tensors]
        return (*scaled, None)


def summed_loss(
    hidden: torch.Tensor, head: torch.nn.Linear, targets: torch.Tensor, precision: torch.dtype | None = None
) -> torch.Tensor:
    """Return the summed cross-entropy of the targets, in nats, float32.

    Args:
        hidden: hidden states that predict the targets, shape (targets, hidden size).
        head: the output layer, shape (vocabulary, hidden size).
        targets: shape (targets,).
        precision: of the products, where it is not that of the output layer (autocast does not reach them).
    """
    weight, bias = head.weight, head.bias
    if precision is not None:
        hidden, weight = hidden.to(precision), weight.to(precision)
        bias = None if bias is None else bias.to(precision)
    loss: torch.Tensor = _SummedLoss.apply(hidden, weight, bias, targets)
    return loss


@torch.no_grad()  # type: ignore[untyped-decorator]
def losses(hidden: torch.Tensor, head: torch.nn.Linear, targets: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of each target, in nats, shape (targets,), float32."""
    rows = chunk_rows(head.weight.shape[0], len(targets))
    pieces = [
        cross_entropy(head(hidden[start : start + rows]).float(), targets[start : start + rows], reduction="none")
        for start in range(0, len(targets), rows)
    ]
    return torch.cat(pieces) if pieces else hidden.new_zeros(0, dtype=torch.float32)
