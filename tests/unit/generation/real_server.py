"""`transformers serve` on the loopback: a real OpenAI-compatible server in front of a real model."""

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Served:
    """Where the server is, and under which name it knows the model."""

    url: str
    model: str


@contextmanager
def served_model(folder: Path) -> Iterator[Served]:
    """Serve the model of a folder for the time of a `with` block, on a free port, in threads of this process."""
    from transformers.cli.serve import Serve

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Serve(
        str(folder), host="127.0.0.1", port=port, device="cpu", dtype="float32", log_level="error", non_blocking=True
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", 120.0)
        yield Served(f"http://127.0.0.1:{port}/v1", str(folder))
    finally:
        server.kill_server()


def _wait_for(url: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=10).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
