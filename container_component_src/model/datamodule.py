"""Feeds the training with blocks of rows: no worker processes, no Python call per row."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from container_component_src.errors import InputError
from container_component_src.telemetry.dataset import Dataset, Partition, Values

BLOCK_ROWS = 16_384  # rows gathered at once: enough to make the call cheap, few enough for the processor's cache

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
    """Rows in one contiguous tensor, float32 [rows, channels]."""

    values: Tensor

    def shuffled(self, batch_size: int, seed: int, epoch: int, share: Share) -> Iterator[Block]:
        """Batches of at most `batch_size` rows, equal to within a row, with every world_size-th row for a process."""
        order = torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(len(self.values)))
        batches = [
            rows[share.rank :: share.world_size] for rows in order.tensor_split(-(-len(self.values) // batch_size))
        ]
        at_once = 1 if share.world_size > 1 else max(1, BLOCK_ROWS // batch_size)
        for first in range(0, len(batches), at_once):
            block = batches[first : first + at_once]
            yield list(self.values.index_select(0, torch.cat(block)).split([len(rows) for rows in block]))

    def ordered(self, share: Share) -> Iterator[Tensor]:
        """Every world_size-th block of rows."""
        yield from self.values.split(BLOCK_ROWS)[share.rank :: share.world_size]


class TelemetryDataModule(LightningDataModule):
    """Training and validation rows for Lightning.

    Args:
        train: Rows to learn from.
        val: Rows that tell when to stop.
        batch_size: Rows of one optimiser step, over all processes.
        seed: Of the order of the training rows.
    """

    def __init__(self, train: RowSource, val: RowSource, batch_size: int, seed: int) -> None:
        super().__init__()
        self._train = train
        self._val = val
        self._batch_size = batch_size
        self._seed = seed

    def train_dataloader(self) -> Iterable[Block]:
        """Blocks of training batches, in another order each epoch."""
        return _Iterations(lambda: self._train.shuffled(self._batch_size, self._seed, self._epoch(), self._share()))

    def val_dataloader(self) -> Iterable[Tensor]:
        """Blocks of validation rows."""
        return _Iterations(lambda: self._val.ordered(self._share()))

    def _epoch(self) -> int:
        return self.trainer.current_epoch if self.trainer else 0

    def _share(self) -> Share:
        return Share(self.trainer.global_rank, self.trainer.world_size) if self.trainer else Share()


@dataclass(frozen=True)
class _Iterations(Iterable[T]):
    """Starts anew whenever it is iterated over."""

    start: Callable[[], Iterator[T]]

    def __iter__(self) -> Iterator[T]:
        return self.start()


def read_values(dataset: Dataset, partition: Partition) -> Values:
    """Read the values of a partition, refusing those that a model cannot learn from.

    Raises:
        InputError: A value is missing or infinite; the message names its channel and partition.
    """
    values = dataset.read(partition).values
    finite = np.isfinite(values)
    if not finite.all():
        channel = dataset.channels[int(np.argmin(finite.all(axis=0)))]
        raise InputError(
            f"{(dataset.location / partition.file).uri}: channel '{channel}' has missing or infinite values; "
            "scale the dataset first (scale_dataframes replaces them)"
        )
    return values


def load_values(dataset: Dataset) -> Values:
    """Read the values of a whole dataset, float32 [rows, channels].

    Raises:
        InputError: A value is missing or infinite; the message names its channel and partition.
    """
    values = np.empty((dataset.manifest.rows, len(dataset.channels)), dtype=np.float32)
    position = 0
    for partition in dataset.manifest.partitions:
        values[position : position + partition.rows] = read_values(dataset, partition)
        position += partition.rows
    return values
