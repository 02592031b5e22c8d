"""The processes that train one adapter together, one per device; with a single one, nothing is started or exchanged."""

import datetime
import os
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed

MEETING = "POSOLOGIE_MEETING"
"""Environment variable with `host:port` of the launcher's store, where processes meet; torchrun's own without it."""

PATIENCE_MINUTES = 180
"""How long a process waits for another by default: the first one checks large models and tokenises in the meantime."""


class Group:
    """This process among those that train together, as torchrun's environment variables describe them."""

    def __init__(self, patience_minutes: float = PATIENCE_MINUTES) -> None:
        """Join the group of RANK and WORLD_SIZE (NCCL on GPUs, else gloo); without them, be alone.

        Args:
            patience_minutes: how long an exchange may take before the training fails.
        """
        self.rank = int(os.environ.get("RANK", "0"))
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.device = torch.device("cpu")
        if torch.cuda.is_available():
            self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
            torch.cuda.set_device(self.device)
        if self.size > 1:
            patience = datetime.timedelta(minutes=patience_minutes)
            meeting: dict[str, Any] = {"init_method": "env://"}
            if MEETING in os.environ:
                host, _, port = os.environ[MEETING].rpartition(":")
                meeting = {"store": torch.distributed.TCPStore(host, int(port), is_master=False, timeout=patience)}
            torch.distributed.init_process_group(
                "nccl" if self.device.type == "cuda" else "gloo",
                rank=self.rank,
                world_size=self.size,
                timeout=patience,
                **meeting,
            )

    @property
    def leads(self) -> bool:
        """Whether this process writes files and log lines."""
        return self.rank == 0

    def sum_in_place(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replace each tensor (all of one type) by its sum over the processes, in one exchange."""
        if self.size == 1:
            return
        tensors = list(tensors)
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        torch.distributed.all_reduce(flat)
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))

    def any(self, flag: bool) -> bool:
        """Return whether the flag is true in any process."""
        if self.size == 1:
            return flag
        shared = torch.tensor([int(flag)], device=self.device)
        torch.distributed.all_reduce(shared)
        return bool(shared.item())

    def gathered(self, value: Any) -> list[Any]:
        """Return every process's value, in the order of their ranks."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(values, value)
        return values

    def leave(self) -> None:
        """End the exchange."""
        if self.size > 1:
            torch.distributed.destroy_process_group()
