"""Starts the processes that train one adapter together, and ends as they end.

torchrun would do as well (its environment variables are what `processes.Group` reads), but it turns every exit status
into 1 and dies of SIGUSR1; here a request to stop reaches the processes, and bad input, an interruption and a bug stay
three different statuses.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from posologie.training.interruption import LAUNCHER

log = logging.getLogger(__name__)

GRACE_SECONDS = 30.0
"""How long the others may go on after one process has failed."""


def launch(argv: list[str], count: int, work: Path) -> int:
    """Run the command in `count` processes and return the exit status of the first to fail, or 0."""
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        meeting = f"file://{Path(folder).resolve()}/meeting"
        children = [
            subprocess.Popen(
                [sys.executable, "-m", "posologie.training", *argv],
                env={
                    **os.environ,
                    "RANK": str(rank),
                    "LOCAL_RANK": str(rank),
                    "WORLD_SIZE": str(count),
                    "POSOLOGIE_MEETING": meeting,
                    LAUNCHER: str(os.getpid()),
                },
            )
            for rank in range(count)
        ]

        def forward(number: int, frame: FrameType | None) -> None:
            for child in children:
                with contextlib.suppress(ProcessLookupError):
                    child.send_signal(number)

        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            signal.signal(number, forward)
        try:
            return _first_failure(children)
        finally:
            for child in children:
                if child.poll() is None:
                    child.kill()
                child.wait()


def _first_failure(children: list[subprocess.Popen[bytes]]) -> int:
    """Wait for all; once one has failed, for no longer than the grace. Return its status, or 0."""
    failed: int | None = None
    deadline = float("inf")
    while any(child.poll() is None for child in children) and time.monotonic() < deadline:
        time.sleep(0.1)
        statuses = [child.poll() for child in children]
        if failed is None and any(statuses):
            failed = next(status for status in statuses if status)
            deadline = time.monotonic() + GRACE_SECONDS
            log.info("a process ended with status %d; waiting for the others", failed)
    statuses = [child.poll() for child in children]
    failed = failed or next((status for status in statuses if status), 0)
    return failed if failed >= 0 else 128 - failed
