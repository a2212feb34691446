"""Training steps on a GPU that are launched as one."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Step = Callable[[Tensor], Tensor]  # from a batch [rows, channels] to a scalar
WARM_UP_STEPS = 3  # in which libraries allocate what they need, which a recording may not do


class RecordedSteps:
    """Steps that are recorded as CUDA graphs, one for each number of rows of a batch, and then replayed.

    A small step is a hundred kernels of a few microseconds each. Launching them one by one takes the processor several
    times as long as the GPU needs to run them; a graph of them is launched at once. What is computed stays the same.

    Args:
        step: A step. It must not wait for the GPU, and it finds all that changes between steps in tensors on the GPU.
        noise: Generator of random numbers that it draws, on the GPU.
    """

    def __init__(self, step: Step, noise: torch.Generator) -> None:
        self._step = step
        self._noise = noise
        self._stream = torch.cuda.Stream(noise.device)
        self._warm_ups: dict[int, int] = {}  # by number of rows
        self._recordings: dict[int, _Recording] = {}

    def __call__(self, batch: Tensor) -> Tensor:
        """Take a step and return its result."""
        rows = len(batch)
        if rows not in self._recordings and self._warm_ups.setdefault(rows, 0) == WARM_UP_STEPS:
            self._recordings[rows] = self._recorded(batch)
        if recording := self._recordings.get(rows):
            return recording.replay(batch)
        self._warm_ups[rows] += 1
        current = torch.cuda.current_stream(batch.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            result = self._step(batch)
        current.wait_stream(self._stream)
        return result

    def _recorded(self, batch: Tensor) -> "_Recording":
        """Record a step, which is not taken."""
        graph, rows = torch.cuda.CUDAGraph(), batch.clone()
        graph.register_generator_state(self._noise)
        # Other threads may allocate memory meanwhile.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            result = self._step(rows)
        return _Recording(graph, rows, result)


@dataclass(frozen=True)
class _Recording:
    """A recorded step with its input and its result, which every replay overwrites."""

    graph: torch.cuda.CUDAGraph
    batch: Tensor
    result: Tensor

    def replay(self, batch: Tensor) -> Tensor:
        self.batch.copy_(batch)
        self.graph.replay()
        return self.result.clone()
