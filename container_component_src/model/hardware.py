"""How a training uses the processor or the GPU that it finds."""

import os
from dataclasses import dataclass
from typing import Literal

from container_component_src.limits import usable_cores
from container_component_src.model.vae import TimeStampVAE

MULTIPLICATIONS_PER_THREAD = 100_000_000  # of one step; measured on two cores, see benchmarks/README.md


@dataclass(frozen=True)
class Acceleration:
    """What PyTorch is told.

    Products of matrices may be rounded to TensorFloat-32, but nothing to bfloat16: its three digits round a
    reconstruction by as much as the quietest channels vary, and the likelihood suffers (see benchmarks/README.md).
    """

    matmul_precision: Literal["highest", "high"]  # of torch.set_float32_matmul_precision
    pin_memory: bool  # page-locked, so that the GPU fetches a block while it works on another

    @classmethod
    def on(cls, cuda: bool) -> "Acceleration":
        """The choice for a machine with or without a CUDA device."""
        return cls("high", pin_memory=True) if cuda else cls("highest", pin_memory=False)


def useful_threads(model: TimeStampVAE, batch_size: int) -> int:
    """Threads that a step of this size keeps busy, among the cores there are.

    Small steps gain little by more threads, which wait for each other: beside other busy processes they lose most of
    their speed.

    Args:
        model: The network.
        batch_size: Rows of a step in this process.
    """
    allowed = int(os.environ.get("OMP_NUM_THREADS", usable_cores()))  # whoever sets it has shared the cores out
    multiplications = batch_size * sum(weight.numel() for weight in model.parameters())
    return max(1, min(allowed, multiplications // MULTIPLICATIONS_PER_THREAD))
