"""The model that answers, with its adapter merged, and its prompts: rendered, tokenised, fitted into its positions."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, get_peft_model, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file

from posologie.models.chats import Chats, cuts_of
from posologie.models.load import Precision, chat_template_hash, end_token_ids, load_model, load_tokenizer
from posologie.models.store import checked_folder, read_manifest
from posologie.prediction.forward import Tokens
from posologie.prediction.requests import Request
from posologie.prediction.spec import LongPrompts
from posologie.records.files import read_json
from posologie.records.prompting import Prompting, assistant_turn, chat, user_turn
from posologie.running.errors import InputError
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
        mismatch = f"{len(missing)} tensors missing, {len(outcome.unexpected_keys)} unknown"
        raise InputError(f"{weights}: {mismatch}; expected an adapter of this backbone")
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
        mismatch = f"{len(missing)} tensors missing, {len(outcome.unexpected_keys)} unknown"
        raise InputError(f"{weights}: {mismatch}; expected the weights of this backbone")
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


def memory_failure(error: BaseException) -> str | None:
    """Return why memory ran out, or None for another error; on the CPU torch raises a plain RuntimeError."""
    text = str(error).strip().split("\n")[0] or type(error).__name__
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return text
    return text if "not enough memory" in text or "out of memory" in text else None


def blank_first(chats: Chats) -> bool:
    """Return whether the tokenizer spells a label behind a prompt as a blank and a letter."""
    prompt = chats.prompt([{"role": "user", "content": "?"}])
    before, behind = chats.ids(prompt), chats.ids(f"{prompt}A")
    spelt = behind[len(before) :] if behind[: len(before)] == before else []
    return len(spelt) > 1 and not chats.tokenizer.decode(spelt[:1]).strip()


_PROVED = 64
"""Items on which a job proves that prompt and answer are tokenised as in an example of training."""
_SHOWN = 5


def positions_of(network: Any) -> int | None:
    """Return how many tokens a model can read and write; None where it has no such limit."""
    positions = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    return int(positions) if isinstance(positions, int) and positions > 0 else None


class Prompts:
    """Tokenises requests; `cut` holds the ids of the items whose context had to be shortened."""

    def __init__(self, chats: Chats, prompting: Prompting, positions: int | None, long_prompts: LongPrompts) -> None:
        """Take the form of the chats; `positions` is None for a model without a limit."""
        self.chats, self.prompting = chats, prompting
        self.positions, self.long_prompts = positions, long_prompts
        self.cut: set[str] = set()
        # No tokenizer writes more tokens than bytes, so that most prompts are known to fit without being tokenised.
        empty = self.chats.shown(self.chats.prompt([{"role": "user", "content": ""}]))
        self._frame = len(empty.encode()) + len((prompting.system or "").encode()) + 64

    def check(self, requests: Iterator[Request]) -> None:
        """Prove the form of the chats on real items, and refuse items that do not fit.

        Raises:
            InputError: naming the items.
        """
        too_long: dict[str, int] = {}
        for number, request in enumerate(requests):
            item = request.item
            if number < _PROVED and (item.gold or item.answer):
                turns = chat(item, request.order, self.prompting)
                self.chats.prove(item.id, turns, assistant_turn(item, request.order, self.prompting))
            written = user_turn(item, request.order, self.prompting)
            if self.positions is None or len(written.encode()) + self._frame <= self._room(request):
                continue
            length = len(self.chats.ids(self.text(request)))
            if length > self._room(request) and (self.long_prompts == "refuse" or self._shortened(request) is None):
                too_long[item.id] = max(length, too_long.get(item.id, 0))
        if too_long:
            first = ", ".join(f"{name} ({length} tokens)" for name, length in list(too_long.items())[:_SHOWN])
            more = f" and {len(too_long) - _SHOWN} more" if len(too_long) > _SHOWN else ""
            remedy = "leave them out" + ("" if self.long_prompts == "cut" else ", or set long_prompts: cut")
            raise InputError(
                f"item{'s' if len(too_long) > 1 else ''} {first}{more}: prompt and answer need more than the"
                f" {self.positions} positions of the model; {remedy}"
            )

    def text(self, request: Request) -> str:
        """Return the rendered prompt of a request."""
        return self.chats.prompt(chat(request.item, request.order, self.prompting))

    def tokens(self, request: Request) -> Tokens:
        """Return the prompt of a request, its context cut where it would not fit."""
        tokens = tuple(self.chats.ids(self.text(request)))
        if self.positions is None or len(tokens) <= self._room(request):
            return tokens
        shortened = self._shortened(request) if self.long_prompts == "cut" else None
        if shortened is None:
            raise InputError(
                f"item '{request.item.id}': {len(tokens)} tokens; the model has {self.positions} positions"
            )
        self.cut.add(request.item.id)
        return shortened

    def _room(self, request: Request) -> int:
        thought = self.chats.form.thought_tokens if self.chats.form.thinking else 0
        return (self.positions or 0) - request.new_tokens - thought

    def _shortened(self, request: Request) -> Tokens | None:
        """Return the prompt with as much of its context as fits, or None if it does not fit with none."""
        cuts = cuts_of(request.item.context, self.chats.tokenizer) if request.item.context else [""]
        best = None
        low, high = 0, len(cuts) - 1
        while low <= high:
            middle = (low + high) // 2
            shorter = replace(request, item=replace(request.item, context=cuts[middle]))
            tokens = tuple(self.chats.ids(self.text(shorter)))
            if len(tokens) <= self._room(request):
                best, low = tokens, middle + 1
            else:
                high = middle - 1
        return best
