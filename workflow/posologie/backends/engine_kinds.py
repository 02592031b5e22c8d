"""The engines that a job can start: their command lines, and how their probabilities compare with this program's."""

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posologie.backends.cache import Cache
from posologie.backends.interface import Reply, Request, Session
from posologie.backends.spec import Causal, Running
from posologie.running.commands import Progress
from posologie.running.errors import InputError


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


log = logging.getLogger(__name__)


def compare(
    sample: Sequence[Request],
    engine_reply: Callable[[Request], Any],
    spec: Causal,
    manifest: Path,
    running: Running,
    work: Path,
) -> dict[str, Any]:
    """Ask the same model in this process, and return what differs at the first token of the reply.

    Args:
        sample: requests with labels that the engine was asked.
        engine_reply: gives the engine's outcome.
        spec: the same model as a local one.
        work: folder for the replies of this comparison.

    Returns:
        `items` compared, `labels_equal` (likeliest label), `largest_probability_difference`, `prompt_tokens_equal`;
        `not_compared` says why where nothing could be.
    """
    if not sample:
        return {"items": 0, "not_compared": "no request asks for labels, or compared_items is 0"}
    from posologie.backends.causal import CausalBackend

    own = CausalBackend(spec, running, manifest)
    shortened = [
        Request(
            request.turns, request.decoding.model_copy(update={"max_new_tokens": 1, "temperature": 0.0}), request.labels
        )
        for request in sample
    ]
    try:
        with Cache(work / "agreement.sqlite") as cache:
            session = Session(own, cache)
            session.complete(
                shortened, Progress(work / "agreement", "comparison with own engine", len(sample), "items")
            )
            replies = [session.reply(request) for request in shortened]
    except (InputError, OSError, ValueError, RuntimeError, MemoryError) as error:
        problem = " ".join(str(error).split())[:300] or type(error).__name__
        log.warning("the engine's label probabilities could not be compared: %s", problem)
        return {"items": 0, "not_compared": problem}
    pairs = [
        (mine, theirs)
        for mine, theirs in zip(replies, map(engine_reply, sample), strict=True)
        if isinstance(mine, Reply) and isinstance(theirs, Reply)
    ]
    compared = [
        (mine.label_steps[0].probabilities, theirs.label_steps[0].probabilities)
        for mine, theirs in pairs
        if mine.label_steps and theirs.label_steps and theirs.label_steps[0].offset == 0
    ]
    largest = max((max(abs(p - q) for p, q in zip(*both, strict=True)) for both in compared), default=None)
    return {
        "items": len(compared),
        "without_probabilities": len(sample) - len(compared),
        "labels_equal": sum(_likeliest(mine) == _likeliest(theirs) for mine, theirs in compared),
        "largest_probability_difference": largest,
        "prompt_tokens_equal": sum(mine.prompt_tokens == theirs.prompt_tokens for mine, theirs in pairs),
        "precision": spec.precision,
    }


def _likeliest(probabilities: Sequence[float]) -> int:
    return max(range(len(probabilities)), key=probabilities.__getitem__)
