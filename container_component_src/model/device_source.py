"""Training rows on a GPU: in its memory, or copied there block by block."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from container_component_src.ahead import ahead
from container_component_src.model.datamodule import Block, RowSource, Shard, TensorSource
from container_component_src.model.device_copies import BLOCKS_AHEAD, copied_ahead
from container_component_src.model.device_windows import windows_at
from container_component_src.model.frames import read_frame
from container_component_src.model.windows import Windowing
from container_component_src.telemetry.dataset import Dataset

_FLOAT_BYTES, _INDEX_BYTES = 4, 8


@dataclass(frozen=True)
class DeviceSource:
    """Rows on a device, which puts together the windows of a batch by itself.

    So the memory of a row does not grow with the time steps of a window. The windows and their order are those of
    `TensorSource` with the values of `load_values`.

    Attributes:
        values: Rows in order of time, float32 [rows, channels].
        starts: Position of the first row that each window may have, int64 [rows], on the device.
        places: Positions of the rows in the random order of `load_values`, int64 [rows], on the CPU.
        steps: Rows of a window.
    """

    values: Tensor
    starts: Tensor
    places: TensorSource
    steps: int

    @classmethod
    def load(cls, dataset: Dataset, seed: int, windowing: Windowing, device: torch.device) -> "DeviceSource":
        """Read a dataset, partition by partition.

        Raises:
            InputError: A value is missing or infinite; the message names its channel and partition.
        """
        rows = dataset.manifest.rows
        values = torch.empty((rows, len(dataset.channels)), device=device)
        starts = torch.empty(rows, dtype=torch.int64, device=device)
        first = 0
        for frame in ahead((read_frame(dataset, part) for part in dataset.manifest.partitions), BLOCKS_AHEAD):
            place = slice(first, first + len(frame))
            values[place] = torch.from_numpy(np.ascontiguousarray(frame.values)).to(device)
            starts[place] = torch.from_numpy(windowing.starts(frame.timestamps)).to(device) + first
            first += len(frame)
        places = np.argsort(np.random.default_rng(seed).permutation(rows))
        order = TensorSource(torch.from_numpy(places).unsqueeze(1), for_gpu=device.type == "cuda")
        return cls(values, starts, order, windowing.steps)

    @staticmethod
    def size(dataset: Dataset) -> int:
        """Return the bytes that the rows of a dataset take on a device."""
        return dataset.manifest.rows * (_FLOAT_BYTES * len(dataset.channels) + _INDEX_BYTES)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.values)

    def shuffled(self, batch_size: int, seed: int, epoch: int, shard: Shard) -> Iterator[Block]:
        """Yield batches of at most `batch_size` rows, see `RowSource`."""
        for block in self.places.shuffled(batch_size, seed, epoch, shard):
            windows = self._windows(torch.cat(block))
            yield list(windows.split([len(places) for places in block]))

    def ordered(self, shard: Shard) -> Iterator[Tensor]:
        """Yield every `world_size`-th block of rows."""
        yield from map(self._windows, self.places.ordered(shard))

    def _windows(self, rows: Tensor) -> Tensor:
        """Return the windows of rows at positions [rows, 1] on the CPU: [rows, steps * channels] on the device."""
        positions = rows[:, 0].to(self.values.device, non_blocking=True)
        return windows_at(self.values, self.starts[positions], positions, self.steps)


@dataclass(frozen=True)
class CopiedSource:
    """Rows of another source, copied to a GPU while it works on those before them.

    Attributes:
        source: The rows, on the CPU.
        device: The GPU.
    """

    source: RowSource
    device: torch.device

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.source.rows

    def shuffled(self, batch_size: int, seed: int, epoch: int, shard: Shard) -> Iterator[Block]:
        """Yield the blocks of the source."""
        return copied_ahead(self.source.shuffled(batch_size, seed, epoch, shard), self.device)

    def ordered(self, shard: Shard) -> Iterator[Tensor]:
        """Yield the rows of the source."""
        for block in copied_ahead(([rows] for rows in self.source.ordered(shard)), self.device):
            yield from block
