import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from container_component_src.model import hardware
from container_component_src.model.hardware import (
    CPU,
    MOST_COPYING_THREADS,
    MULTIPLICATIONS_PER_THREAD,
    Threads,
    best_device,
    device_memory,
    free_memory,
    useful_threads,
)
from container_component_src.model.vae import TimeStampVAE
from container_component_src.steps.sizes import AvailableMemory


def test_gpu_trains_and_scores_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert best_device().type == "cuda"
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (5, 7))
    assert (free_memory(best_device()), free_memory(CPU)) == (5, 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert best_device() == CPU


def test_memory_is_that_of_the_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_memory() == AvailableMemory.of_machine()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=7))
    assert device_memory() == AvailableMemory(7, "the GPU")


def test_threads_depend_on_the_size_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    model = TimeStampVAE(10, 2, (8, 4))
    per_row = sum(weight.numel() for weight in model.parameters())
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert useful_threads(model, 1) == 1
    assert useful_threads(model, 2 * MULTIPLICATIONS_PER_THREAD // per_row + 1) == 2
    assert useful_threads(model, 100 * MULTIPLICATIONS_PER_THREAD // per_row) == 4
    assert useful_threads(model, 1, torch.device("meta")) == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    assert useful_threads(model, 1, torch.device("meta")) == MOST_COPYING_THREADS


@pytest.mark.parametrize(("given", "threads"), [("", 3), ("  ", 3), ("many", 3), ("2,4", 2), (" 2 ", 2)])
def test_threads_that_the_environment_allows(given: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "usable_cores", lambda: 3)
    monkeypatch.setattr(hardware, "free_cores", lambda: 8.0)
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert useful_threads(TimeStampVAE(10, 2, (8, 4)), 10**9) == threads


@pytest.mark.parametrize(("free", "threads"), [(0.0, 1), (0.9, 1), (1.4, 1), (1.8, 2), (2.5, 2), (3.9, 4), (60.0, 4)])
def test_threads_leave_busy_cores_to_others(free: float, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(hardware, "usable_cores", lambda: 4)
    monkeypatch.setattr(hardware, "free_cores", lambda: free)
    assert useful_threads(TimeStampVAE(10, 2, (8, 4)), 10**9) == threads
    assert useful_threads(TimeStampVAE(10, 2, (8, 4)), 1) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "3")  # for this process alone
    assert useful_threads(TimeStampVAE(10, 2, (8, 4)), 10**9) == 3


@pytest.fixture
def restored_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("restored_threads")
def test_threads_fall_at_once_and_rise_after_a_calm_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"seconds": 0.0, "useful": 3.0}
    monkeypatch.setattr(time, "monotonic", lambda: now["seconds"])
    monkeypatch.setattr(hardware, "useful_threads", lambda model, rows, device: int(now["useful"]))
    threads, numbers = Threads(TimeStampVAE(10, 2, (8, 4)), 1), []
    for seconds, useful in ((0.1, 1), (1, 3), (2, 1), (3, 2), *((second, 3) for second in range(4, 12))):
        now.update(seconds=seconds, useful=useful)
        threads.follow()
        numbers.append(torch.get_num_threads())
    assert numbers == [3, 3, *[1] * 6, 2, 3, 3, 3]
