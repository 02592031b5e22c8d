"""A micro-batch on its device: examples one behind the other, without padding."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from posologie.training.examples import Examples


@dataclass(frozen=True)
class Batch:
    """Tokens of several examples, and which of their hidden states must predict what.

    Attributes:
        ids: item ids.
        tokens: shape (1, rows).
        positions: position of each token in its example, shape (1, rows).
        bounds: example i holds the rows `bounds[i]` to `bounds[i + 1]`.
        cumulative: the bounds on the device, int32, shape (examples + 1,).
        longest: rows of the longest example.
        rows: rows whose next token counts in the loss, ascending, shape (targets,).
        targets: those tokens, shape (targets,).
        in_answer: which of the targets belong to an answer, shape (targets,).
        counts: targets of each example.
        reference: log probability of each example's targets under the backbone alone, in nats, shape (examples,), where
            the loss asks for it.
    """

    ids: tuple[str, ...]
    tokens: torch.Tensor
    positions: torch.Tensor
    bounds: list[int]
    cumulative: torch.Tensor
    longest: int
    rows: torch.Tensor
    targets: torch.Tensor
    in_answer: torch.Tensor
    counts: list[int] = field(default_factory=list)
    reference: torch.Tensor | None = None


def assemble(examples: Examples, chosen: Sequence[int] | np.ndarray, *, loss_on: str, device: torch.device) -> Batch:
    """Lay examples one behind the other.

    Args:
        loss_on: `all` for every token but an example's first, `answer` for the answer and its end of turn.
    """
    pieces = [examples.tokens[examples.starts[index] : examples.starts[index + 1]] for index in chosen]
    lengths = [len(piece) for piece in pieces]
    bounds = [0, *np.cumsum(lengths).tolist()]
    tokens = torch.from_numpy(np.concatenate(pieces).astype(np.int64))
    rows, in_answer = [], []
    for index, start, end in zip(chosen, bounds, bounds[1:], strict=False):
        first, last = start + int(examples.answers[index]), start + int(examples.answer_ends[index])
        targets = np.arange(first if loss_on == "answer" else start + 1, last if loss_on == "answer" else end)
        rows.append(targets - 1)
        in_answer.append((targets >= first) & (targets < last))
    known = examples.reference
    chosen_rows = torch.from_numpy(np.concatenate(rows))
    return Batch(
        ids=tuple(examples.ids[index] for index in chosen),
        tokens=_moved(tokens[None], device),
        positions=_moved(torch.cat([torch.arange(length) for length in lengths])[None], device),
        bounds=bounds,
        cumulative=_moved(torch.tensor(bounds, dtype=torch.int32), device),
        longest=max(lengths),
        rows=_moved(chosen_rows, device),
        targets=_moved(tokens[chosen_rows + 1], device),
        in_answer=_moved(torch.from_numpy(np.concatenate(in_answer)), device),
        counts=[len(one) for one in rows],
        reference=None if known is None else _moved(torch.from_numpy(known[np.asarray(chosen)]), device),
    )


def target_counts(examples: Examples, loss_on: str) -> np.ndarray:
    """Return how many targets each example has, shape (examples,)."""
    return examples.answer_ends - examples.answers if loss_on == "answer" else examples.lengths - 1


def hidden_states(decoder: Any, batch: Batch) -> torch.Tensor:
    """Return the decoder's last hidden states, shape (rows, hidden size)."""
    output = decoder(
        input_ids=batch.tokens,
        position_ids=batch.positions,
        use_cache=False,
        bounds=batch.bounds,
        cu_seq_lens_q=batch.cumulative,
        max_length_q=batch.longest,
    )
    return output.last_hidden_state[0]


def _moved(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return the tensor on the device, through pinned memory where that spares a wait."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
