"""Keeps a server for as long as the job that started it lives, and no longer.

    python -I keeper.py COMMAND…

The job holds the other end of this process's standard input. When the job ends in any way, `kill -9` included, the
kernel closes it, and everything that the command started is ended: processes that moved into sessions of their own or
lost their parent are found too, because orphans below this process become its children. If this process itself is
killed, the kernel kills the command. It is run by its path, so that it needs neither this package nor an environment.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

_DEATH_SIGNAL, _ADOPT_ORPHANS = 1, 36
"""PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER (prctl(2))."""

_LOOK = 0.05
_GRACE = 5.0


def main(command: list[str]) -> int:
    """Run the command until it ends or standard input does; return the status that the command ended with."""
    _prctl(_ADOPT_ORPHANS, 1)
    for ignored in (
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
    ):  # sent to the job's group: the job's end is what counts
        signal.signal(ignored, signal.SIG_IGN)
    try:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_die_with_the_keeper
        )
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", flush=True)
        return 127
    grace = _GRACE
    while child.poll() is None:
        if select.select([sys.stdin], [], [], _LOOK)[0]:  # nothing is ever written there: it has ended
            break
    else:
        grace = 0.0
    end(grace)
    status = child.poll()
    return 0 if status is None else status if status >= 0 else 128 - status


def end(grace: float) -> None:
    """End every process below this one: politely, and after so many seconds by force."""
    deadline = time.monotonic() + grace
    sent = signal.SIGTERM if grace else signal.SIGKILL
    while below := descendants(os.getpid()):
        for process in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, sent)
        time.sleep(_LOOK)
        if time.monotonic() > deadline:
            sent = signal.SIGKILL


def descendants(ancestor: int) -> list[int]:
    """Return the processes below one, dead ones left out."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                state, parent = (
                    (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[:2]
                )
                if state != "Z":
                    parents.setdefault(int(parent), []).append(int(folder.name))
    processes: list[int] = []
    waiting = [ancestor]
    while waiting:
        below = parents.get(waiting.pop(), [])
        processes += below
        waiting += below
    return processes


def _die_with_the_keeper() -> None:
    for restored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(restored, signal.SIG_DFL)
    _prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):  # no Linux: standard input alone has to do
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
