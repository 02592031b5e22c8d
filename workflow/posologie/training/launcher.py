"""Starts the processes that train one adapter together, and ends as they end.

torchrun would do as well (its environment variables are what `processes.Group` reads), but it turns every exit status
into 1 and dies of SIGUSR1; here a request to stop reaches the processes, and bad input, an interruption and a bug stay
three different statuses.

On several nodes of a SLURM job, the launcher of the first one keeps the store where all processes meet and lets srun
start a launcher on each node, which starts the node's processes.
"""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

import torch.distributed

from posologie.running.errors import InputError
from posologie.training.processes import MEETING
from posologie.training.reporting import LAUNCHER

log = logging.getLogger(__name__)

GRACE_SECONDS = 30.0
"""How long the others may go on after one process has failed."""


def open_store(host: str) -> tuple[torch.distributed.TCPStore, str]:
    """Return a store on a free port, and `host:port`; it serves for as long as it is held.

    Args:
        host: the address that other processes use; on the loopback address nobody else can reach it.
    """
    listener = socket.create_server((host, 0))
    port = int(listener.getsockname()[1])
    store = torch.distributed.TCPStore(
        host, port, is_master=True, wait_for_workers=False, master_listen_fd=listener.detach()
    )
    return store, f"{host}:{port}"


def launch(argv: Sequence[str], count: int, nodes: int = 1) -> int:
    """Run the command in `count` processes on each node and return the exit status of the first to fail, or 0.

    Raises:
        InputError: for several nodes outside of a SLURM job.
    """
    command = [sys.executable, "-m", "posologie.training", *argv]
    if MEETING in os.environ:  # on a node of several
        return _run([(command, environment) for environment in _ranks(count, nodes, os.environ[MEETING])])
    if nodes == 1:
        _store, meeting = open_store("127.0.0.1")
        return _run([(command, environment) for environment in _ranks(count, 1, meeting)])
    if "SLURM_JOB_ID" not in os.environ:
        raise InputError(
            f"devices.nodes_per_training_job = {nodes}: expected a SLURM job, whose srun starts a process on each node"
        )
    _store, meeting = open_store(socket.gethostbyname(socket.gethostname()))
    spread = [
        "srun",
        "--overlap",
        f"--nodes={nodes}",
        f"--ntasks={nodes}",
        "--ntasks-per-node=1",
        "--kill-on-bad-exit=0",
    ]
    return _run([([*spread, *command], {MEETING: meeting})])


def _ranks(count: int, nodes: int, meeting: str) -> list[dict[str, str]]:
    """Return what the environment says to each process of this node, in torchrun's words."""
    node = int(os.environ.get("SLURM_NODEID", "0")) if nodes > 1 else 0
    return [
        {
            "RANK": str(node * count + rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(nodes * count),
            MEETING: meeting,
            LAUNCHER: str(os.getpid()),
        }
        for rank in range(count)
    ]


def _run(commands: Sequence[tuple[list[str], dict[str, str]]]) -> int:
    """Run commands side by side, hand signals on to them, and leave none behind."""
    children = [subprocess.Popen(command, env={**os.environ, **environment}) for command, environment in commands]

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
