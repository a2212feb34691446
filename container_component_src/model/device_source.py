"""Training rows on a GPU: in its memory, or copied there block by block."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from container_component_src.arrays import Float32Array, Timestamps
from container_component_src.model.ahead import BLOCKS_AHEAD, ahead, copied_ahead
from container_component_src.model.datamodule import Block, RowSource, Shard, TensorSource, read_frame
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


def windows_at(values: Tensor, starts: Tensor, positions: Tensor, steps: int) -> Tensor:
    """Return the windows of some rows, as `Windowing.of` does it: [rows, steps * channels].

    Args:
        values: Shape [all rows, channels].
        starts: Position of the first row that the window of each row may have, [rows].
        positions: Positions of the rows, [rows].
        steps: Rows of a window.
    """
    if steps == 1:
        return values[positions]
    lags = torch.arange(steps - 1, -1, -1, device=values.device)
    window_rows = torch.maximum(positions.unsqueeze(1) - lags, starts.unsqueeze(1))
    return values[window_rows].flatten(1)


def device_windows(
    windowing: Windowing, values: Float32Array, timestamps: Timestamps | None, columns: Tensor, batch_rows: int
) -> Iterator[Tensor]:
    """Yield the windows of consecutive batches of rows, as `Windowing.batches` does it, on the device of `columns`.

    The rows are copied there, and not their windows, which are several times as large.

    Args:
        windowing: Conversion of rows to windows.
        values: Shape [rows, channels].
        timestamps: Shape [rows]; None: each row is treated as the first one after a gap.
        columns: Channels of the windows, int64 [channels of a window].
        batch_rows: Maximum number of rows of a batch.
    """
    starts = np.arange(len(values)) if timestamps is None else windowing.starts(timestamps)
    for first in range(0, len(values), batch_rows):
        before = min(first, windowing.steps - 1)  # rows that the first window also has
        piece = slice(first - before, first + batch_rows)
        rows = torch.from_numpy(np.ascontiguousarray(values[piece])).to(columns.device)
        piece_starts = torch.from_numpy(starts[piece] - piece.start).to(columns.device)
        positions = torch.arange(before, len(rows), device=columns.device)
        yield windows_at(rows.index_select(1, columns), piece_starts[positions], positions, windowing.steps)
