"""The engines that a job can start: their command lines, and how each is asked."""

import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of engine is started and asked.

    Attributes:
        command: words that start it where the study names none.
        arguments: what follows, with places for {model}, {name}, {port}, {gpus}.
        key_variable: environment variable of its key; None where it takes the key from a file (see `key_option`).
        health: path that answers 200 once it is ready; None where its list of models is enough.
        version: path of its version, and where in the answer it stands.
        structured: how it takes a grammar (see `OpenaiEndpoint.structured`).
        neutral: fields of every request that switch off what the engine would do to probabilities by itself.
    """

    command: tuple[str, ...]
    arguments: tuple[str, ...]
    key_variable: str | None
    health: str | None
    version: tuple[str, ...]
    structured: str
    neutral: dict[str, Any]


_LOOPBACK = ("--host", "127.0.0.1", "--port", "{port}")
_NO_FILTERS = {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0}

KINDS = {
    "vllm": Kind(
        command=("vllm", "serve"),
        # The model's own generation settings (penalties, top-k) would come on top of what the study says.
        arguments=(
            *("{model}", *_LOOPBACK, "--served-model-name", "{name}", "--tensor-parallel-size", "{gpus}"),
            *("--generation-config", "vllm"),
        ),
        key_variable="VLLM_API_KEY",
        health="/health",
        version=("/version", "version"),
        structured="structured_outputs",
        neutral={},
    ),
    "sglang": Kind(
        command=(sys.executable, "-m", "sglang.launch_server"),
        arguments=(
            *("--model-path", "{model}", *_LOOPBACK, "--served-model-name", "{name}", "--tp-size", "{gpus}"),
            *("--sampling-defaults", "openai"),
        ),
        key_variable=None,
        health="/health",
        version=("/get_server_info", "version"),
        structured="ebnf",
        neutral={},
    ),
    "llama_cpp": Kind(
        command=("llama-server",),
        arguments=("--model", "{model}", *_LOOPBACK, "--alias", "{name}", "--jinja"),
        key_variable="LLAMA_API_KEY",
        health="/health",
        version=("/props", "build_info"),
        structured="grammar",
        neutral=_NO_FILTERS,
    ),
    "llama_cpp_python": Kind(
        command=(sys.executable, "-m", "llama_cpp.server"),
        arguments=("--model", "{model}", *_LOOPBACK, "--model_alias", "{name}"),
        key_variable="API_KEY",
        health=None,
        version=("/openapi.json", "info", "version"),
        structured="grammar",
        neutral=_NO_FILTERS,
    ),
}
