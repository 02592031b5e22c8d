"""Trained weights and the optimizer's moments, to and from named tensors."""

import torch


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
