"""Attention over a padding-free batch: examples lie one behind the other, and none sees another.

Registered with transformers' attention interface, so that it serves every architecture that goes through it. On a GPU
in half precision it is torch's variable-length flash attention; elsewhere one scaled-dot-product call per example.
"""

from itertools import pairwise
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

PACKED = "posologie_packed"


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    bounds: list[int] | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Return the attention of each example over itself alone.

    Args:
        query: shape (1, heads, rows, head size).
        key: shape (1, key heads, rows, head size), as is `value`.
        bounds: example i holds the rows `bounds[i]` to `bounds[i + 1]`.
        cu_seq_lens_q: the same on the device, int32.
        max_length_q: rows of the longest example.

    Returns:
        Shape (1, rows, heads, head size), and no attention weights.

    Raises:
        ValueError: for what this attention does not do: dropout, logit caps, sinks.
    """
    if bounds is None or cu_seq_lens_q is None or max_length_q is None:
        raise ValueError("packed attention needs the bounds of the examples")
    if dropout or kwargs.get("softcap") is not None or kwargs.get("s_aux") is not None:
        raise ValueError("packed attention has neither dropout nor logit caps nor sinks")
    if sliding_window is not None and sliding_window >= max_length_q:
        sliding_window = None
    if query.is_cuda and query.dtype in (torch.bfloat16, torch.float16):
        from torch.nn.attention.varlen import varlen_attn

        output = varlen_attn(
            *(states.squeeze(0).transpose(0, 1) for states in (query, key, value)),
            cu_seq_lens_q,
            cu_seq_lens_q,
            max_length_q,
            max_length_q,
            scale=scaling,
            window_size=(-1 if sliding_window is None else sliding_window - 1, 0),
            enable_gqa=query.shape[1] != key.shape[1],
        )
        return output.unsqueeze(0), None
    if sliding_window is not None:
        raise ValueError("packed attention with a sliding window needs a GPU and half precision")
    pieces = [
        scaled_dot_product_attention(
            query[:, :, start:end],
            key[:, :, start:end],
            value[:, :, start:end],
            is_causal=True,
            scale=scaling,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        for start, end in pairwise(bounds)
    ]
    return torch.cat(pieces, dim=2).transpose(1, 2).contiguous(), None


AttentionInterface.register(PACKED, packed_attention)
