"""Blocks of rows for the training, without worker processes or a Python call per row."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from container_component_src.arrays import Float32Array
from container_component_src.model.frames import read_frame
from container_component_src.model.windows import Windowing
from container_component_src.steps.sizes import BLOCK_ROWS
from container_component_src.telemetry.dataset import Dataset

# Consecutive rows that stay together: gathering single rows takes 1.5 times as long, see docs/results.md.
GROUP_ROWS = 8
_MIN_GROUPS = 1_000  # per process; with fewer groups, single rows are gathered
GPU_BLOCK_ROWS = 16_384  # a GPU gains more from large blocks, and the memory for copies to it is always used again
SMALL_BATCH = 256  # rows; smaller batches gain nothing on small training sets, see docs/results.md
_NO_WINDOWS = Windowing()

Block = list[Tensor]  # batches, each float32 [rows, channels]
T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """Part of every batch that belongs to one process of a distributed run."""

    rank: int = 0
    world_size: int = 1


class RowSource(Protocol):
    """Source of the rows of a dataset."""

    @property
    def rows(self) -> int:
        """Number of rows, over all processes."""

    def shuffled(self, batch_size: int, seed: int, epoch: int, shard: Shard) -> Iterator[Block]:
        """Yield all rows once in a random order, in the same number of batches for every process.

        In a distributed run a block has one batch, because gradients are averaged over the processes once per block.

        Args:
            batch_size: Maximum rows of a batch, over all processes.
            seed: Seed of the order.
            epoch: Number of the pass over the rows, which changes the order.
            shard: The process.
        """

    def ordered(self, shard: Shard) -> Iterator[Tensor]:
        """Yield the process's part of the rows in order, as blocks of shape [rows, channels]."""


