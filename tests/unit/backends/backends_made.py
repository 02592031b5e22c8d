"""Small real things that the tests of backends work on."""

from pathlib import Path
from typing import Any

from endpoint_server import EndpointServer

from posologie.backends.cache import Cache
from posologie.backends.interface import Request, Session
from posologie.backends.openai_endpoint import OpenaiEndpointBackend
from posologie.backends.spec import Decoding, OpenaiEndpoint, Running
from posologie.running.commands import Progress

QUICK = {"longest_wait_seconds": 0.05, "timeout_seconds": 30.0}


def question(text: str, **decoding: Any) -> Request:
    """Return a request of one turn."""
    return Request((("user", text),), Decoding(**{"max_new_tokens": 8, **decoding}))


def endpoint(server: EndpointServer, running: dict[str, Any] | None = None, **spec: Any) -> OpenaiEndpointBackend:
    """Return the backend of a test server; back-off is short."""
    settings = OpenaiEndpoint(**{"url": server.url, "model": "mock", "key_variable": None, **spec})
    return OpenaiEndpointBackend(settings, Running(**{**QUICK, **(running or {})}))


def ask(backend: Any, folder: Path, requests: list[Request]) -> list[Any]:
    """Complete requests through a cache in a folder and return their outcomes."""
    with Cache(folder / "responses.sqlite") as cache:
        session = Session(backend, cache)
        session.complete(requests, Progress(folder, "test", len(requests), "requests"))
        return [session.reply(request) for request in requests]
