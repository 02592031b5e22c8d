"""An endpoint: where its key may travel, and what it says of the weights behind a model's name."""

import contextlib
import ipaddress
import json
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urljoin, urlsplit

from posologie.backends.cache import Cache
from posologie.backends.interface import Request
from posologie.backends.spec import OpenaiEndpoint, Running
from posologie.records.files import read_json, write_json
from posologie.running.commands import Progress
from posologie.running.errors import InputError

if TYPE_CHECKING:
    import httpx2

_OF_THE_WEIGHTS = ("n_params", "size", "n_vocab", "n_embd", "vocab_type")
"""What llama.cpp reports about a model's file."""


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
    weights = _said_of(url, model, key)
    if not weights:
        return
    before: dict[str, Any] = read_json(known) if known.is_file() else {}
    entry = before.get(model, {})
    former = {name: value for name, value in entry.items() if name != "answered_by"}
    if not former:
        write_json(known, {**before, model: {**entry, **weights}})
    elif former != weights:
        names = sorted(name for name in {*former, *weights} if former.get(name) != weights.get(name))
        changes = "; ".join(f"{name} was {former.get(name)}, is {weights.get(name)}" for name in names)
        raise InputError(
            f"{url}: other weights answer as '{model}' than those whose replies are in {known.parent}: {changes};"
            " expected the same, or another name for the judge, translator or model"
        )


class WhoAnswers:
    """The models and fingerprints that answered under a name: in this run, and in earlier ones on the same cache."""

    def __init__(self, spec: OpenaiEndpoint, running: Running, known: Path) -> None:
        """Read who answered before.

        Args:
            known: file of what is known of each model, beside the response cache.
        """
        self._model, self._known, self._any = spec.model, known, running.fingerprints == "any"
        self._earlier = {(str(name), str(print_)) for name, print_ in self._read().get("answered_by", ())}
        self._new: set[tuple[str, str]] = set()

    def check(self, body: Mapping[str, Any]) -> None:
        """Take the next reply's word for who answered; what a server leaves out is the same as anything.

        Raises:
            InputError: if earlier runs have replies, and none of them of this model and fingerprint.
        """
        name, fingerprint = who = str(body.get("model") or ""), str(body.get("system_fingerprint") or "")
        if who in self._new or who in self._earlier or not any(who):
            return
        names = {model for model, _ in self._earlier if model}
        prints = {print_ for model, print_ in self._earlier if print_ and name in (model, "")}
        other = (name and names and name not in names) or (fingerprint and prints and fingerprint not in prints)
        if other and not self._any:
            before = "; ".join(_named(*pair) for pair in sorted(self._earlier))
            raise InputError(
                f"{_named(name, fingerprint)} answers as '{self._model}', but earlier replies in {self._known.parent}"
                f" came from {before}; expected the same, another name for the judge, translator or model, or"
                f" running with"
                " fingerprints: 'any' to keep both"
            )
        self._new.add(who)

    def keep(self) -> None:
        """Note who answered in this run."""
        if self._new:
            here = self._read()
            met = {(str(name), str(print_)) for name, print_ in here.get("answered_by", ())} | self._new
            before = read_json(self._known) if self._known.is_file() else {}
            write_json(self._known, {**before, self._model: {**here, "answered_by": sorted(map(list, met))}})

    def _read(self) -> dict[str, Any]:
        entry: dict[str, Any] = (read_json(self._known) if self._known.is_file() else {}).get(self._model, {})
        return entry


def _named(model: str, fingerprint: str) -> str:
    return f"model '{model}', fingerprint '{fingerprint}'" if fingerprint else f"model '{model}'"


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
            facts = {name: meta[name] for name in _OF_THE_WEIGHTS if name in meta} if isinstance(meta, dict) else {}
            if isinstance(entry.get("root"), str):  # vLLM: the folder or repository; on another node, another path
                facts["root"] = PurePath(entry["root"]).name
            return facts
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
            target = urlsplit(urljoin(here, response.headers["location"]))
            if not _same_place(urlsplit(here), target):
                port = f":{target.port}" if target.port else ""
                raise InputError(
                    f"{url}: redirects to {target.scheme}://{target.hostname}{port}, where the key must not go;"
                    " if that is the right address, write it as url"
                )

    return look


def _same_place(here: SplitResult, target: SplitResult) -> bool:
    if here.hostname != target.hostname:
        return False
    ports = (here.port or _DEFAULT_PORTS.get(here.scheme), target.port or _DEFAULT_PORTS.get(target.scheme))
    upgraded = (here.scheme, target.scheme) == ("http", "https") and ports == (80, 443)
    return upgraded or (here.scheme == target.scheme and ports[0] == ports[1])
