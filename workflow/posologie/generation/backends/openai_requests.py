"""The form of a request to an OpenAI-compatible endpoint, and how long one asks to wait."""

import contextlib
import json
import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from posologie.generation.backends.interface import Request
from posologie.generation.backends.spec import OpenaiEndpoint

_GRAMMAR_FIELDS: dict[str, Callable[[str], dict[str, Any]]] = {
    "grammar": lambda grammar: {"grammar": grammar},
    "ebnf": lambda grammar: {"ebnf": grammar},
    "structured_outputs": lambda grammar: {"structured_outputs": {"grammar": grammar}},
    "guided": lambda grammar: {"guided_grammar": grammar},
}
"""The field in which each kind of server takes a grammar."""


def takes_grammar(structured: str) -> bool:
    """Return whether labels are constrained by a grammar under a setting of `structured`."""
    return structured in _GRAMMAR_FIELDS


def request_body(spec: OpenaiEndpoint, request: Request) -> dict[str, Any]:
    """Return the body of a request (https://platform.openai.com/docs/api-reference/chat/create)."""
    decoding = request.decoding
    fields: dict[str, Any] = {
        "model": spec.model,
        "messages": [{"role": role, "content": content} for role, content in request.turns],
        spec.tokens_field: decoding.max_new_tokens,
    }
    if spec.send_seed:
        fields["seed"] = decoding.seed
    if decoding.temperature is not None:
        fields["temperature"] = decoding.temperature
        fields["top_p"] = decoding.top_p
    if request.labels and spec.label_probabilities:
        fields |= {"logprobs": True, "top_logprobs": spec.top_logprobs}
    if request.language is not None and takes_grammar(spec.structured):
        fields |= _GRAMMAR_FIELDS[spec.structured](request.language.grammar())
    elif request.schema is not None and spec.structured == "json_object":
        fields["response_format"] = {"type": "json_object"}
    elif request.schema is not None and spec.structured == "grammar":  # both of llama.cpp's servers know this form
        fields["response_format"] = {"type": "json_object", "schema": json.loads(request.schema)}
    elif request.schema is not None and spec.structured != "none":
        wrapped = {"name": "reply", "strict": True, "schema": json.loads(request.schema)}
        fields["response_format"] = {"type": "json_schema", "json_schema": wrapped}
    return {**fields, **spec.extra_body}


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that an endpoint asks to wait, or None.

    `retry-after-ms` counts before Retry-After, which is a number of seconds or a date (RFC 9110, section 10.2.3).
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        with contextlib.suppress(KeyError, ValueError):
            seconds = float(headers[name]) / unit
            if math.isfinite(seconds):
                return max(0.0, seconds)
    with contextlib.suppress(KeyError, ValueError, TypeError, OverflowError):
        until = parsedate_to_datetime(headers["retry-after"])
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        return max(0.0, until.timestamp() - time.time())
    return None
