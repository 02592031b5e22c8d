"""The driver's library: what is read from it, and that nothing is where there is no driver."""

import pynvml
import pytest

from posologie.records import runs
from posologie.running import commands


@pytest.fixture
def two_gpus(monkeypatch):
    """A driver with two GPUs, whose counters stand at 3 and 4 joules; the list says what was opened and closed."""
    lines = []
    made = {
        "nvmlInit": lambda: lines.append("init"),
        "nvmlShutdown": lambda: lines.append("shutdown"),
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetTotalEnergyConsumption": lambda handle: 3000 + 1000 * handle,
    }
    for name, value in made.items():
        monkeypatch.setattr(pynvml, name, value)
    return lines


@pytest.mark.parametrize(("visible", "joules"), [(None, 7.0), ("1", 4.0), ("", None)])
def test_energy_is_that_of_the_visible_devices(two_gpus, monkeypatch, visible, joules):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert runs._gpu_energy() == joules
    assert two_gpus == ["init", "shutdown"]


def test_a_device_without_a_counter_has_no_energy(two_gpus, monkeypatch):
    def without(handle):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", without)
    assert runs._gpu_energy() is None
    assert two_gpus == ["init", "shutdown"]


def test_without_a_driver_there_is_nothing(monkeypatch):
    def without():
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(pynvml, "nvmlInit", without)
    with commands.driver() as library:
        assert library is None
    assert commands.usable_devices() == []
    assert runs._gpu_energy() is None


def test_an_error_of_the_block_is_not_swallowed(two_gpus):
    with pytest.raises(ZeroDivisionError), commands.driver():
        raise ZeroDivisionError
    assert two_gpus == ["init", "shutdown"]
