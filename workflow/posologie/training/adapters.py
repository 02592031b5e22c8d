"""The adapter of a backbone: attached as peft does it, and written in peft's form with bytes that repeat."""

import os
from typing import Any

import peft
import safetensors.torch
import torch

from posologie.errors import InputError
from posologie.files import whole_file, write_json
from posologie.training.dora import make_fast, row_squares
from posologie.training.dropout import ExampleDropout, MaskSource
from posologie.training.spec import Recipe


def attach(model: Any, recipe: Recipe, *, backbone: str, seed: int) -> tuple[Any, MaskSource]:
    """Return the backbone with a fresh adapter, and the source of its dropout masks.

    The backbone is frozen; the adapter's weights are float32 whatever the backbone's precision.

    Raises:
        InputError: if the recipe names a projection that the backbone does not have.
    """
    names = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    for target in recipe.target_modules:
        if target not in names:
            raise InputError(f"training.target_modules: {backbone} has no module '{target}'")
    config = peft.LoraConfig(
        task_type="CAUSAL_LM",
        base_model_name_or_path=backbone,
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=sorted(recipe.target_modules),
        bias="none",
        use_dora=recipe.method == "dora",
        use_rslora=recipe.method == "rslora",
    )
    model.name_or_path = backbone  # peft would otherwise record the folder that the backbone was read from
    torch.manual_seed(seed)
    adapted = peft.get_peft_model(model, config)
    exact_magnitudes(adapted)
    source = MaskSource()
    for number, layer in enumerate(low_rank_layers(adapted)):
        if recipe.dropout:
            layer.lora_dropout["default"] = ExampleDropout(recipe.dropout, number, source)
        make_fast(layer, recipe.dropout_on)
    return adapted, source


def exact_magnitudes(adapted: Any) -> None:
    """Set every DoRA magnitude to the norm of the backbone's rows in float32.

    peft takes it in the backbone's precision; a fresh adapter of a bfloat16 backbone then scales rows by up to 0.4 %.
    """
    for layer in low_rank_layers(adapted):
        for dora in layer.lora_magnitude_vector.values():
            base = layer.get_base_layer()
            if type(base) is torch.nn.Linear and not layer.fan_in_fan_out:
                dora.weight.data = row_squares(base.weight).sqrt()


def low_rank_layers(adapted: Any) -> list[Any]:
    """Return peft's LoRA layers in the order of the model."""
    return [module for module in adapted.modules() if isinstance(module, peft.tuners.lora.LoraLayer)]


def trainable(model: Any) -> dict[str, torch.nn.Parameter]:
    """Return what is trained, by name, in the order of the model."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def write_adapter(adapted: Any, backbone: str, weights: str | os.PathLike[str], config: str | os.PathLike[str]) -> None:
    """Write `adapter_model.safetensors` and `adapter_config.json` as peft reads them.

    The configuration names the backbone, never a folder of this machine, and its lists are sorted, so that equal
    adapters have equal bytes.
    """
    state = peft.get_peft_model_state_dict(adapted, save_embedding_layers=False)
    tensors = {name: tensor.detach().to("cpu").contiguous() for name, tensor in sorted(state.items())}
    with whole_file(weights) as partial:
        safetensors.torch.save_file(tensors, partial, metadata={"format": "pt"})
    facts = adapted.peft_config["default"].to_dict()
    facts = {key: sorted(value) if isinstance(value, set) else value for key, value in facts.items()}
    write_json(config, {**facts, "base_model_name_or_path": backbone, "inference_mode": True, "revision": None})
