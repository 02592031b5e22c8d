"""A server that lives as long as its job: started, waited for, watched, stopped.

What it writes goes to the job's own log. Its end is `posologie.running.keeper`'s business, however the job ends.
"""

import contextlib
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from posologie.running.errors import InputError

log = logging.getLogger(__name__)

_KEPT_LINES = 12
_LONGEST_LINE = 300
_LOOK = 0.1
_SAY = 30.0


class Server:
    """A running server; make one with `start`."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], secret: str) -> None:
        """Start a command.

        Args:
            name: what messages call it.
            environment: variables beside those of this process.
            secret: text that is never logged.
        """
        self.name, self._secret = name, secret
        self._last: deque[str] = deque(maxlen=_KEPT_LINES)
        keeper = Path(__file__).with_name("keeper.py")
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(keeper), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            encoding="utf-8",
            errors="replace",
        )
        self._reader = threading.Thread(target=self._pass_on, daemon=True)
        self._reader.start()

    def _pass_on(self) -> None:
        """Copy what the server writes to this job's log, without the secret."""
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        for line in self._process.stdout:
            text = line.rstrip().replace(self._secret, "(key)")
            if text:
                self._last.append(text[:_LONGEST_LINE])
                with contextlib.suppress(OSError, ValueError):
                    print(f"{self.name}: {text}", file=sys.stderr)

    def said(self) -> str:
        """Return the last lines that the server wrote, in one line."""
        return " | ".join(self._last) or "it wrote nothing"

    def lines(self) -> list[str]:
        """Return the last lines that the server wrote."""
        return list(self._last)

    def status(self) -> int | None:
        """Return the exit status of the server, or None while it runs."""
        status = self._process.poll()
        if status is not None:
            self._reader.join(2.0)
        return status

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until the server is ready.

        Raises:
            InputError: if it ended, or is not ready in time; with the last lines of its log.
        """
        started = reported = time.monotonic()
        while True:
            if (status := self.status()) is not None:
                raise InputError(
                    f"{self.name}: ended with status {status} before it was ready; its last lines: {self.said()}"
                )
            if ready():
                return
            now = time.monotonic()
            if now - started > seconds:
                self.stop()
                raise InputError(f"{self.name}: not ready after {seconds:g} s; its last lines: {self.said()}")
            if now - reported > _SAY:
                reported = now
                log.info("waiting for %s, %.0f s", self.name, now - started)
            time.sleep(_LOOK)

    def stop(self) -> None:
        """End the server and everything that it started, and wait until it is gone."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()
        self._reader.join(2.0)


def free_port() -> int:
    """Return a port of the loopback that is free now; another process may take it before it is used."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
