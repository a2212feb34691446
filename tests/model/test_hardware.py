from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from container_component_src.model import hardware
from container_component_src.model.datamodule import Regime, TelemetryDataModule, TensorSource
from container_component_src.model.hardware import (
    MULTIPLICATIONS_PER_THREAD,
    Acceleration,
    device_memory,
    useful_threads,
)
from container_component_src.model.vae import TimeStampVAE
from container_component_src.steps.sizes import AvailableMemory


def test_gpu_uses_pinned_memory_and_tensor_float_32() -> None:
    assert Acceleration.on(cuda=True) == Acceleration("high", pin_memory=True)
    assert Acceleration.on(cuda=False) == Acceleration("highest", pin_memory=False)


def test_memory_is_that_of_the_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_memory() == AvailableMemory.of_machine()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=7))
    assert device_memory() == AvailableMemory(7, "the GPU")


@pytest.mark.parametrize("pin_memory", [True, False])
def test_batches_are_pinned_on_request(pin_memory: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned: list[int] = []

    def pin(rows: Tensor) -> Tensor:  # the real one needs a GPU
        pinned.append(len(rows))
        return rows

    monkeypatch.setattr(Tensor, "pin_memory", pin)
    source = TensorSource(torch.zeros(50, 2))
    data = TelemetryDataModule(source, source, Regime(20, passes=1), 0, pin_memory)
    assert sum(len(batch) for block in data.train_dataloader() for batch in block) == 50
    assert sum(len(rows) for rows in data.val_dataloader()) == 50
    assert sum(pinned) == (100 if pin_memory else 0)


def test_threads_depend_on_the_size_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    model = TimeStampVAE(10, 2, (8, 4))
    per_row = sum(weight.numel() for weight in model.parameters())
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert useful_threads(model, 1) == 1
    assert useful_threads(model, 2 * MULTIPLICATIONS_PER_THREAD // per_row + 1) == 2
    assert useful_threads(model, 100 * MULTIPLICATIONS_PER_THREAD // per_row) == 4


@pytest.mark.parametrize(("given", "threads"), [("", 3), ("  ", 3), ("many", 3), ("2,4", 2), (" 2 ", 2)])
def test_threads_that_the_environment_allows(given: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "usable_cores", lambda: 3)
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert useful_threads(TimeStampVAE(10, 2, (8, 4)), 10**9) == threads
