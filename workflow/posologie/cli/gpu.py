"""What `posologie check --gpu` tries on a machine with GPUs, in about a minute; its output fits into a bug report."""

import fcntl
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from posologie.cli.all_reduce import check_all_reduce
from posologie.cli.checks import OK, PROBLEM, WARNING, Finding
from posologie.records.runs import versions
from posologie.running import commands

_LEAST_FREE = 0.9
_BF16_ERROR = 0.05
"""Largest relative error of a gradient in bfloat16, as a share of the float32 gradient's norm."""

_WHERE = "run this on a GPU machine; on a cluster, inside a job with a GPU"

_HIDDEN, _TOKENS = 256, 128
_PINNED_BYTES = 1 << 26


def findings() -> Iterator[tuple[str, Finding]]:
    """Yield what was found, in the order of a bug report; later checks need what earlier ones found."""
    yield "versions", Finding(OK, ", ".join(f"{name} {version}" for name, version in versions().items()))
    yield "versions", Finding(OK, f"CUDA of torch {torch.version.cuda}, {platform.platform()}")
    yield from (("driver", finding) for finding in driver())
    yield "locks", locks(Path.cwd())
    if not torch.cuda.is_available():
        yield "torch", Finding(PROBLEM, _no_gpu())
        return
    count = torch.cuda.device_count()
    for index in range(count):
        for name, check in _OF_ONE.items():
            yield f"{name}, GPU {index}", _tried(check, index)
    if count > 1:
        yield "NCCL", _tried(lambda _: Finding(*check_all_reduce(count, "nccl")), 0)


def _no_gpu() -> str:
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA and can use no GPU; install the build with CUDA"
    return f"torch sees no GPU; {_WHERE}"


