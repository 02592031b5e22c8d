"""How far an engine's label probabilities are from those that this program computes itself, on the same requests."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from posologie.errors import InputError
from posologie.generation.backends.cache import Cache
from posologie.generation.backends.causal import CausalBackend
from posologie.generation.backends.interface import Reply, Request, Session
from posologie.generation.backends.spec import Causal, Running
from posologie.progress import Progress

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
        (one.label_steps[0].probabilities, other.label_steps[0].probabilities)
        for one, other in pairs
        if one.label_steps and other.label_steps and other.label_steps[0].offset == 0
    ]
    largest = max((max(abs(p - q) for p, q in zip(*both, strict=True)) for both in compared), default=None)
    return {
        "items": len(compared),
        "without_probabilities": len(sample) - len(compared),
        "labels_equal": sum(_likeliest(one) == _likeliest(other) for one, other in compared),
        "largest_probability_difference": largest,
        "prompt_tokens_equal": sum(one.prompt_tokens == other.prompt_tokens for one, other in pairs),
        "precision": spec.precision,
    }


def _likeliest(probabilities: Sequence[float]) -> int:
    return max(range(len(probabilities)), key=probabilities.__getitem__)
