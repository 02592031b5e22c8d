"""The adapter of a backbone: attached as peft does it, and written in peft's form with bytes that repeat."""

import os
from typing import Any

import peft
import safetensors.torch
import torch
from peft.utils.integrations import dequantize_module_weight

from posologie.records.files import write_json
from posologie.running.errors import InputError
from posologie.running.whole_files import whole_file
from posologie.training.dora import make_fast, row_squares
from posologie.training.dropout import ExampleDropout, MaskSource
from posologie.training.recomputation import WIDE
from posologie.training.spec import Recipe, TrainingSpec


def attach(model: Any, recipe: Recipe, *, backbone: str, seed: int, masks: MaskSource) -> Any:
    """Return the backbone with a fresh adapter.

    The backbone is frozen; the adapter's weights are float32 whatever the backbone's precision.

    Args:
        model: as transformers loads it; it is changed in place.
        recipe: how the adapter is made.
        backbone: the name that the adapter's configuration gives its backbone.
        seed: of the starting weights.
        masks: the source of the dropout masks.

    Raises:
        InputError: if the recipe names a layer that the backbone does not have or that gets no adapter, or a kind of
            dropout that a layer of it cannot have.
    """
    _check_targets(model, recipe, backbone)
    config = peft.LoraConfig(
        task_type="CAUSAL_LM",
        base_model_name_or_path=backbone,
        r=recipe.rank,
        lora_alpha=int(recipe.alpha) if recipe.alpha == int(recipe.alpha) else recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=sorted(recipe.target_modules),
        bias="none",
        use_dora=recipe.method == "dora",
        use_rslora=recipe.method == "rslora",
    )
    model.name_or_path = backbone  # peft would otherwise record the folder that the backbone was read from
    adapted = peft.get_peft_model(model, config, low_cpu_mem_usage=True)
    initialise(adapted, seed)
    hidden_size = model.config.get_text_config().hidden_size
    for number, layer in enumerate(low_rank_layers(adapted)):
        if recipe.dropout:
            layer.lora_dropout["default"] = ExampleDropout(recipe.dropout, number, masks)
        fast = make_fast(layer, recipe.dropout_on, keeps_output=layer.in_features >= WIDE * hidden_size)
        if not fast and recipe.method == "dora" and recipe.dropout and recipe.dropout_on == "adapter":
            kind = type(layer.get_base_layer()).__name__
            raise InputError(
                f"training.recipe.dropout_on = 'adapter': {backbone} has layers of kind {kind}, which keep peft's "
                f"forward pass; expected input"
            )
    return adapted


def _check_targets(model: Any, recipe: Recipe, backbone: str) -> None:
    """Check that every target is a linear layer of the decoder: the loss goes past an adapter on the output layer."""
    found: dict[str, list[Any]] = {}
    for name, module in model.named_modules():
        found.setdefault(name.rpartition(".")[2], []).append(module)
    for target in recipe.target_modules:
        if target not in found:
            raise InputError(f"training.recipe.target_modules: {backbone} has no module '{target}'")
        for module in found[target]:
            if not isinstance(module, torch.nn.Linear) or module is model.get_output_embeddings():
                raise InputError(
                    f"training.recipe.target_modules = '{target}': {type(module).__name__} of {backbone}; "
                    f"expected linear layers below the output layer"
                )


def initialise(adapted: Any, seed: int) -> None:
    """Give a fresh adapter its starting weights: peft's for A and B, and the norms of the backbone's rows for DoRA.

    peft takes those norms in the backbone's precision; a fresh adapter of a bfloat16 backbone then scales rows by up to
    0.4 %. Here they are float32, and a fresh adapter changes nothing. A is drawn on the CPU, so that it does not depend
    on the device.

    Args:
        adapted: a peft model whose adapter has no values yet (`low_cpu_mem_usage=True`).
    """
    torch.manual_seed(seed)
    for layer in low_rank_layers(adapted):
        base = layer.get_base_layer()
        for low_rank in (layer.lora_A["default"], layer.lora_B["default"]):
            low_rank.to_empty(device="cpu").float()
        layer.reset_lora_parameters("default", True)
        for low_rank in (layer.lora_A["default"], layer.lora_B["default"]):
            low_rank.to(base.weight.device)
        if "default" in layer.lora_magnitude_vector:
            norms = row_squares(dequantize_module_weight(base)).sqrt_()
            layer.lora_magnitude_vector["default"].weight = torch.nn.Parameter(norms)


def low_rank_layers(adapted: Any) -> list[Any]:
    """Return peft's LoRA layers in the order of the model."""
    return [module for module in adapted.modules() if isinstance(module, peft.tuners.lora.LoraLayer)]


def write_trained(
    model: Any, spec: TrainingSpec, weights: str | os.PathLike[str], config: str | os.PathLike[str]
) -> None:
    """Write what was trained: an adapter in peft's form, or all weights of a fully trained backbone.

    The configuration names the backbone, never a folder of this machine, and its lists are sorted, so that equal
    adapters have equal bytes.
    """
    if spec.recipe.method == "full":
        tied = set(model._tied_weights_keys or {}) if model.config.tie_word_embeddings else set()
        state = {name: tensor for name, tensor in model.state_dict().items() if name not in tied}
        facts: dict[str, Any] = {"method": "full"}
    else:
        state = peft.get_peft_model_state_dict(model, save_embedding_layers=False)
        facts = model.peft_config["default"].to_dict()
        facts = {key: sorted(value) if isinstance(value, set) else value for key, value in facts.items()}
        facts |= {"inference_mode": True, "revision": None}
    tensors = {name: tensor.detach().to("cpu").contiguous() for name, tensor in sorted(state.items())}
    with whole_file(weights) as partial:
        safetensors.torch.save_file(tensors, partial, metadata={"format": "pt"})
    write_json(config, {**facts, "base_model_name_or_path": spec.backbone})