def _tried(check: Callable[[int], Finding], index: int) -> Finding:
    """Return what a check found; an error of the driver or of torch is a finding too."""
    try:
        return check(index)
    except Exception as error:  # noqa: BLE001 - whatever a driver raises is what is looked for
        return Finding(PROBLEM, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def driver() -> Iterator[Finding]:
    """Look at the driver by itself: its version against torch's CUDA, energy counters, who else computes."""
    with commands.driver() as library:
        if library is None:
            yield Finding(PROBLEM, f"no NVIDIA driver answers (NVML); {_WHERE}")
            return
        version = library.nvmlSystemGetDriverVersion()
        most = library.nvmlSystemGetCudaDriverVersion()
        newest = (most // 1000, most % 1000 // 10)
        built = tuple(int(part) for part in (torch.version.cuda or "0.0").split(".")[:2])
        text = f"driver {version}, which runs CUDA up to {newest[0]}.{newest[1]}"
        if built[0] > newest[0]:
            yield Finding(
                PROBLEM, f"{text}; torch is built for {torch.version.cuda}: expected a newer driver or an older torch"
            )
        else:
            yield Finding(OK, text)
        for index in range(library.nvmlDeviceGetCount()):
            handle = library.nvmlDeviceGetHandleByIndex(index)
            try:
                library.nvmlDeviceGetTotalEnergyConsumption(handle)
            except library.NVMLError as error:
                yield Finding(WARNING, f"GPU {index}: no energy counter ({error}); run records will have no energy")
            others = [
                process
                for process in library.nvmlDeviceGetComputeRunningProcesses(handle)
                if process.pid != os.getpid()
            ]
            if others:
                yield Finding(WARNING, f"GPU {index}: {len(others)} other processes compute on it")


def locks(folder: Path) -> Finding:
    """Try whether files of a folder can be locked, as jobs do that keep what a served model has answered."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return Finding(
            WARNING, f"{folder}: files cannot be locked ({error.strerror}): no batches and no cached answers here"
        )
    return Finding(OK, "files of this folder can be locked")


def model(index: int) -> Finding:
    """Compare the GPU's architecture with those that torch is built for, and say what it is."""
    properties = torch.cuda.get_device_properties(index)
    own = (properties.major, properties.minor)
    built = [int(name.partition("_")[2]) for name in torch.cuda.get_arch_list() if name.partition("_")[2].isdigit()]
    text = f"{properties.name}, {properties.total_memory / 1e9:.0f} GB, compute capability {own[0]}.{own[1]}"
    if built and not any(architecture // 10 == own[0] and architecture % 10 <= own[1] for architecture in built):
        known = ", ".join(f"{architecture // 10}.{architecture % 10}" for architecture in built)
        return Finding(PROBLEM, f"{text}; torch is built for {known}: expected a build for this GPU")
    if own < (8, 0):
        return Finding(WARNING, f"{text}; no bfloat16 arithmetic: set precision to float32")
    return Finding(OK, text)


def memory(index: int) -> Finding:
    """Look at the memory that is free."""
    free, total = torch.cuda.mem_get_info(index)
    text = f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free"
    return Finding(OK if free >= _LEAST_FREE * total else WARNING, text)


def layer(index: int, device: str | None = None) -> Finding:
    """Compare one decoder layer's loss and gradients in bfloat16 on the device with float32 on the CPU."""
    import transformers  # the processes of `check_all_reduce` import this module too, and do without

    place = torch.device(device or f"cuda:{index}")
    torch.manual_seed(0)
    config = transformers.Qwen3Config(
        vocab_size=512, hidden_size=_HIDDEN, intermediate_size=2 * _HIDDEN, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, head_dim=64,
    )  # fmt: skip
    tokens = torch.randint(0, 512, (2, _TOKENS))
    exact = transformers.Qwen3ForCausalLM(config).float()
    rounded = transformers.Qwen3ForCausalLM(config).float()
    rounded.load_state_dict(exact.state_dict())
    losses = []
    for network, where, kind in ((exact, torch.device("cpu"), torch.float32), (rounded, place, torch.bfloat16)):
        network.to(device=where, dtype=kind)
        loss = network(input_ids=tokens.to(where), labels=tokens.to(where)).loss
        loss.backward()
        losses.append(float(loss.detach()))
    pairs = zip(exact.parameters(), rounded.parameters(), strict=True)
    errors = [float((b.grad.float().cpu() - a.grad).norm() / a.grad.norm()) for a, b in pairs if a.grad is not None]
    text = (
        f"bfloat16 against float32: loss {losses[1]:.4f} and {losses[0]:.4f}, largest gradient error {max(errors):.1%}"
    )
    return Finding(OK if max(errors) < _BF16_ERROR else PROBLEM, text)


def attention(index: int) -> Finding:
    """Say which attention kernel torch would take for a causal batch without padding."""
    shape = (1, 4, _TOKENS, 64)
    query, key, value = (torch.zeros(shape, dtype=torch.bfloat16, device=f"cuda:{index}") for _ in range(3))
    cuda = torch.backends.cuda
    parameters = cuda.SDPAParams(query, key, value, None, 0.0, True, False)
    usable = {
        "flash": cuda.can_use_flash_attention(parameters),
        "cuDNN": cuda.can_use_cudnn_attention(parameters),
        "memory-efficient": cuda.can_use_efficient_attention(parameters),
    }
    names = [name for name, can in usable.items() if can]
    if not names:
        return Finding(WARNING, "attention by plain matrix products only: long contexts will be slow and take memory")
    return Finding(OK, f"attention kernels: {', '.join(names)}")


def pinned(index: int, device: str | None = None) -> Finding:
    """Copy pinned memory to the GPU and back, and compare."""
    place = device or f"cuda:{index}"
    source = torch.arange(_PINNED_BYTES // 4, dtype=torch.int32)
    held = source if device == "cpu" else source.pin_memory()
    start = time.perf_counter()
    copied = held.to(place, non_blocking=True).to("cpu")
    seconds = time.perf_counter() - start
    if not torch.equal(copied, source):
        return Finding(PROBLEM, "a pinned copy came back with other bytes")
    return Finding(OK, f"pinned copies arrive whole, {2 * _PINNED_BYTES / seconds / 1e9:.1f} GB/s there and back")


_OF_ONE: dict[str, Callable[[int], Finding]] = {
    "model": model,
    "memory": memory,
    "layer": layer,
    "attention": attention,
    "pinned memory": pinned,
}
