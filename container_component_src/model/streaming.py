"""Training rows that do not fit in memory: partitions read one after the other and mixed in a shuffle buffer."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from container_component_src.errors import InputError
from container_component_src.model.datamodule import BLOCK_ROWS, Block, Share, block_sizes, read_frame
from container_component_src.model.windows import Windowing
from container_component_src.telemetry.dataset import Dataset, Frame, Partition


@dataclass(frozen=True)
class StreamingSource:
    """Rows of a dataset on disk or in object storage.

    In every epoch each process of a distributed run reads partitions of its own, in an order of the seed and the
    epoch, into a buffer from which rows are drawn at random. Every row is drawn once.

    Attributes:
        dataset: The rows.
        buffer_rows: Rows among which one is drawn; memory holds one and a half times as many, and two partitions.
        windowing: How rows become windows, which cross no partition's border.
    """

    dataset: Dataset
    buffer_rows: int
    windowing: Windowing = field(default_factory=Windowing)

    def shuffled(self, batch_size: int, seed: int, epoch: int, share: Share) -> Iterator[Block]:
        """As many batches as a source in memory would give; process r fills its part of each from its partitions."""
        order = np.random.default_rng([seed, epoch]).permutation(len(self.dataset.manifest.partitions))
        partitions = self._of_process([self.dataset.manifest.partitions[index] for index in order], share)
        rows, all_rows = sum(partition.rows for partition in partitions), self.dataset.manifest.rows
        if rows < -(-all_rows // batch_size):
            raise InputError(
                f"{self.dataset.location.uri}: {len(self.dataset.manifest.partitions)} partitions are too few to share "
                f"among {share.world_size} processes; write more and smaller ones, or train on fewer nodes"
            )
        mixed = self._mixed(partitions, np.random.default_rng([seed, epoch, share.rank]))
        return _blocks(mixed, block_sizes(rows, all_rows, batch_size, share))

    def ordered(self, share: Share) -> Iterator[Tensor]:
        """Every world_size-th partition."""
        yield from self._windows(self.dataset.manifest.partitions[share.rank :: share.world_size])

    def _of_process(self, partitions: Sequence[Partition], share: Share) -> list[Partition]:
        """The partitions of a process: each goes to the one with the fewest rows so far."""
        rows = [0] * share.world_size
        chosen = []
        for partition in partitions:
            rank = rows.index(min(rows))
            rows[rank] += partition.rows
            if rank == share.rank:
                chosen.append(partition)
        return chosen

    def _mixed(self, partitions: Sequence[Partition], random: np.random.Generator) -> Iterator[Tensor]:
        """All rows of the partitions once, in random order within the buffer."""
        capacity = min(self.buffer_rows + BLOCK_ROWS, sum(partition.rows for partition in partitions))
        buffer = torch.empty((capacity, self.windowing.steps * len(self.dataset.channels)))
        filled = 0
        for windows in self._windows(partitions):
            buffer[filled : filled + len(windows)] = windows
            filled += len(windows)
            if filled > self.buffer_rows:
                order = torch.from_numpy(random.permutation(filled))
                drawn, kept = order.tensor_split([filled - self.buffer_rows // 2])
                yield buffer.index_select(0, drawn)
                buffer[: len(kept)] = buffer.index_select(0, kept)
                filled = len(kept)
        for drawn in torch.from_numpy(random.permutation(filled)).split(BLOCK_ROWS):
            yield buffer.index_select(0, drawn)

    def _windows(self, partitions: Sequence[Partition]) -> Iterator[Tensor]:
        """All rows of the partitions in order, `BLOCK_ROWS` at once."""
        for frame in self._read_ahead(partitions):
            yield from map(torch.from_numpy, self.windowing.pieces(frame.values, frame.timestamps, BLOCK_ROWS))

    def _read_ahead(self, partitions: Sequence[Partition]) -> Iterator[Frame]:
        """Rows of the partitions, the next one being read while one is in use."""
        with ThreadPoolExecutor(max_workers=1) as reader:
            upcoming: Future[Frame] | None = None
            for partition in partitions:
                current, upcoming = upcoming, reader.submit(read_frame, self.dataset, partition)
                if current:
                    yield current.result()
            if upcoming:
                yield upcoming.result()


def _blocks(rows: Iterator[Tensor], blocks: list[list[int]]) -> Iterator[Block]:
    """Cut a stream of rows into batches of given sizes."""
    rest = torch.empty(0)
    for sizes in blocks:
        pieces, wanted = [], sum(sizes)
        while wanted:
            rest = rest if len(rest) else next(rows)
            pieces.append(rest[:wanted])
            rest = rest[wanted:]
            wanted -= len(pieces[-1])
        yield list(torch.cat(pieces).split(sizes))
