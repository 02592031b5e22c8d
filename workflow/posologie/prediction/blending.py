"""Blend trained models into one: W₀ + Σ αₖ (Wₖ − W₀), over effective weights.

Merge to Mix (arXiv 2505.16066) and MergeMix (arXiv 2601.17858) rank mixtures by models blended in this way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from posologie.training.trained_weights import change_of, refuse_left


@dataclass(frozen=True)
class WeightedModel:
    """A trained model and its share in a blend.

    Attributes:
        share: α, the weight of what its training changed; above 0.
        weights: `adapter_model.safetensors`, or all weights of a fully trained backbone.
        config: `adapter_config.json`.
    """

    share: float
    weights: Path
    config: Path


@torch.no_grad()  # type: ignore[untyped-decorator]
def blend(network: Any, models: Sequence[WeightedModel], rank: int | None = None) -> Any:
    """Return a loaded backbone with its weights W₀ replaced by W₀ + Σ αₖ (Wₖ − W₀), in place and in its own precision.

    Wₖ are the effective weights of the trained models, computed in float32: for DoRA, magnitude and direction together.

    Args:
        network: the backbone, on any device.
        models: trained models of this backbone.
        rank: if given, each changed matrix's sum of changes is replaced by its best approximation of this rank, as an
            adapter of that rank could hold it (Eckart and Young 1936).

    Raises:
        InputError: if a model was not trained on this backbone, or is of a kind that this does not merge.
    """
    changes = [change_of(model.weights, model.config) for model in models]
    for name, parameter in network.named_parameters():
        base = parameter.float()
        total = torch.zeros_like(base)
        for trained, change in zip(models, changes, strict=True):
            effective = change.effective(name, parameter)
            if effective is not None:
                total += trained.share * (effective - base)
        if rank is not None and total.ndim == 2:
            total = _of_rank(total, rank)
        parameter.copy_((base + total).to(parameter.dtype))
    for trained, change in zip(models, changes, strict=True):
        refuse_left(change, trained.weights, "the backbone")
    return network.eval()


_OVERSAMPLED, _ITERATIONS = 16, 8
"""Of the randomised SVD: with so many power iterations its error is that of the exact one to float32."""


def _of_rank(matrix: torch.Tensor, rank: int) -> torch.Tensor:
    """Return the best approximation of a matrix of a rank (randomised SVD, Halko et al. 2011, with a fixed seed)."""
    if rank >= min(matrix.shape):
        return matrix
    with torch.random.fork_rng(devices=[matrix.device] if matrix.is_cuda else []):
        torch.manual_seed(0)
        width = min(rank + _OVERSAMPLED, *matrix.shape)
        left, values, right = torch.svd_lowrank(matrix, q=width, niter=_ITERATIONS)
    return (left[:, :rank] * values[:rank]) @ right[:, :rank].T
