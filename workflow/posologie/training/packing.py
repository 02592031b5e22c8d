"""Whether a backbone computes examples that lie one behind the other as it computes each alone."""

from typing import Any

import numpy as np
import torch

from posologie.running.errors import InputError
from posologie.training.batches import assemble, hidden_states
from posologie.training.examples import Examples

_LENGTHS = (9, 5, 13)


def check_packing(model: Any, name: str) -> None:
    """Check that no example of a batch without padding changes the hidden states of another.

    Convolutions, recurrent layers, and positions that a model counts by itself, would mix them. This is tried on a
    short batch, because the configuration of an unknown architecture does not tell.

    Args:
        model: with the packed attention.
        name: of the backbone.

    Raises:
        InputError: if examples change one another, or if the backbone cannot compute such a batch.
    """
    was_training = model.training
    model.train()
    try:
        with torch.no_grad():
            first, again, second = (_middle(model, step) for step in (3, 3, 7))
    except (NotImplementedError, TypeError, ValueError) as error:
        raise InputError(
            f"{name}: model of type '{model.config.model_type}' does not take examples packed one behind the other: "
            f"{error}"
        ) from error
    finally:
        model.train(was_training)
    kind = f"{name}: model of type '{model.config.model_type}'"
    # Batches of one shape have equal roundings. Experts compute tokens in groups whose size depends on all of them, and
    # products in 8 bits look for outliers in all rows: there, half precision rounds otherwise.
    groups = getattr(model, "is_quantized", False) or any(hasattr(module, "experts") for module in model.modules())
    tolerance = 0.05 if groups and model.dtype != torch.float32 else 1e-4
    if not _difference(first, again) <= tolerance:
        raise InputError(
            f"{kind} computes something else each time (its dropout?); expected equal hidden states of equal batches"
        )
    if not _difference(first, second) <= tolerance:
        raise InputError(
            f"{kind} mixes examples packed one behind the other; expected a decoder whose layers only attend, with "
            "positions as they are given"
        )


def _difference(some: torch.Tensor, others: torch.Tensor) -> float:
    """Return the largest relative difference of two rows; not a number if a state is none."""
    return float(((some - others).norm(dim=-1) / some.norm(dim=-1)).max())


def _middle(model: Any, step: int) -> torch.Tensor:
    """Return the hidden states of an example between two others, which depend on the step."""
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
    batch = assemble(examples, range(3), loss_on="all", device=model.device)
    return hidden_states(model.get_decoder(), batch)[bounds[1] : bounds[2]].float()
