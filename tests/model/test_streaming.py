from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from container_component_src.errors import InputError
from container_component_src.model.datamodule import Shard
from container_component_src.model.streaming import StreamingSource
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from tests.model.datasets import SECOND, epoch_of


def numbered(folder: Path, partition_rows: Sequence[int]) -> Dataset:
    """Write a dataset with one channel that counts the rows."""
    folder.mkdir(exist_ok=True)
    start = 0
    with DatasetWriter(str(folder / "data"), "time", ("row",)) as writer:
        for rows in partition_rows:
            numbers = np.arange(start, start + rows)
            writer.write(Frame(numbers * SECOND, numbers.astype(np.float32).reshape(-1, 1)))
            start += rows
        return writer.commit()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    partition_rows=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    batch_size=st.integers(1, 30),
    buffer_rows=st.integers(0, 120),
)
def test_every_row_is_drawn_once_per_epoch(
    tmp_path: Path, partition_rows: list[int], batch_size: int, buffer_rows: int
) -> None:
    rows = sum(partition_rows)
    source = StreamingSource(numbered(tmp_path, partition_rows), buffer_rows)
    batches = epoch_of(source, batch_size, Shard())
    assert sorted(row for batch in batches for row in batch) == list(range(rows))
    sizes = [len(batch) for batch in batches]
    assert len(sizes) == -(-rows // batch_size)
    assert max(sizes) - min(sizes) <= 1
    assert [int(value) for block in source.ordered(Shard()) for value in block[:, 0]] == list(range(rows))


def test_processes_read_different_partitions_in_equally_many_steps(tmp_path: Path) -> None:
    partition_rows = [30, 10, 25, 40, 5, 20]
    source = StreamingSource(numbered(tmp_path, partition_rows), buffer_rows=50)
    bounds = np.cumsum([0, *partition_rows])
    shards = [epoch_of(source, 10, Shard(rank, 2)) for rank in range(2)]
    partitions = [
        {int(np.searchsorted(bounds, row, side="right")) for batch in shard for row in batch} for shard in shards
    ]
    assert not partitions[0] & partitions[1]
    assert sorted(row for shard in shards for batch in shard for row in batch) == list(range(130))
    assert [len(shard) for shard in shards] == [13, 13]
    ordered = [int(v) for rank in range(2) for block in source.ordered(Shard(rank, 2)) for v in block[:, 0]]
    assert sorted(ordered) == list(range(130))


def test_order_depends_on_seed_and_epoch(tmp_path: Path) -> None:
    source = StreamingSource(numbered(tmp_path, [30] * 5), buffer_rows=60)
    first = epoch_of(source, 10, Shard(), seed=1, epoch=0)
    assert first == epoch_of(source, 10, Shard(), seed=1, epoch=0)
    assert first != epoch_of(source, 10, Shard(), seed=1, epoch=1)
    assert first != epoch_of(source, 10, Shard(), seed=2, epoch=0)


def test_batches_mix_rows_of_several_partitions(tmp_path: Path) -> None:
    source = StreamingSource(numbered(tmp_path, [50] * 10), buffer_rows=200)
    met = [len({row // 50 for row in batch}) for batch in epoch_of(source, 50, Shard())]
    assert sum(met) / len(met) > 3


def test_fewer_partitions_than_processes(tmp_path: Path) -> None:
    source = StreamingSource(numbered(tmp_path, [50]), buffer_rows=10)
    with pytest.raises(InputError, match="1 partitions are too few for 2 processes"):
        source.shuffled(10, 0, 0, Shard(1, 2))
