"""Which examples make up each update, laid one behind the other, and whether a backbone computes them as each alone."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from posologie.running.errors import InputError
from posologie.training.examples import Examples
from posologie.training.update import LogitForm


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
        counts=[len(of_example) for of_example in rows],
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


_LENGTHS = (9, 5, 13)


def check_packing(model: Any, name: str) -> None:
    """Check that no example of a batch without padding changes the hidden states of another.

    Convolutions, recurrent layers, and positions that a model counts by itself, would mix them. This is tried on a
    short batch, because the configuration of an unknown architecture does not say.

    Args:
        model: with the packed attention.
        name: of the backbone.

    Raises:
        InputError: if examples change one another, or if the backbone cannot compute such a batch.
    """
    with _trying(model, name, training=True):
        first, again, second = (_middle(model, step) for step in (3, 3, 7))
    kind = f"{name}: model of type '{model.config.model_type}'"
    # Batches of one shape have equal roundings. Experts compute tokens in groups whose size depends on all of them, and
    # products in 8 bits look for outliers in all rows: there, half precision rounds otherwise.
    groups = getattr(model, "is_quantized", False) or any(hasattr(module, "experts") for module in model.modules())
    tolerance = 0.05 if groups and model.dtype != torch.float32 else 1e-4
    if not _difference(first, again) <= tolerance:
        raise InputError(
            f"{kind} gives different results each time (its dropout?); expected equal hidden states for equal batches"
        )
    if not _difference(first, second) <= tolerance:
        raise InputError(
            f"{kind} mixes examples packed one after another; expected a decoder whose layers only attend, with "
            "positions as they are given"
        )


def check_logits(model: Any, form: LogitForm, name: str) -> None:
    """Check that the model's own logits are those that the loss is computed from.

    Args:
        model: with the packed attention.
        form: what its configuration says of its logits.
        name: of the backbone.

    Raises:
        InputError: for an architecture whose logits are something else.
    """
    batch = _batch(model, 3)
    with _trying(model, name, training=False):  # some that see want to know which tokens are images, in training alone
        own = model(
            input_ids=batch.tokens,
            position_ids=batch.positions,
            use_cache=False,
            bounds=batch.bounds,
            cu_seq_lens_q=batch.cumulative,
            max_length_q=batch.longest,
        ).logits[0]
        expected = form.logits(model.get_output_embeddings()(hidden_states(model.get_decoder(), batch)))
    tolerance = 1e-4 if model.dtype == torch.float32 else 0.05
    if own.shape != expected.shape or not _difference(expected, own.float()) <= tolerance:
        raise InputError(
            f"{name}: model of type '{model.config.model_type}' changes its logits after the output layer; training "
            "supports a factor (logit_scale, logits_scaling) and a cap (final_logit_softcapping)"
        )


@contextmanager
def _trying(model: Any, name: str, *, training: bool) -> Iterator[None]:
    """Run a packed batch in the block, without gradients and in the mode asked for; say so if the model takes none."""
    was_training = model.training
    model.train(training)
    try:
        with torch.no_grad():
            yield
    except (NotImplementedError, TypeError, ValueError) as error:
        raise InputError(
            f"{name}: model of type '{model.config.model_type}' does not accept examples packed one after another: "
            f"{error}"
        ) from error
    finally:
        model.train(was_training)


def _difference(some: torch.Tensor, others: torch.Tensor) -> float:
    """Return the largest relative difference of two rows; not a number if a state is none."""
    return float(((some - others).norm(dim=-1) / some.norm(dim=-1)).max())


def _middle(model: Any, step: int) -> torch.Tensor:
    """Return the hidden states of an example between two others, which depend on the step."""
    batch = _batch(model, step)
    return hidden_states(model.get_decoder(), batch)[batch.bounds[1] : batch.bounds[2]].float()


def _batch(model: Any, step: int) -> Batch:
    """Return three short examples, of which the outer two depend on the step."""
    size = model.get_input_embeddings().weight.shape[0]
    texts = [np.arange(1, length + 1) * factor % size for length, factor in zip(_LENGTHS, (step, 1, step), strict=True)]
    bounds = np.cumsum([0, *_LENGTHS])
    examples = Examples(
        ids=("1", "2", "3"),
        tokens=np.concatenate(texts),
        starts=bounds,
        answers=np.ones(3, dtype=np.int64),
        answer_ends=np.array(_LENGTHS),
        context_cut=(),
        rejected=(),
    )
    return assemble(examples, range(3), loss_on="all", device=model.device)


def updates_of_epoch(
    ids: Sequence[str], lengths: np.ndarray, *, effective_batch: int, seed: int, epoch: int, group_by_length: bool
) -> list[np.ndarray]:
    """Return the example indices of each update of an epoch; the last may hold fewer.

    Grouping is that of transformers' `LengthGroupedSampler`, which the published training used: shuffle, cut into
    mega-batches of 50 updates (fewer for a small set), sort each by falling length, and put the longest example first,
    so that memory runs out at the first update or not at all. Only the shuffle differs: a hash of seed, epoch and id.

    Args:
        lengths: tokens per example, shape (examples,).
    """
    order = sorted(range(len(ids)), key=lambda index: _rank(seed, epoch, ids[index]))
    if group_by_length and order:
        size = effective_batch * max(1, min(len(order) // (effective_batch * 4), 50))
        groups = [order[start : start + size] for start in range(0, len(order), size)]
        groups = [sorted(group, key=lambda index: -int(lengths[index])) for group in groups]
        longest = max(range(len(groups)), key=lambda number: int(lengths[groups[number][0]]))
        groups[0][0], groups[longest][0] = groups[longest][0], groups[0][0]
        order = [index for group in groups for index in group]
    return [np.array(order[start : start + effective_batch]) for start in range(0, len(order), effective_batch)]


def micro_batches(
    update: np.ndarray, lengths: np.ndarray, *, size: int, process: int, processes: int
) -> list[np.ndarray]:
    """Return one process's part of an update, cut into micro-batches of at most `size` examples.

    Examples are sorted by falling length and dealt out like cards, so that processes hold about the same number of
    tokens and a micro-batch holds examples of like length.
    """
    ordered = sorted(update.tolist(), key=lambda index: (-int(lengths[index]), index))
    own = ordered[process::processes]
    return [np.array(own[start : start + size]) for start in range(0, len(own), size)]


def micro_batches_in_step(
    update: np.ndarray, lengths: np.ndarray, *, size: int, process: int, processes: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return one process's micro-batches, and as many fillers as make their number that of every other process.

    Processes that share a backbone's weights (`posologie.training.sharding`) must call it equally often. A filler is
    the shortest example of the update, whose result does not count.
    """
    own = micro_batches(update, lengths, size=size, process=process, processes=processes)
    rounds = math.ceil(math.ceil(len(update) / processes) / size)
    filler = np.array([min(update.tolist(), key=lambda index: (int(lengths[index]), index))]) if len(update) else update
    return own, [filler] * (rounds - len(own))


def _rank(seed: int, epoch: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}\x1f{epoch}\x1f{name}".encode(), digest_size=16).digest()
