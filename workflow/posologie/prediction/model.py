"""The model that answers: a backbone, with an adapter merged into its weights where there is one."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, get_peft_model, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file

from posologie.errors import InputError
from posologie.files import read_json
from posologie.models.load import Precision, chat_template_hash, end_token_ids, load_model, load_tokenizer
from posologie.models.store import checked_folder, read_manifest
from posologie.running.seals import check_seal

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model:
    """A loaded model, its tokenizer, and what the run record says about them."""

    network: Any
    tokenizer: Any
    end_tokens: tuple[int, ...]
    facts: dict[str, Any]


def load(
    manifest: Path,
    precision: Precision,
    adapter_weights: Path | None = None,
    adapter_config: Path | None = None,
    change: Callable[[Any], Any] | None = None,
) -> Model:
    """Load a checked backbone once, merge the adapter, and let the vocabulary's scores be float32.

    Args:
        change: returns the loaded backbone with other weights, in the place of one adapter.

    Raises:
        InputError: if a file differs from the manifest, or the adapter does not fit the backbone.
    """
    folder = checked_folder(manifest)
    tokenizer = load_tokenizer(folder)
    several = torch.cuda.device_count() > 1  # all that the job reserved: the layers are spread over them
    network = load_model(folder, precision=precision, **({"device_map": "auto"} if several else {}))
    if adapter_weights is not None and adapter_config is not None:
        refuse_altered(adapter_weights, adapter_config)
        network = merged(network, adapter_weights, adapter_config)
    if change is not None:
        network = change(network)
    if precision != "float32":
        score_in_float32(network)
    stated = read_manifest(manifest)
    facts = {
        "backbone": {key: stated.get(key) for key in ("name", "kind", "requested_revision", "revision")},
        "chat_template_sha256": chat_template_hash(tokenizer),
        "device": str(network.device),
    }
    return Model(network, tokenizer, end_token_ids(network, tokenizer), facts)


def refuse_altered(*files: Path) -> None:
    """Compare adapter files with their seal, or with the manifest beside them.

    Raises:
        InputError: if one was altered after its training, or after it was fetched.
    """
    for path in files:
        check_seal(path)
    folder = files[0].parent
    if (folder / "manifest.json").is_file():
        checked_folder(folder / "manifest.json")


def merged(network: Any, weights: Path, config: Path) -> Any:
    """Return the backbone with an adapter merged into its weights; one layer at a time is merged in float32.

    Merging in bfloat16 would round the adapter's small change before it is added.

    Raises:
        InputError: if the adapter has weights for modules that the backbone lacks, or lacks some.
    """
    if read_json(config).get("method") == "full":
        return replaced(network, weights)
    settings = PeftConfig.from_peft_type(**{**read_json(config), "inference_mode": True})
    precision = next(network.parameters()).dtype
    try:
        attached = get_peft_model(network, settings)
        outcome = set_peft_model_state_dict(attached, load_file(weights, device=str(network.device)))
    except (RuntimeError, ValueError) as error:  # other shapes; no such modules
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{weights}: expected an adapter of this backbone ({reason}…)") from error
    missing = [key for key in outcome.missing_keys if "lora_" in key]
    if missing or outcome.unexpected_keys:
        found = f"{len(missing)} tensors missing, {len(outcome.unexpected_keys)} unknown"
        raise InputError(f"{weights}: {found}; expected an adapter of this backbone")
    with torch.no_grad():
        for module in attached.modules():
            if isinstance(module, LoraLayer):
                module.to(torch.float32)
                module.merge(safe_merge=True)
                module.to(precision)
    return attached.unload().eval()


def replaced(network: Any, weights: Path) -> Any:
    """Return the backbone with the weights of a full fine-tuning, in its own precision.

    Raises:
        InputError: if they are those of another backbone.
    """
    try:
        outcome = network.load_state_dict(load_file(weights), strict=False)
    except RuntimeError as error:  # other shapes
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{weights}: expected the weights of this backbone ({reason}…)") from error
    tied = set(network._tied_weights_keys or {}) if network.config.tie_word_embeddings else set()
    missing = set(outcome.missing_keys) - tied
    if missing or outcome.unexpected_keys:
        found = f"{len(missing)} tensors missing, {len(outcome.unexpected_keys)} unknown"
        raise InputError(f"{weights}: {found}; expected the weights of this backbone")
    return network.eval()


def score_in_float32(network: Any) -> None:
    """Let the output layer work in float32.

    In bfloat16 the scores of two labels around 20 are equal unless they differ by an eighth: ties, which the order of
    the labels would decide. The layer is copied where it shares its weights with the embedding.
    """
    head = network.get_output_embeddings()
    wide = torch.nn.Linear(head.in_features, head.out_features, bias=head.bias is not None, device=head.weight.device)
    with torch.no_grad():
        wide.weight.copy_(head.weight)
        if head.bias is not None:
            wide.bias.copy_(head.bias)
    wide.requires_grad_(False)
    # The layer before may lie on another device.
    wide.register_forward_pre_hook(lambda layer, inputs: (inputs[0].to(layer.weight.device).float(), *inputs[1:]))
    network.set_output_embeddings(wide)
