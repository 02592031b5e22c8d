"""AdamW over the trained weights, and its moments to and from named tensors."""

import re

import torch

from posologie.training.spec import Recipe

_NOT_DECAYED = re.compile(r"bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)")


def make_optimizer(
    weights: dict[str, torch.nn.Parameter], recipe: Recipe, device: torch.device
) -> torch.optim.Optimizer:
    """Return AdamW as transformers' Trainer sets it up: biases and the weights of norms do not decay.

    Args:
        weights: the trained parameters by name.
    """
    kept = [parameter for name, parameter in weights.items() if _NOT_DECAYED.search(name.lower())]
    decayed = [parameter for name, parameter in weights.items() if not _NOT_DECAYED.search(name.lower())]
    groups = [
        {"params": parameters, "weight_decay": decay}
        for parameters, decay in ((decayed, recipe.weight_decay), (kept, 0.0))
        if parameters
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=device.type == "cuda")


def copy_of(weights: dict[str, torch.nn.Parameter]) -> dict[str, torch.Tensor]:
    """Return copies of the trained weights, by name, on the CPU."""
    return {name: parameter.detach().cpu().clone() for name, parameter in weights.items()}


def state_of(weights: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return copies of the trained weights and of AdamW's moments, by name, on the CPU."""
    tensors = {f"weight/{name}": tensor for name, tensor in copy_of(weights).items()}
    for name, parameter in weights.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{key}/{name}"] = value.detach().cpu().clone()
    return tensors


@torch.no_grad()  # type: ignore[untyped-decorator]
def put_back(
    weights: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]
) -> None:
    """Put back what `state_of` returned."""
    fused = optimizer.param_groups[0]["fused"]
    for name, parameter in weights.items():
        parameter.copy_(tensors[f"weight/{name}"])
        for key in ("step", "exp_avg", "exp_avg_sq"):
            if f"{key}/{name}" in tensors:
                value = tensors[f"{key}/{name}"]
                optimizer.state[parameter][key] = value if key == "step" and not fused else value.to(parameter.device)
