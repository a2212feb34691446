"""Feeds the training with blocks of rows: no worker processes, no Python call per row."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from container_component_src.arrays import Float32Array
from container_component_src.errors import InputError
from container_component_src.model.windows import Windowing
from container_component_src.telemetry.dataset import Dataset, Frame, Partition

BLOCK_ROWS = 16_384  # rows gathered at once: enough to make the call cheap, few enough for the processor's cache
# Neighbours in memory that stay together: rows gathered one by one take half as long again, see benchmarks/README.md.
GROUP_ROWS = 8
_LEAST_GROUPS = 1_000  # of a process; fewer rows are gathered one by one
_NO_WINDOWS = Windowing()

Block = list[Tensor]  # batches, each float32 [rows, channels]
T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """Which part of every batch a process of a distributed run takes."""

    rank: int = 0
    world_size: int = 1


class RowSource(Protocol):
    """Where the rows of a dataset come from."""

    def shuffled(self, batch_size: int, seed: int, epoch: int, share: Share) -> Iterator[Block]:
        """All rows once, in an order of the seed and the epoch; equally many batches for every process.

        In a distributed run a block holds one batch: gradients are averaged over the processes once per block.
        """

    def ordered(self, share: Share) -> Iterator[Tensor]:
        """The process's part of all rows, in order, as blocks of shape [rows, channels]."""


@dataclass(frozen=True)
class TensorSource:
    """Rows in one contiguous tensor, float32 [rows, channels], in random order (`load_values`).

    An epoch draws small groups of neighbours: which rows these are was left to chance when the rows were loaded.
    """

    values: Tensor

    def shuffled(self, batch_size: int, seed: int, epoch: int, share: Share) -> Iterator[Block]:
        """Batches of at most `batch_size` rows, equal to within a row; each process draws groups of its own."""
        rows, channels = self.values.shape
        size = GROUP_ROWS if rows >= GROUP_ROWS * _LEAST_GROUPS * share.world_size else 1
        groups = self.values[: rows - rows % size].view(-1, size * channels)
        order = torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(len(groups)))
        drawn = order[share.rank :: share.world_size]
        rest = self.values[rows - rows % size :] if share.rank == 0 else self.values[:0]
        position = 0
        for sizes in block_sizes(len(drawn) * size + len(rest), rows, batch_size, share):
            end, first = position + sum(sizes), min(position // size, len(drawn))
            block = groups.index_select(0, drawn[first : -(-end // size)]).view(-1, channels)
            if end > len(drawn) * size:
                block = torch.cat([block, rest])
            block = block[position - first * size :][: end - position]
            yield list(block.split(sizes))
            position = end

    def ordered(self, share: Share) -> Iterator[Tensor]:
        """Every world_size-th block of rows."""
        yield from self.values.split(BLOCK_ROWS)[share.rank :: share.world_size]


def block_sizes(rows: int, all_rows: int, batch_size: int, share: Share) -> list[list[int]]:
    """Rows of the batches of an epoch, block by block.

    Args:
        rows: That this process has.
        all_rows: That all processes have together; they take the same number of batches, ceil(all_rows / batch_size).
        batch_size: Rows of one optimiser step, over all processes.
        share: The part of this process.

    Returns:
        Numbers that sum to `rows` and differ by at most one.
    """
    batches = -(-all_rows // batch_size)
    sizes = [rows // batches + (index < rows % batches) for index in range(batches)]
    at_once = 1 if share.world_size > 1 else max(1, BLOCK_ROWS // batch_size)
    return [sizes[first : first + at_once] for first in range(0, batches, at_once)]


class TelemetryDataModule(LightningDataModule):
    """Training and validation rows for Lightning.

    Args:
        train: Rows to learn from.
        val: Rows that tell when to stop.
        batch_size: Rows of one optimiser step, over all processes.
        seed: Of the order of the training rows.
        pin_memory: Whether rows lie in page-locked memory, for a GPU; needs one.
    """

    def __init__(self, train: RowSource, val: RowSource, batch_size: int, seed: int, pin_memory: bool = False) -> None:
        super().__init__()
        self._train = train
        self._val = val
        self._batch_size = batch_size
        self._seed = seed
        self._placed = Tensor.pin_memory if pin_memory else _as_it_is

    def train_dataloader(self) -> Iterable[Block]:
        """Blocks of training batches, in another order each epoch."""
        return _Iterations(self._train_blocks)

    def val_dataloader(self) -> Iterable[Tensor]:
        """Blocks of validation rows."""
        return _Iterations(lambda: map(self._placed, self._val.ordered(self._share())))

    def _train_blocks(self) -> Iterator[Block]:
        for block in self._train.shuffled(self._batch_size, self._seed, self._epoch(), self._share()):
            yield [self._placed(batch) for batch in block]

    def _epoch(self) -> int:
        return self.trainer.current_epoch if self.trainer else 0

    def _share(self) -> Share:
        return Share(self.trainer.global_rank, self.trainer.world_size) if self.trainer else Share()


def _as_it_is(rows: Tensor) -> Tensor:
    return rows


@dataclass(frozen=True)
class _Iterations(Iterable[T]):
    """Starts anew whenever it is iterated over."""

    start: Callable[[], Iterator[T]]

    def __iter__(self) -> Iterator[T]:
        return self.start()


def read_frame(dataset: Dataset, partition: Partition) -> Frame:
    """Read the rows of a partition, refusing those that a model cannot learn from.

    Raises:
        InputError: A value is missing or infinite; the message names its channel and partition.
    """
    frame = dataset.read(partition)
    finite = np.isfinite(frame.values)
    if not finite.all():
        channel = dataset.channels[int(np.argmin(finite.all(axis=0)))]
        raise InputError(
            f"{(dataset.location / partition.file).uri}: channel '{channel}' has missing or infinite values; "
            "scale the dataset first (scale_dataframes replaces them)"
        )
    return frame


def load_values(dataset: Dataset, seed: int, windowing: Windowing = _NO_WINDOWS) -> Float32Array:
    """Read the windows of a whole dataset in a random order, float32 [rows, steps * channels].

    They cross no partition's border, as those of a dataset that is streamed.

    Raises:
        InputError: A value is missing or infinite; the message names its channel and partition.
    """
    values = np.empty((dataset.manifest.rows, windowing.steps * len(dataset.channels)), dtype=np.float32)
    places = np.random.default_rng(seed).permutation(len(values))
    position = 0
    for partition in dataset.manifest.partitions:
        frame = read_frame(dataset, partition)
        for windows in windowing.pieces(frame.values, frame.timestamps, BLOCK_ROWS):
            values[places[position : position + len(windows)]] = windows
            position += len(windows)
    return values
