"""Training rows that do not fit in memory: partitions are read one by one and mixed in a shuffle buffer."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from container_component_src.ahead import ahead
from container_component_src.errors import InputError
from container_component_src.model.datamodule import Block, Shard, block_sizes
from container_component_src.model.frames import read_frame
from container_component_src.model.windows import Windowing
from container_component_src.steps.sizes import BLOCK_ROWS
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.manifest import Partition


@dataclass(frozen=True)
class StreamingSource:
    """Rows of a dataset on disk or in object storage.

    In every epoch each process of a distributed run reads partitions of its own, in an order that depends on seed and
    epoch, into a buffer from which rows are drawn at random. Every row is drawn once.

    Attributes:
        dataset: The rows.
        buffer_rows: Rows from which one is drawn; memory has up to 1.5 times as many, and two partitions.
        windowing: Conversion of rows to windows, which do not cross partitions.
    """

    dataset: Dataset
    buffer_rows: int
    windowing: Windowing = field(default_factory=Windowing)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.dataset.manifest.rows

    def shuffled(self, batch_size: int, seed: int, epoch: int, shard: Shard) -> Iterator[Block]:
        """Yield as many batches as a source in memory; each process fills its part with rows of its partitions.

        Raises:
            InputError: There are too few partitions for the processes.
        """
        order = np.random.default_rng([seed, epoch]).permutation(len(self.dataset.manifest.partitions))
        partitions = _assigned([self.dataset.manifest.partitions[index] for index in order], shard)
        rows, all_rows = sum(partition.rows for partition in partitions), self.dataset.manifest.rows
        if rows < -(-all_rows // batch_size):
            count = len(self.dataset.manifest.partitions)
            raise InputError(
                f"{self.dataset.location.uri}: {count} partitions are too few for {shard.world_size} processes",
                fix="write more and smaller ones, or train on fewer nodes",
            )
        mixed = self._mixed(partitions, np.random.default_rng([seed, epoch, shard.rank]))
        return _blocks(mixed, block_sizes(rows, all_rows, batch_size, shard, BLOCK_ROWS))

    def ordered(self, shard: Shard) -> Iterator[Tensor]:
        """Yield the rows of every `world_size`-th partition."""
        yield from self._windows(self.dataset.manifest.partitions[shard.rank :: shard.world_size])

    def _mixed(self, partitions: Sequence[Partition], random: np.random.Generator) -> Iterator[Tensor]:
        """Yield all rows of the partitions once, in a random order within the buffer."""
        capacity = min(self.buffer_rows + BLOCK_ROWS, sum(partition.rows for partition in partitions))
        buffer = torch.empty((capacity, self.windowing.steps * len(self.dataset.channels)))
        filled = 0
        for windows in self._windows(partitions):
            buffer[filled : filled + len(windows)] = windows
            filled += len(windows)
            if filled > self.buffer_rows:
                order = torch.from_numpy(random.permutation(filled))
                drawn, kept = order.tensor_split([filled - self.buffer_rows // 2])
                for rows in drawn.split(BLOCK_ROWS):
                    yield buffer.index_select(0, rows)
                buffer[: len(kept)] = buffer.index_select(0, kept)
                filled = len(kept)
        for rows in torch.from_numpy(random.permutation(filled)).split(BLOCK_ROWS):
            yield buffer.index_select(0, rows)

    def _windows(self, partitions: Sequence[Partition]) -> Iterator[Tensor]:
        """Yield all rows of the partitions in order, at most `BLOCK_ROWS` at once."""
        for frame in ahead((read_frame(self.dataset, partition) for partition in partitions), 1):
            yield from map(torch.from_numpy, self.windowing.batches(frame.values, frame.timestamps, BLOCK_ROWS))


def _assigned(partitions: Sequence[Partition], shard: Shard) -> list[Partition]:
    """Return the partitions of a process; each partition goes to the process with the fewest rows so far."""
    rows = [0] * shard.world_size
    assigned = []
    for partition in partitions:
        rank = rows.index(min(rows))
        rows[rank] += partition.rows
        if rank == shard.rank:
            assigned.append(partition)
    return assigned


def _blocks(rows: Iterator[Tensor], blocks: Iterable[list[int]]) -> Iterator[Block]:
    """Divide a stream of rows into batches of given sizes."""
    rest = torch.empty(0)
    for sizes in blocks:
        pieces, missing = [], sum(sizes)
        while missing:
            rest = rest if len(rest) else next(rows)
            pieces.append(rest[:missing])
            rest = rest[missing:]
            missing -= len(pieces[-1])
        yield list(torch.cat(pieces).split(sizes))
