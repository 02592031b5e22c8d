"""A request to stop: the batch system's signal before a time limit, or a person's."""

import logging
import os
import signal
from types import FrameType

log = logging.getLogger(__name__)

EXIT_STATUS = 75
"""`EX_TEMPFAIL` of sysexits.h: the job failed, and a retry goes on where it stopped."""


class InterruptionError(Exception):
    """Training stopped on request, with a checkpoint."""


LAUNCHER = "POSOLOGIE_LAUNCHER"
"""Environment variable with the process id of the launcher, where there is one."""


class StopRequest:
    """Becomes true at the first SIGTERM, SIGUSR1 or SIGINT; a second SIGINT acts as usual.

    It is true, too, once the launcher of this process is gone: killed, it cannot stop what it has started.
    """

    def __init__(self) -> None:
        self._received = False
        launcher = os.environ.get(LAUNCHER)
        self._launcher = int(launcher) if launcher is not None else None

    @property
    def requested(self) -> bool:
        """Whether training is to stop."""
        return self._received or (self._launcher is not None and os.getppid() != self._launcher)

    def listen(self) -> None:
        """Install the signal handlers; only the main thread may."""
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        log.info("%s: stopping after a checkpoint", signal.Signals(number).name)
        self._received = True
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)
