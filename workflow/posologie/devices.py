"""Which GPUs a job uses on a machine without a scheduler: each job claims its own, and frees them when it ends.

SLURM gives each job its devices. Without it, Snakemake counts GPU jobs (`resources: gpu:`) but tells them nothing, so
that they would all work on the first device. Here a job locks one file for each device that it takes, for as long as
its process lives; the kernel frees the lock with the process, however that ends. CUDA reads the choice from
CUDA_VISIBLE_DEVICES, which must be set before it starts.
"""

import fcntl
import logging
import os
import tempfile
import time
from pathlib import Path

from posologie import nvml

log = logging.getLogger(__name__)

_HELD: list[int] = []
"""Descriptors of the locks of this process: open until it ends."""

_LOOK = 2.0


def claim_devices(count: int, folder: Path | None = None) -> list[str]:
    """Take `count` devices that no other job on this machine has, and show them alone to CUDA.

    Nothing happens for a job without a GPU, inside a SLURM job, and on a machine with at most one device. Where
    CUDA_VISIBLE_DEVICES names some devices, only those are taken.

    Args:
        folder: of the lock files; all jobs of a machine must use the same.

    Returns:
        The devices taken; empty where nothing happened.
    """
    if count < 1 or "SLURM_JOB_ID" in os.environ or _HELD:
        return []
    usable = usable_devices()
    if len(usable) < max(2, count):
        return []
    folder = folder or Path(tempfile.gettempdir()) / "posologie-devices"
    folder.mkdir(parents=True, exist_ok=True)
    waited = False
    while True:
        taken: dict[str, int] = {}
        for device in usable:
            if len(taken) < count and (lock := _locked(folder / device.replace("/", "_"))) is not None:
                taken[device] = lock
        if len(taken) == count:
            break
        for lock in taken.values():
            os.close(lock)
        if not waited:
            log.info("%d of %d devices are free; waiting for %d", len(taken), len(usable), count)
        waited = True
        time.sleep(_LOOK)
    _HELD.extend(taken.values())
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
    log.info("working on GPU %s of this machine", " and ".join(taken))
    return list(taken)


def usable_devices() -> list[str]:
    """Return the devices that this process may use, by index or as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() and name.strip() != "-1"]
    return [str(number) for number in range(_installed())]


def _installed() -> int:
    """Return how many GPUs the driver knows, without starting CUDA."""
    with nvml.driver() as library:
        return 0 if library is None else int(library.nvmlDeviceGetCount())


def _locked(file: Path) -> int | None:
    """Lock a file and return its descriptor, or None if another process has it."""
    try:
        descriptor = os.open(file, os.O_RDWR)  # without O_CREAT: systems forbid that for another user's file
    except FileNotFoundError:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
