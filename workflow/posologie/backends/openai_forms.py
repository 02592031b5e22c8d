"""The form of a request to an OpenAI-compatible endpoint, and of what one sends back."""

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from posologie.backends.interface import LabelStep, Request
from posologie.backends.spec import OpenaiEndpoint

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


class TransientError(Exception):
    """An attempt that may go better next time.

    Attributes:
        paid: whether the endpoint may have answered, and billed, all the same.
        wait: seconds that the endpoint asks to wait, if it does.
        unreached: whether no connection came about.
    """

    def __init__(
        self, problem: str, *, paid: bool, raw: str | None = None, wait: float | None = None, unreached: bool = False
    ) -> None:
        super().__init__(problem)
        self.paid, self.raw, self.wait, self.unreached = paid, raw, wait, unreached


def checked_body(raw: str) -> dict[str, Any]:
    """Return a response body as JSON with its first choice first.

    Raises:
        TransientError: if it is not a chat completion. It may have been paid.
    """
    try:
        body = json.loads(raw)
        body["choices"] = sorted(body["choices"], key=lambda choice: choice.get("index", 0))
        message = body["choices"][0]["message"]
        content = message.get("content")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise TransientError(f"not a chat completion: {raw[:80]!r}", paid=True, raw=raw) from error
    if not isinstance(content, str | None):
        raise TransientError(f"content is {type(content).__name__}, expected text", paid=True, raw=raw)
    return dict(body)


def usage(body: dict[str, Any]) -> tuple[int, int] | None:
    """Return the prompt and generated tokens that a body states, or None.

    Where the total is larger than their sum, the rest is hidden reasoning: some endpoints leave it out of
    `completion_tokens` and bill it all the same.
    """
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return None
    prompt, generated, total = (usage.get(f"{name}_tokens") for name in ("prompt", "completion", "total"))
    if not (isinstance(prompt, int) and isinstance(generated, int) and prompt >= 0 and generated >= 0):
        return None
    return prompt, max(generated, total - prompt) if isinstance(total, int) else generated


def finish(choice: dict[str, Any]) -> Literal["stop", "length", "filtered"]:
    """Return why a reply ended."""
    reason = choice.get("finish_reason")
    if reason == "content_filter" or (choice["message"].get("refusal") and not choice["message"].get("content")):
        return "filtered"
    return "length" if reason == "length" else "stop"


def label_steps(choice: dict[str, Any], labels: tuple[str, ...], answer: str, *, thought: bool) -> Iterator[LabelStep]:
    """Yield the answer's first token, and each that is itself a label, where one of the labels has a known probability.

    An endpoint names only the likeliest tokens; a label that is not among them counts as of probability 0. Some list
    the tokens of a thought too: they are passed over, and where the answer is not found behind them there are no steps.
    """
    steps = ((choice.get("logprobs") or {}).get("content") or []) if labels else []
    pieces = [_written_by(step) for step in steps]
    written = b"".join(pieces)
    begin = written.rfind(answer.strip().encode("utf-8", "surrogatepass")) if answer.strip() else -1
    if begin < 0 and thought:
        return
    begin = max(begin, 0)
    before = 0
    first = True
    for step, piece in zip(steps, pieces, strict=True):
        place, before = before, before + len(piece)
        if before <= begin:
            continue
        if first or str(step.get("token", "")).strip() in labels:
            masses = dict.fromkeys(labels, 0.0)
            for candidate in step.get("top_logprobs") or []:
                label = str(candidate["token"]).strip()
                if label in masses:
                    masses[label] += math.exp(candidate["logprob"])
            mass = sum(masses.values())
            if mass > 0:
                shares = tuple(masses[label] / mass for label in labels)
                yield LabelStep(
                    len(written[begin : max(place, begin)].decode("utf-8", "ignore")), shares, min(mass, 1.0)
                )
        first = False


def _written_by(step: dict[str, Any]) -> bytes:
    piece = step.get("bytes")
    return bytes(piece) if piece is not None else str(step.get("token", "")).encode("utf-8", "surrogatepass")
