"""The loss of next tokens, without ever holding the logits of a whole batch."""

from typing import Any

import torch
from torch.nn import LinearCrossEntropyOptions
from torch.nn.functional import cross_entropy, linear_cross_entropy

from posologie.errors import InputError

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
    options = LinearCrossEntropyOptions(
        batch_chunk_size=chunk_rows(head.weight.shape[0], len(targets)), chunking_method=None
    )
    return linear_cross_entropy(hidden, weight, targets, linear_bias=bias, reduction="sum", options=options).float()


@torch.no_grad()  # type: ignore[untyped-decorator]
def losses(hidden: torch.Tensor, head: torch.nn.Linear, targets: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of each target, in nats, shape (targets,), float32."""
    rows = chunk_rows(head.weight.shape[0], len(targets))
    pieces = [
        cross_entropy(head(hidden[start : start + rows]).float(), targets[start : start + rows], reduction="none")
        for start in range(0, len(targets), rows)
    ]
    return torch.cat(pieces) if pieces else hidden.new_zeros(0, dtype=torch.float32)
