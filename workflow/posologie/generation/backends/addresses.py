"""Where a key may travel: to the endpoint that the study names, and nowhere else."""

import ipaddress
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit

from posologie.errors import InputError

if TYPE_CHECKING:
    import httpx2

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
