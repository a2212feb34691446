"""Settings of PyTorch for the processor or GPU of a training."""

import os
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from container_component_src.limits import usable_cores
from container_component_src.steps.sizes import AvailableMemory

CPU = torch.device("cpu")
MOST_COPYING_THREADS = 8  # more of them wait for the memory
MULTIPLICATIONS_PER_THREAD = 100_000_000  # of one step; measured on two cores, see docs/results.md


@dataclass(frozen=True)
class Acceleration:
    """Settings of PyTorch.

    Matrix products may be rounded to TensorFloat-32, but not to bfloat16: its three digits round a reconstruction by as
    much as the quietest channels vary, which worsens the likelihood (see docs/results.md).
    """

    device: torch.device
    matmul_precision: Literal["highest", "high"]  # argument of torch.set_float32_matmul_precision

    @classmethod
    def on(cls, cuda: bool) -> "Acceleration":
        """Return the settings for a machine with or without a CUDA device."""
        return cls(torch.device("cuda", 0), "high") if cuda else cls(CPU, "highest")


def best_device() -> torch.device:
    """Return the GPU if there is one, otherwise the CPU."""
    return Acceleration.on(cuda=torch.cuda.is_available()).device


def free_memory(device: torch.device) -> int:
    """Return the bytes that a device has free; 0 for the CPU, whose memory is no device's."""
    return 0 if device.type == "cpu" else torch.cuda.mem_get_info(device)[0]


def device_memory() -> AvailableMemory:
    """Return the memory of the GPU that a training would use, or of this machine."""
    if not torch.cuda.is_available():
        return AvailableMemory.of_machine()
    return AvailableMemory(torch.cuda.get_device_properties(0).total_memory, "the GPU")


def useful_threads(model: nn.Module, batch_size: int, device: torch.device = CPU) -> int:
    """Return the number of threads that an optimisation step can use, at most that of the usable cores.

    Small steps gain little from more threads, which wait for each other. While other processes are busy, such threads
    make small steps much slower. Beside a GPU, threads only put together the rows that are copied to it.

    Args:
        model: The network.
        batch_size: Rows of a step in this process.
        device: What trains.
    """
    # It is set if several processes share the cores; OpenMP also knows a list, a number for each level of nesting.
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    allowed = int(given) if given.isdecimal() else usable_cores()
    if device.type != "cpu":
        return min(allowed, MOST_COPYING_THREADS)
    multiplications = batch_size * sum(weight.numel() for weight in model.parameters())
    return max(1, min(allowed, multiplications // MULTIPLICATIONS_PER_THREAD))
