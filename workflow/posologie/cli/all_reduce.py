"""Check that the GPUs of a machine can communicate: one process for each, which imports torch and nothing else."""

import multiprocessing
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

_NCCL_SECONDS = 60.0


def check_all_reduce(count: int, backend: str) -> tuple[str, str]:
    """Add numbers up between the GPUs of this machine, one process each, as a training on several GPUs does.

    Returns:
        `ok` or `problem`, and one line.
    """
    with tempfile.TemporaryDirectory() as folder:
        spawned = multiprocessing.get_context("spawn")
        start = time.perf_counter()
        processes = [
            spawned.Process(target=_add, args=(rank, count, backend, folder), daemon=True) for rank in range(count)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(max(0.1, _NCCL_SECONDS - (time.perf_counter() - start)))
        hung = [rank for rank, process in enumerate(processes) if process.is_alive()]
        for process in processes:
            process.kill()
        results = {rank: _read(Path(folder) / f"{rank}") for rank in range(count)}
        wrong = {rank: result for rank, result in results.items() if result != str(count * (count + 1) // 2)}
        seconds = time.perf_counter() - start
    if hung:
        return "problem", (f"{backend}: the processes of GPU {hung} did not end in {_NCCL_SECONDS:g} s")
    if wrong:
        return "problem", (f"{backend}: GPU {min(wrong)}: {wrong[min(wrong)][:300]}")
    return "ok", (f"{backend}: {count} GPUs summed, {seconds:.1f} s with the start of the processes")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else "it ended without a message"


def _add(rank: int, count: int, backend: str, folder: str) -> None:
    """Take part in a sum, and write it, or the error, into a file."""
    import torch.distributed as processes

    result: Any
    try:
        device = torch.device("cpu" if backend == "gloo" else f"cuda:{rank}")
        if device.type == "cuda":
            torch.cuda.set_device(device)
        meeting = f"file://{folder}/meeting"
        processes.init_process_group(
            backend, init_method=meeting, rank=rank, world_size=count, timeout=timedelta(seconds=_NCCL_SECONDS)
        )
        number = torch.full((1 << 16,), float(rank + 1), device=device)
        processes.all_reduce(number)
        result = int(number[-1].item())
        processes.destroy_process_group()
    except Exception as error:  # noqa: BLE001 - the parent reports it
        result = f"{type(error).__name__}: {' '.join(str(error).split())}"
    (Path(folder) / f"{rank}").write_text(str(result), encoding="utf-8")
