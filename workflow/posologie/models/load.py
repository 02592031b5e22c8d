"""Loading a backbone that the store has checked: always safetensors, never remote code unless the user said so."""

import datetime
import functools
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jinja2
import torch
import transformers

from posologie.running.errors import InputError

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

Precision = Literal["bfloat16", "float32", "auto"]
"""Of weights; `auto` is that of their files."""


TEMPLATE_DAY = datetime.date(2024, 7, 26)
"""The date that chat templates get for today, so that prompts never change: the day that Llama's fall back to."""

_DIRECTIVES = "".join(f" | replace('%{letter}', '{TEMPLATE_DAY:%{letter}}')" for letter in "dmYyBbAaHMSIpj")
_STOPPED_CLOCK = f"{{%- macro strftime_now(form) -%}}{{{{ form{_DIRECTIVES} }}}}{{%- endmacro -%}}"


def load_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of a model folder.

    Its chat template writes `TEMPLATE_DAY` for today, and raises InputError for a chat that it refuses.

    Raises:
        InputError: if it has no chat template: the study's prompts are chats.
    """
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=_remote_code(folder))
    if not tokenizer.chat_template:
        raise InputError(f"{folder}: the tokenizer has no chat template; expected an instruct model")
    tokenizer.apply_chat_template = functools.partial(_render, folder, tokenizer.apply_chat_template)
    return tokenizer


def _render(folder: Path, apply: Callable[..., Any], *chat: Any, **options: Any) -> Any:
    template = apply.__self__.chat_template  # type: ignore[attr-defined]
    if isinstance(template, str) and "strftime_now" in template:
        options.setdefault("chat_template", _STOPPED_CLOCK + template)
    try:
        return apply(*chat, **options)
    except jinja2.TemplateError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{folder}: the chat template refuses the chat ({reason}); expected other turns") from error


def load_model(folder: Path, *, precision: Precision, device: str | None = None, **options: Any) -> Any:
    """Return the causal language model of a folder, in evaluation mode, on one device.

    Args:
        device: as torch names it; the first GPU if there is one, else the CPU.
        options: handed on to `from_pretrained` (attention implementation, quantisation); a `device_map` places the
            model by itself.
    """
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder,
        dtype="auto" if precision == "auto" else getattr(torch, precision),
        use_safetensors=True,
        trust_remote_code=_remote_code(folder),
        **options,
    )
    return model.eval() if "device_map" in options else model.to(device or default_device()).eval()


def unloaded_model(folder: Path, **options: Any) -> Any:
    """Return the causal language model of a folder as its configuration makes it, with weights of no meaning.

    Args:
        options: handed on to `from_config` (attention implementation, dtype).
    """
    remote_code = _remote_code(folder)
    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=remote_code)
    return transformers.AutoModelForCausalLM.from_config(config, trust_remote_code=remote_code, **options)


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
