"""Tiny models of several architectures, and batches of tokens packed for them."""

import torch
import transformers

from posologie.training.batches import Batch

SMALL = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 72,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "pad_token_id": 0,
}
FAMILIES = {
    "qwen3": lambda: transformers.Qwen3Config(**SMALL),
    "qwen2": lambda: transformers.Qwen2Config(**SMALL),
    "llama": lambda: transformers.LlamaConfig(**SMALL),
    "mistral": lambda: transformers.MistralConfig(**SMALL, sliding_window=16),
    "gemma2": lambda: transformers.Gemma2Config(
        **SMALL, sliding_window=6, attn_logit_softcapping=2.0, final_logit_softcapping=1.5, query_pre_attn_scalar=4
    ),
    "gemma3_text": lambda: transformers.Gemma3TextConfig(**SMALL, sliding_window=6),
    "cohere": lambda: transformers.CohereConfig(
        **{k: v for k, v in SMALL.items() if k != "head_dim"}, logit_scale=0.25
    ),
    "granite": lambda: transformers.GraniteConfig(
        **{k: v for k, v in SMALL.items() if k != "head_dim"}, logits_scaling=4.0
    ),
}
"""Short windows, capped scores and logits, and scaled logits among them."""


def packed(rows, predicting=()):
    """Return examples one behind the other, and the targets of the rows that predict."""
    lengths = [len(row) for row in rows]
    bounds = [0, *torch.tensor(lengths).cumsum(0).tolist()]
    predicting = torch.tensor(predicting, dtype=torch.long)
    return Batch(
        ids=tuple(str(n) for n in range(len(rows))),
        tokens=torch.cat(rows)[None],
        positions=torch.cat([torch.arange(n) for n in lengths])[None],
        bounds=bounds,
        cumulative=torch.tensor(bounds, dtype=torch.int32),
        longest=max(lengths),
        rows=predicting,
        targets=torch.cat(rows)[predicting + 1],
        in_answer=torch.ones_like(predicting).bool(),
    )
