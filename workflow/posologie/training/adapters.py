"""The adapter of a backbone: attached as peft does it, and written in peft's form with bytes that repeat."""

import os
import re
from pathlib import Path
from typing import Any

import peft
import safetensors.torch
import torch
from peft.utils.integrations import dequantize_module_weight

from posologie.records.files import write_json
from posologie.running.errors import InputError
from posologie.running.whole_files import whole_file
from posologie.training.dora import make_fast, row_squares
from posologie.training.layers import WIDE, ExampleDropout, MaskSource
from posologie.training.sharding import sharded_without_values, whole_weight
from posologie.training.spec import Recipe, TrainingSpec


def attach(
    model: Any, recipe: Recipe, *, backbone: str, seed: int, masks: MaskSource, principal: Path | None = None
) -> Any:
    """Return the backbone with a fresh adapter on its decoder.

    The backbone is frozen; the adapter's weights are float32 whatever the backbone's precision. Of a backbone that also
    sees or hears, only the layers that read text are adapted: the others would get no gradient.

    Args:
        model: as transformers loads it; it is changed in place.
        recipe: how the adapter is made.
        backbone: the name that the adapter's configuration gives its backbone.
        seed: of the starting weights.
        masks: the source of the dropout masks.
        principal: file of the principal parts, for PiSSA; written if it does not exist, so that every process and every
            attempt takes the weights apart in the same way.

    Raises:
        InputError: if the recipe names a layer that the backbone does not have or that gets no adapter, or a kind of
            dropout that a layer of it cannot have.
    """
    elsewhere = _check_targets(model, recipe, backbone)
    config = peft.LoraConfig(
        task_type="CAUSAL_LM",
        base_model_name_or_path=backbone,
        r=recipe.rank,
        lora_alpha=int(recipe.alpha) if recipe.alpha == int(recipe.alpha) else recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=sorted(recipe.target_modules),
        exclude_modules=elsewhere,
        bias="none",
        use_dora=recipe.method == "dora",
        use_rslora=recipe.method == "rslora",
    )
    model.name_or_path = backbone  # peft would otherwise record the folder that the backbone was read from
    with sharded_without_values(model):
        adapted = peft.get_peft_model(model, config, low_cpu_mem_usage=True)
    if recipe.method == "pissa":
        take_apart(adapted, principal)
    else:
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


def _check_targets(model: Any, recipe: Recipe, backbone: str) -> str | None:
    """Check that every target is a linear layer of the decoder: the loss goes past an adapter on the output layer.

    Returns:
        A pattern of the modules outside of the decoder, where some have the name of a target; else None.
    """
    decoder = model.get_decoder()
    inside = set(map(id, decoder.modules())) | {id(model.get_output_embeddings())}
    modules: dict[str, list[Any]] = {}
    elsewhere = False
    for name, module in model.named_modules():
        own = name.rpartition(".")[2]
        if id(module) in inside:
            modules.setdefault(own, []).append(module)
        elsewhere |= id(module) not in inside and own in recipe.target_modules
    for target in recipe.target_modules:
        if target not in modules:
            raise InputError(f"training.recipe.target_modules: {backbone} has no module '{target}' in its decoder")
        for module in modules[target]:
            if not isinstance(module, torch.nn.Linear) or module is model.get_output_embeddings():
                raise InputError(
                    f"training.recipe.target_modules = '{target}': {type(module).__name__} of {backbone}; "
                    f"expected linear layers below the output layer"
                )
    if not elsewhere:
        return None
    place = next(name for name, module in model.named_modules() if module is decoder)
    return rf"(?!{re.escape(place)}\.).*"


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
            norms = row_squares(whole_weight(dequantize_module_weight(base))).sqrt_()
            layer.lora_magnitude_vector["default"].weight = torch.nn.Parameter(norms)


@torch.no_grad()  # type: ignore[untyped-decorator]
def take_apart(adapted: Any, principal: Path | None = None) -> None:
    """Give a fresh adapter the principal part of each weight, and leave the rest to the backbone, in place.

    PiSSA (Meng et al. 2024, arXiv 2404.02948, equations 2 to 4): of the singular value decomposition W = U S V^T, the r
    largest values make B = U S^(1/2) and A = S^(1/2) V^T (divided by the scaling), and the backbone keeps W - s B A.

    Args:
        adapted: a peft model whose adapter has no values yet (`low_cpu_mem_usage=True`).
        principal: file of A and B by name; read if it exists, else written. Two machines may split equal singular
            values in another way, and a checkpoint fits only the split that it began with.
    """
    parts = safetensors.torch.load_file(principal) if principal is not None and principal.is_file() else {}
    known = bool(parts)
    for number, layer in enumerate(low_rank_layers(adapted)):
        base, scaling, rank = layer.get_base_layer(), layer.scaling["default"], layer.r["default"]
        wide = base.weight.detach().float()
        if not known:
            left, values, right = torch.linalg.svd(wide.cpu(), full_matrices=False)
            roots = (values[:rank] / scaling).sqrt()
            parts[f"{number}.A"] = (roots[:, None] * right[:rank]).contiguous()
            parts[f"{number}.B"] = (left[:, :rank] * roots).contiguous()
        a, b = (parts[f"{number}.{side}"].to(wide.device) for side in "AB")
        layer.lora_A["default"].weight = torch.nn.Parameter(a.clone())
        layer.lora_B["default"].weight = torch.nn.Parameter(b.clone())
        base.weight.copy_(torch.addmm(wide, b, a, alpha=-scaling))
    if principal is not None and not known:
        principal.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(principal) as partial:
            safetensors.torch.save_file(parts, partial)


def low_rank_layers(adapted: Any) -> list[Any]:
    """Return peft's LoRA layers in the order of the model."""
    return [module for module in adapted.modules() if isinstance(module, peft.tuners.lora.LoraLayer)]


def write_trained(
    model: Any,
    spec: TrainingSpec,
    weights: str | os.PathLike[str],
    config: str | os.PathLike[str],
    start: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write what was trained: an adapter in peft's form, or all weights of a fully trained backbone.

    The configuration names the backbone, never a folder of this machine, and its lists are sorted, so that equal
    adapters have equal bytes. An adapter that began as a part of the backbone (PiSSA) is written as what it adds to the
    whole backbone, B A - B₀ A₀: a LoRA adapter of twice the rank, as peft converts it.

    Args:
        start: what A and B of a PiSSA adapter were before the training, by name.
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
        if spec.recipe.method == "pissa":
            state = _beside_the_backbone(state, start or {})
            facts |= {"r": 2 * facts["r"], "lora_alpha": 2 * facts["lora_alpha"]}
    tensors = {name: tensor.detach().to("cpu").contiguous() for name, tensor in sorted(state.items())}
    with whole_file(weights) as partial:
        safetensors.torch.save_file(tensors, partial, metadata={"format": "pt"})
    write_json(config, {**facts, "base_model_name_or_path": spec.backbone})


def _beside_the_backbone(state: dict[str, torch.Tensor], start: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return factors of B A - B₀ A₀: A above A₀, and B beside -B₀."""
    factors = {}
    for name, tensor in state.items():
        before = start[name.replace(".weight", ".default.weight")].to(tensor.device)
        factors[name] = torch.cat([tensor, before]) if ".lora_A." in name else torch.cat([tensor, -before], dim=1)
    return factors
