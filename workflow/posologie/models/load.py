"""Loading a backbone that the store has checked: always safetensors, never remote code unless the user said so."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Literal

import torch
import transformers

from posologie.errors import InputError

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

Precision = Literal["bfloat16", "float32"]


def load_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of a model folder.

    Raises:
        InputError: if it has no chat template: the study's prompts are chats.
    """
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=_remote_code(folder))
    if not tokenizer.chat_template:
        raise InputError(f"{folder}: the tokenizer has no chat template; expected an instruct model")
    return tokenizer


def load_model(folder: Path, *, precision: Precision, device: str | None = None, **options: Any) -> Any:
    """Return the causal language model of a folder, in evaluation mode, on one device.

    Args:
        device: as torch names it; the first GPU if there is one, else the CPU.
        options: handed on to `from_pretrained` (attention implementation, quantisation); a `device_map` places the
            model by itself.
    """
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=getattr(torch, precision),
        use_safetensors=True,
        trust_remote_code=_remote_code(folder),
        **options,
    )
    return model.eval() if "device_map" in options else model.to(device or default_device()).eval()


def default_device() -> str:
    """Return `cuda` where there is a GPU, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def chat_template_hash(tokenizer: Any) -> str:
    """Return the SHA-256 of the chat template: predictions under another template are other predictions."""
    template = tokenizer.chat_template
    text = template if isinstance(template, str) else json.dumps(template, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def end_token_ids(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Return every token that ends the assistant's turn, ascending: the model's own and the tokenizer's."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    ends = set(configured if isinstance(configured, list | tuple) else [configured])
    ends.add(tokenizer.eos_token_id)
    return tuple(sorted(token for token in ends if token is not None))


def _remote_code(folder: Path) -> bool:
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        return False
    return bool(json.loads(manifest.read_text(encoding="utf-8")).get("trust_remote_code", False))
