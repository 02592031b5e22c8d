"""`posologie check --gpu` on a machine without GPU: with a fake driver, and with the CPU in the place of the GPU."""

import contextlib
import re
from types import SimpleNamespace

import pytest
import torch

from posologie.cli import all_reduce, gpu

GB = 10**9


class FakeDriver:
    """NVML of a machine with two GPUs, the second of which is used by another process and has no counter."""

    class NVMLError(Exception):
        """As NVML raises."""

    def __init__(self, most=12080):
        self.most = most

    def nvmlSystemGetDriverVersion(self):
        return "570.1"

    def nvmlSystemGetCudaDriverVersion(self):
        return self.most

    def nvmlDeviceGetCount(self):
        return 2

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        if handle == 1:
            raise self.NVMLError("Not Supported")
        return 5

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        return [SimpleNamespace(pid=1)] if handle == 1 else []


def with_driver(monkeypatch, fake):
    monkeypatch.setattr(gpu.commands, "driver", lambda: contextlib.nullcontext(fake))


def with_gpus(monkeypatch, count=1, free=79, capability=(9, 0), built=("sm_80", "sm_90")):
    properties = SimpleNamespace(name="H100", total_memory=80 * GB, major=capability[0], minor=capability[1])
    for name, value in {
        "is_available": True,
        "device_count": count,
        "get_device_properties": properties,
        "mem_get_info": (free * GB, 80 * GB),
        "get_arch_list": list(built),
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)


def test_a_driver_tells_its_version_and_what_will_be_missing(monkeypatch):
    with_driver(monkeypatch, FakeDriver())
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    states = [(finding.state, finding.text) for finding in gpu.driver()]
    assert states[0] == ("ok", "driver 570.1, which runs CUDA up to 12.8")
    assert states[1][0] == states[2][0] == "warning"
    assert "GPU 1: no energy counter (Not Supported)" in states[1][1]
    assert states[2][1] == "GPU 1: 1 other processes compute on it"


def test_a_driver_that_is_too_old_for_torch_is_a_problem(monkeypatch):
    with_driver(monkeypatch, FakeDriver(most=11080))
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    first = next(gpu.driver())
    assert (first.state, "torch is built for 12.8: expected a newer driver" in first.text) == ("problem", True)


def test_a_machine_without_driver_or_gpu_says_so_and_stops(monkeypatch):
    with_driver(monkeypatch, None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    findings = list(gpu.findings())
    assert [(name, finding.state) for name, finding in findings[2:]] == [
        ("driver", "problem"),
        ("locks", "ok"),
        ("torch", "problem"),
    ]
    assert "torch " in findings[0][1].text
    assert "inside a job with a GPU" in findings[2][1].text


@pytest.mark.parametrize(
    ("cuda", "sentence"), [(None, "is built without CUDA"), ("12.8", "torch sees no GPU; run this on")]
)
def test_a_build_without_cuda_and_a_machine_without_a_gpu_have_different_messages(monkeypatch, cuda, sentence):
    with_driver(monkeypatch, None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    assert sentence in list(gpu.findings())[-1][1].text


@pytest.mark.parametrize(
    ("capability", "built", "state", "sentence"),
    [
        ((9, 0), ("sm_80", "sm_90"), "ok", "H100, 80 GB, compute capability 9.0"),
        ((8, 9), ("sm_80", "sm_90"), "ok", "8.9"),
        ((12, 0), ("sm_80", "sm_90"), "problem", "torch is built for 8.0, 9.0"),
        ((7, 5), ("sm_70", "sm_80"), "warning", "no bfloat16 arithmetic"),
    ],
)
def test_a_gpu_is_held_against_the_builds_of_torch(monkeypatch, capability, built, state, sentence):
    with_gpus(monkeypatch, capability=capability, built=built)
    finding = gpu.model(0)
    assert finding.state == state
    assert sentence in finding.text


def test_a_folder_without_locks_is_a_warning(monkeypatch, tmp_path):
    def refused(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(gpu.fcntl, "flock", refused)
    finding = gpu.locks(tmp_path)
    assert finding.state == "warning"
    assert "Operation not supported" in finding.text


@pytest.mark.parametrize(("free", "state"), [(79, "ok"), (40, "warning")])
def test_memory_that_others_hold_is_a_warning(monkeypatch, free, state):
    with_gpus(monkeypatch, free=free)
    assert gpu.memory(0) == gpu.Finding(state, f"{free}.0 of 80.0 GB free")


def test_a_layer_in_bfloat16_is_near_one_in_float32_and_one_beyond_the_bound_is_a_problem(monkeypatch):
    bound = gpu._BF16_ERROR
    monkeypatch.setattr(gpu, "_BF16_ERROR", 1e-4)
    finding = gpu.layer(0, "cpu")
    assert finding.state == "problem"
    error = float(re.search(r"largest gradient error ([\d.]+)%", finding.text)[1]) / 100
    assert 1e-4 < error < bound


def test_copies_are_compared(monkeypatch):
    monkeypatch.setattr(gpu, "_PINNED_BYTES", 1 << 16)
    assert gpu.pinned(0, "cpu").state == "ok"
    monkeypatch.setattr(torch, "equal", lambda *_: False)
    assert gpu.pinned(0, "cpu").state == "problem"


def test_processes_add_up_what_they_have():
    state, sentence = all_reduce.check_all_reduce(2, "gloo")
    assert state == "ok", sentence
    assert "2 GPUs summed" in sentence


def test_an_error_of_one_process_is_what_it_writes(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("NCCL error:\nunhandled system error")

    monkeypatch.setattr(torch.distributed, "init_process_group", broken)
    all_reduce._add(0, 1, "gloo", str(tmp_path))
    assert all_reduce._read(tmp_path / "0") == "RuntimeError: NCCL error: unhandled system error"
    assert all_reduce._read(tmp_path / "1") == "it ended without a message"


def test_an_error_of_a_check_is_a_finding_and_the_rest_goes_on(monkeypatch):
    with_driver(monkeypatch, FakeDriver())
    with_gpus(monkeypatch)

    def broken(index):
        raise RuntimeError("CUDA error: an illegal memory access")

    monkeypatch.setattr(gpu, "_OF_ONE", {"layer": broken, "memory": gpu.memory})
    findings = dict(gpu.findings())
    assert findings["layer, GPU 0"].text == "RuntimeError: CUDA error: an illegal memory access"
    assert findings["memory, GPU 0"].state == "ok"