@dataclass(frozen=True)
class TensorSource:
    """Rows in one contiguous tensor, in the random order of `load_values`.

    An epoch draws small groups of consecutive rows, which are random because the rows were loaded in a random order.

    Attributes:
        values: Shape [rows, channels].
        for_gpu: Whether a GPU gets the rows. Then blocks are larger, and drawn ones lie in page-locked memory, from
            which a GPU copies while the processor goes on.
    """

    values: Tensor
    for_gpu: bool = False

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.values)

    def shuffled(self, batch_size: int, seed: int, epoch: int, shard: Shard) -> Iterator[Block]:
        """Yield batches of at most `batch_size` rows, see `RowSource`; each process draws groups of its own."""
        rows, channels = self.values.shape
        size = GROUP_ROWS if rows >= GROUP_ROWS * _MIN_GROUPS * shard.world_size else 1
        groups = self.values[: rows - rows % size].view(-1, size * channels)
        order = torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(len(groups)))
        drawn = order[shard.rank :: shard.world_size]
        rest = self.values[rows - rows % size :] if shard.rank == 0 else self.values[:0]
        position = 0
        for sizes in block_sizes(len(drawn) * size + len(rest), rows, batch_size, shard, self._block_rows):
            end, first = position + sum(sizes), min(position // size, len(drawn))
            chosen = drawn[first : -(-end // size)]
            block = torch.empty((len(chosen), size * channels), dtype=groups.dtype, pin_memory=self.for_gpu)
            block = torch.index_select(groups, 0, chosen, out=block).view(-1, channels)
            if end > len(drawn) * size:
                block = torch.cat([block, rest])
            block = block[position - first * size :][: end - position]
            yield list(block.split(sizes))
            position = end

    def ordered(self, shard: Shard) -> Iterator[Tensor]:
        """Yield every `world_size`-th block of rows."""
        yield from self.values.split(self._block_rows)[shard.rank :: shard.world_size]

    @property
    def _block_rows(self) -> int:
        return GPU_BLOCK_ROWS if self.for_gpu else BLOCK_ROWS


def block_sizes(rows: int, all_rows: int, batch_size: int, shard: Shard, block_rows: int) -> Iterator[list[int]]:
    """Yield the number of rows of each batch of an epoch, grouped by block.

    Args:
        rows: Rows of this process.
        all_rows: Rows of all processes. Each process has ceil(all_rows / batch_size) batches.
        batch_size: Maximum rows of a batch, over all processes.
        shard: The process.
        block_rows: Most rows of a block of several batches.

    Yields:
        Sizes that sum to `rows` and differ by at most one.
    """
    batches = -(-all_rows // batch_size)
    at_once = 1 if shard.world_size > 1 else max(1, block_rows // batch_size)
    for first in range(0, batches, at_once):
        block = range(first, min(first + at_once, batches))
        yield [rows // batches + (index < rows % batches) for index in block]


@dataclass(frozen=True)
class Regime:
    """Optimization steps of an epoch, which is the interval between two validations."""

    batch_size: int  # maximum rows of a step, over all processes
    passes: int  # over the training rows, each in another order

    @classmethod
    def of(cls, rows: int, batch_size: int, min_steps: int) -> "Regime":
        """Return how a training set gets enough steps: first by smaller batches, then by several passes per epoch.

        Args:
            rows: Training rows.
            batch_size: Rows of a step of a large training set. A smaller set gets batches of as many rows as give
                `min_steps` in a single pass, but not less than 256 or `batch_size`.
            min_steps: Least steps of an epoch.
        """
        size = min(batch_size, max(SMALL_BATCH, rows // min_steps))
        return cls(size, passes=-(-min_steps // -(-rows // size)))

    def steps(self, rows: int) -> int:
        """Return the steps of an epoch over a number of training rows."""
        return self.passes * -(-rows // self.batch_size)


class TelemetryDataModule(LightningDataModule):
    """Training and validation rows for Lightning.

    Args:
        train: Training rows.
        val: Validation rows.
        regime: Batches and passes of an epoch.
        seed: Seed of the order of the training rows.
    """

    def __init__(self, train: RowSource, val: RowSource, regime: Regime, seed: int) -> None:
        super().__init__()
        self._train = train
        self._val = val
        self._regime = regime
        self._seed = seed

    def train_dataloader(self) -> Iterable[Block]:
        """Return an iterable of blocks of training batches, in another order for each epoch."""
        return _Restartable(self._train_blocks)

    def val_dataloader(self) -> Iterable[Tensor]:
        """Return an iterable of blocks of validation rows."""
        return _Restartable(lambda: self._val.ordered(self._shard()))

    def _train_blocks(self) -> Iterator[Block]:
        """Yield the blocks of all passes of the epoch; passes are numbered on over epochs, so no order repeats."""
        first = self._epoch() * self._regime.passes
        for number in range(first, first + self._regime.passes):
            yield from self._train.shuffled(self._regime.batch_size, self._seed, number, self._shard())

    def _epoch(self) -> int:
        return self.trainer.current_epoch if self.trainer else 0

    def _shard(self) -> Shard:
        return Shard(self.trainer.global_rank, self.trainer.world_size) if self.trainer else Shard()


@dataclass(frozen=True)
class _Restartable(Iterable[T]):
    """Iterable that restarts with every iteration."""

    start: Callable[[], Iterator[T]]

    def __iter__(self) -> Iterator[T]:
        return self.start()


def load_values(dataset: Dataset, seed: int, windowing: Windowing = _NO_WINDOWS) -> Float32Array:
    """Read the windows of a whole dataset in a random order; they do not cross partitions, as in `StreamingSource`.

    Returns:
        Windows, shape [rows, steps * channels].

    Raises:
        InputError: A value is missing or infinite; the message names its channel and partition.
    """
    values = np.empty((dataset.manifest.rows, windowing.steps * len(dataset.channels)), dtype=np.float32)
    order = np.random.default_rng(seed).permutation(len(values))
    position = 0
    for partition in dataset.manifest.partitions:
        frame = read_frame(dataset, partition)
        for windows in windowing.batches(frame.values, frame.timestamps, BLOCK_ROWS):
            values[order[position : position + len(windows)]] = windows
            position += len(windows)
    return values
