"""What an endpoint is known by: its key, and what it says of the weights behind a model's name."""

import contextlib
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from posologie.errors import InputError
from posologie.files import read_json, write_json
from posologie.generation.backends.cache import Cache
from posologie.generation.backends.interface import Request
from posologie.generation.backends.spec import OpenaiEndpoint
from posologie.progress import Progress

_OF_THE_WEIGHTS = ("n_params", "size", "n_vocab", "n_embd", "vocab_type")
"""What llama.cpp tells of a model's file."""


def key_of(spec: OpenaiEndpoint) -> str:
    """Return the endpoint's key, or a word where it needs none."""
    if spec.key_variable is None:
        return "none"
    key = os.environ.get(spec.key_variable, "")
    if not key:
        raise InputError(f"key_variable = '{spec.key_variable}': not set; expected the endpoint's key in it")
    return key


def unanswered(
    requests: Iterator[tuple[bytes, Request]], cache: Cache, progress: Progress
) -> Iterator[tuple[bytes, Request]]:
    """Yield the requests that have no reply yet; the others are counted as done."""
    for key, request in requests:
        if cache.has(key):
            progress.advance()
        else:
            yield key, request


def check_weights(url: str, model: str, key: str, known: Path) -> None:
    """Compare what a server says of a model's weights with what it said before.

    Args:
        known: file of what was said of each model, beside the response cache; it is written where that is new.

    Raises:
        InputError: if the weights are others: their replies must not stand beside those of the first.
    """
    said = _said_of(url, model, key)
    if not said:
        return
    before: dict[str, Any] = read_json(known) if known.is_file() else {}
    if model not in before:
        write_json(known, {**before, model: said})
    elif (former := before[model]) != said:
        names = sorted(name for name in {*former, *said} if former.get(name) != said.get(name))
        changes = "; ".join(f"{name} was {former.get(name)}, is {said.get(name)}" for name in names)
        raise InputError(
            f"{url}: other weights answer as '{model}' than those whose replies are in {known.parent}: {changes};"
            " expected the same, or another name for the judge, translator or model"
        )


def _said_of(url: str, model: str, key: str) -> dict[str, Any]:
    """Return what a server says of a model's weights in its list of models; nothing where it says nothing."""
    request = urllib.request.Request(  # noqa: S310 - the address that the study names
        f"{url.rstrip('/')}/models", headers={"Authorization": f"Bearer {key}"}
    )
    entries: Any = []
    opener = urllib.request.build_opener(_NoRedirect)
    with contextlib.suppress(OSError, ValueError, AttributeError), opener.open(request, timeout=10) as answer:
        entries = json.loads(answer.read()).get("data")  # what is wrong shows when something is asked
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("id") == model:
            meta: Any = entry.get("meta")
            said = {name: meta[name] for name in _OF_THE_WEIGHTS if name in meta} if isinstance(meta, dict) else {}
            if isinstance(entry.get("root"), str):  # vLLM: the folder or repository; on another node, another path
                said["root"] = PurePath(entry["root"]).name
            return said
    return {}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nothing: the key is for the host that the study names."""

    def redirect_request(self, *_: Any) -> None:
        """Refuse."""
