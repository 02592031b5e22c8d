"""Whether a backbone computes examples that lie one behind the other as it computes each alone."""

from typing import Any

import torch

from posologie.errors import InputError
from posologie.training.batches import Batch, hidden_states

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
    # Experts sum the tokens of a batch in an order that depends on all of them: equal but for rounding.
    tolerance = 1e-5 if first.dtype == torch.float32 else 0.1
    tolerance *= float(first.abs().max())
    if not (first - again).abs().max() <= tolerance:
        raise InputError(
            f"{name}: model of type '{model.config.model_type}' computes something else each time (its dropout?); "
            "expected equal hidden states of equal batches"
        )
    if not (first - second).abs().max() <= tolerance:
        raise InputError(
            f"{name}: model of type '{model.config.model_type}' mixes examples packed one behind the other; expected a "
            "decoder whose layers only attend, with positions as they are given"
        )


def _middle(model: Any, step: int) -> torch.Tensor:
    """Return the hidden states of an example between two others, which depend on the step."""
    size, device = model.get_input_embeddings().weight.shape[0], model.device
    before, _, after = (torch.arange(1, length + 1, device=device) * step % size for length in _LENGTHS)
    middle = torch.arange(1, _LENGTHS[1] + 1, device=device) % size
    bounds = [0, *torch.tensor(_LENGTHS).cumsum(0).tolist()]
    none = torch.empty(0, dtype=torch.int64, device=device)
    batch = Batch(
        ids=("before", "middle", "after"),
        tokens=torch.cat([before, middle, after])[None],
        positions=torch.cat([torch.arange(length, device=device) for length in _LENGTHS])[None],
        bounds=bounds,
        cumulative=torch.tensor(bounds, dtype=torch.int32, device=device),
        longest=max(_LENGTHS),
        rows=none,
        targets=none,
        in_answer=none.bool(),
    )
    return hidden_states(model.get_decoder(), batch)[bounds[1] : bounds[2]].float()
