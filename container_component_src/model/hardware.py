"""The processor or GPU that trains and scores, with its memory and threads."""

import logging
import os
import time
from collections import deque
from functools import partial

import torch
from torch import nn

from container_component_src.limits import free_cores, usable_cores
from container_component_src.steps.sizes import AvailableMemory

CPU = torch.device("cpu")
MOST_COPYING_THREADS = 8  # more of them wait for the memory
MULTIPLICATIONS_PER_THREAD = 35_000_000  # of one step; measured on two cores, see docs/results.md
TOLERATED_LOAD = 0.3  # cores that other processes may use before there is a thread less
_LOOK_SECONDS = 0.5  # between two looks at the load, each of which takes 0.05 ms
_CALM_LOOKS = 6  # that must allow more threads, since one too many costs more than one too few

logger = logging.getLogger(__name__)


def best_device() -> torch.device:
    """Return the GPU if there is one, otherwise the CPU.

    Both compute in float32: shorter formats round more and are no faster with networks of this size, see
    docs/results.md.
    """
    return torch.device("cuda", 0) if torch.cuda.is_available() else CPU


def free_memory(device: torch.device) -> int:
    """Return the bytes that a device has free; 0 for the CPU, whose memory is no device's."""
    return 0 if device.type == "cpu" else torch.cuda.mem_get_info(device)[0]


def device_memory() -> AvailableMemory:
    """Return the memory of the GPU that a training would use, or of this machine."""
    if not torch.cuda.is_available():
        return AvailableMemory.of_machine()
    return AvailableMemory(torch.cuda.get_device_properties(0).total_memory, "the GPU")


def useful_threads(model: nn.Module, batch_size: int, device: torch.device = CPU) -> int:
    """Return the number of threads that a step gains from.

    Threads wait for each other within a step, so small steps gain little from more of them. One that shares its core
    with another process makes all of them wait. So there are at most as many as the cores that other processes leave
    free now, unless the environment names a number. Beside a GPU, threads only gather the rows that are copied to it.

    Args:
        model: The network.
        batch_size: Rows of a step in this process.
        device: What computes.
    """
    multiplications = batch_size * sum(weight.numel() for weight in model.parameters())
    most = MOST_COPYING_THREADS if device.type != "cpu" else multiplications // MULTIPLICATIONS_PER_THREAD
    # It is set if several processes share the cores; OpenMP also knows a list, a number for each level of nesting.
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if given.isdecimal():
        return max(1, min(most, int(given)))
    most = min(most, usable_cores())
    return min(most, max(1, int(free_cores() + TOLERATED_LOAD))) if most > 1 else 1


class Threads:
    """Threads of PyTorch for the steps of a network, whose number follows the load of the machine.

    Args:
        model: The network.
        batch_size: Rows of a step in this process.
        device: What computes.
    """

    def __init__(self, model: nn.Module, batch_size: int, device: torch.device = CPU) -> None:
        self._useful = partial(useful_threads, model, batch_size, device)
        self._looks = deque([self._useful()], maxlen=_CALM_LOOKS)
        self._last_look = time.monotonic()
        torch.set_num_threads(self._looks[0])

    def follow(self) -> None:
        """Set the number of threads again unless the last look at the load was just before."""
        if time.monotonic() < self._last_look + _LOOK_SECONDS:
            return
        self._looks.append(self._useful())
        self._last_look = time.monotonic()
        if (threads := min(self._looks)) != torch.get_num_threads():
            logger.info("threads: %d, by the cores that other processes leave free", threads)
            torch.set_num_threads(threads)
