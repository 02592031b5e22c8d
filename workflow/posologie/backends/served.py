"""An endpoint: where its key may travel, and what it says of the weights behind a model's name."""

import contextlib
import ipaddress
import json
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urljoin, urlsplit

from posologie.backends.cache import Cache
from posologie.backends.interface import Request
from posologie.backends.spec import OpenaiEndpoint
from posologie.records.files import read_json, write_json
from posologie.running.commands import Progress
from posologie.running.errors import InputError

if TYPE_CHECKING:
    import httpx2

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


log = logging.getLogger(__name__)

_DEFAULT_PORTS = {"http": 80, "https": 443}
_warned: set[str] = set()


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.rstrip(".").lower().rpartition(".")[2] == "localhost"


def in_the_clear(url: str) -> bool:
    """Return whether a key would be sent unencrypted to another machine."""
    address = urlsplit(url)
    return address.scheme == "http" and not is_loopback(address.hostname or "")


def warn_in_the_clear(url: str, variable: str | None) -> None:
    """Warn, once for each address, if the key in a variable would be sent unencrypted to another machine."""
    if variable is not None and in_the_clear(url) and url not in _warned:
        _warned.add(url)
        log.warning("%s: the key in %s is sent unencrypted; use https if the endpoint has it", url, variable)


def refuse_redirects(url: str) -> Callable[["httpx2.Response"], Awaitable[None]]:
    """Return what looks at each response of an endpoint before the client follows it anywhere.

    The key and the prompts are for the host that the study names: a redirect to another host, another port, or from
    https to http raises an `InputError`. From http to https on the same host is fine.
    """

    async def look(response: "httpx2.Response") -> None:
        if response.has_redirect_location:
            here = str(response.request.url)
            there = urlsplit(urljoin(here, response.headers["location"]))
            if not _same_place(urlsplit(here), there):
                raise InputError(
                    f"{url}: redirects to {there.scheme}://{there.hostname}{f':{there.port}' if there.port else ''}, "
                    "where the key must not go; if that is the right address, write it as url"
                )

    return look


def _same_place(here: SplitResult, there: SplitResult) -> bool:
    if here.hostname != there.hostname:
        return False
    ports = (here.port or _DEFAULT_PORTS.get(here.scheme), there.port or _DEFAULT_PORTS.get(there.scheme))
    upgraded = (here.scheme, there.scheme) == ("http", "https") and ports == (80, 443)
    return upgraded or (here.scheme == there.scheme and ports[0] == ports[1])
