"""The run record beside each adapter, predictions and judgements file: what made it, from what, in how long."""

import importlib.metadata
import os
import platform
import resource
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from posologie.records.files import sha256_of_file, write_json
from posologie.records.specs import Spec
from posologie.running import commands
from posologie.running.code_digest import code_name, digest

LIBRARIES = (
    "posologie",
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "tokenizers",
    "safetensors",
    "numpy",
    "pyarrow",
)


class Run:
    """A run under way: started when made, written when its artifact is whole."""

    def __init__(self, stage: str, spec: Spec, inputs: Mapping[str, str | os.PathLike[str]]) -> None:
        """Start the clock, and hash the inputs (name → file) and the code as it is now."""
        self.stage = stage
        self.spec = spec
        self.started = datetime.now(UTC)
        self.clock = time.perf_counter()
        self.inputs = {name: {"file": str(path), "sha256": sha256_of_file(path)} for name, path in inputs.items()}
        self.code = digest(_module(stage))
        self.energy_at_start = _gpu_energy()

    def energy(self) -> float | None:
        """Return what the visible GPUs have used since the start in joules, or None where it cannot be read."""
        now = _gpu_energy()
        return None if now is None or self.energy_at_start is None else now - self.energy_at_start

    def write(self, path: str | os.PathLike[str], **facts: Any) -> None:
        """Write `run.json`: the spec, hashes, code, versions, hardware, seconds, memory, energy, the stage's facts.

        Args:
            facts: what the stage counted (tokens, items, chat-template hash …), as JSON values.
        """
        record = {
            "stage": self.stage,
            "spec": self.spec.model_dump(mode="json"),
            "inputs": self.inputs,
            "code": self.code,
            "libraries": versions(),
            "hardware": hardware(),
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - self.clock, 3),
            "peak_memory_bytes": peak_memory(),
            "gpu_energy_joules": self.energy(),
            **facts,
        }
        write_json(Path(path), record)


def _module(stage: str) -> str:
    """Return the name of the code that was run; the stage's package where it was called from elsewhere."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    name = "" if spec is None else spec.name.removesuffix(".__main__")
    return code_name(name, sys.argv) if name.startswith("posologie.") else f"posologie.{stage}"


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that a number can depend on, where installed."""
    installed = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def hardware() -> dict[str, Any]:
    """Return the machine's kind: processor architecture, CPU count that this process may use, GPU names and memory."""
    facts: dict[str, Any] = {"machine": platform.machine(), "cpus": len(os.sched_getaffinity(0)), "gpus": []}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            facts["gpus"].append({"name": properties.name, "memory_bytes": properties.total_memory})
    return facts


def peak_memory() -> dict[str, int | None]:
    """Return the peak memory of this process, and of its GPUs together where torch uses them, in bytes."""
    torch = sys.modules.get("torch")
    gpu = None
    if torch is not None and torch.cuda.is_available():
        gpu = sum(torch.cuda.max_memory_allocated(index) for index in range(torch.cuda.device_count()))
    return {"process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "gpu": gpu}


def _visible_gpus(library: Any) -> list[Any]:
    """Return NVML handles of the devices that this process may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [library.nvmlDeviceGetHandleByIndex(index) for index in range(library.nvmlDeviceGetCount())]
    handles = []
    for name in filter(None, visible.split(",")):
        if name.isdigit():
            handles.append(library.nvmlDeviceGetHandleByIndex(int(name)))
        else:
            handles.append(library.nvmlDeviceGetHandleByUUID(name))
    return handles


def _gpu_energy() -> float | None:
    """Return the energy counters of the visible GPUs in joules, or None where they cannot be read."""
    with commands.driver() as library:
        if library is None:
            return None
        try:
            counters = [library.nvmlDeviceGetTotalEnergyConsumption(handle) for handle in _visible_gpus(library)]
        except library.NVMLError:  # older devices have no counter
            return None
    return float(sum(counters)) / 1000 if counters else None
