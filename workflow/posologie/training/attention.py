"""Attention over a padding-free batch: examples lie one behind the other, and none sees another.

Registered with transformers' attention interface, so that it serves every architecture that goes through it. On a GPU
in half precision it is torch's variable-length flash attention; elsewhere, and where scores are capped, one product per
example.
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
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Return the attention of each example over itself alone.

    Args:
        query: shape (1, heads, rows, head size).
        key: shape (1, key heads, rows, head size), as is `value`.
        bounds: example i holds the rows `bounds[i]` to `bounds[i + 1]`.
        cu_seq_lens_q: the same on the device, int32.
        max_length_q: rows of the longest example.
        sliding_window: tokens that a token sees, itself included; all before it if left out.
        softcap: scores x become softcap * tanh(x / softcap) (Gemma 2).

    Returns:
        Shape (1, rows, heads, head size), and no attention weights.

    Raises:
        ValueError: for what this attention does not do: dropout, sinks.
    """
    if bounds is None or cu_seq_lens_q is None or max_length_q is None:
        raise ValueError("packed attention needs the bounds of the examples")
    if dropout or kwargs.get("s_aux") is not None:
        raise ValueError("packed attention has neither dropout nor sinks")
    if sliding_window is not None and sliding_window >= max_length_q:
        sliding_window = None
    if softcap is None and query.is_cuda and query.dtype in (torch.bfloat16, torch.float16):
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
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    pieces = []
    for start, end in pairwise(bounds):
        queries, keys, values = (some[:, :, start:end] for some in (query, key, value))
        sees = None if sliding_window is None else _window(end - start, sliding_window, query.device)
        if softcap is not None:
            pieces.append(_capped(queries, keys, values, sees, scale, softcap))
            continue
        if query.is_meta:  # there torch would take the attention apart and keep all its scores, as no device does
            flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
            pieces.append(flash(queries, keys, values, 0.0, sees is None, scale=scale)[0])
            continue
        pieces.append(
            scaled_dot_product_attention(
                queries,
                keys,
                values,
                attn_mask=sees,
                is_causal=sees is None,
                scale=scale,
                enable_gqa=query.shape[1] != key.shape[1],
            )
        )
    return torch.cat(pieces, dim=2).transpose(1, 2).contiguous(), None


def _window(rows: int, window: int, device: torch.device) -> torch.Tensor:
    """Return which rows a row sees: itself and the `window` - 1 before it, shape (rows, rows)."""
    all_before = torch.ones(rows, rows, dtype=torch.bool, device=device).tril()
    return all_before.triu(1 - window)


def _capped(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    sees: torch.Tensor | None,
    scale: float,
    softcap: float,
) -> torch.Tensor:
    """Return attention whose scores are capped, as transformers' eager attention of Gemma 2 computes it."""
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = torch.tanh((query @ key.transpose(2, 3)) * scale / softcap) * softcap
    if sees is None:
        sees = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).tril()
    shares = scores.masked_fill(~sees, float("-inf")).softmax(-1, dtype=torch.float32).to(query.dtype)
    return shares @ value


AttentionInterface.register(PACKED, packed_attention)
