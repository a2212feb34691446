"""The processor or GPU that trains and scores, with its memory and threads."""

import os

import torch
from torch import nn

from container_component_src.limits import free_cores, usable_cores
from container_component_src.steps.sizes import AvailableMemory

CPU = torch.device("cpu")
MOST_COPYING_THREADS = 8  # more of them wait for the memory
MULTIPLICATIONS_PER_THREAD = 35_000_000  # of one step; measured on two cores, see docs/results.md
TOLERATED_LOAD = 0.3  # cores that other processes may use before there is a thread less


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
