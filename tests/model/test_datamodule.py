from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.errors import InputError
from container_component_src.model import datamodule
from container_component_src.model.datamodule import GROUP_ROWS, Shard, TensorSource, load_values
from container_component_src.telemetry.dataset import Dataset
from tests.model.datasets import CHANNELS, make_values, write_dataset


def numbered(rows: int) -> TensorSource:
    return TensorSource(torch.arange(rows, dtype=torch.float32).reshape(-1, 1))


def epoch_of(source: TensorSource, batch_size: int, shard: Shard, seed: int = 0, epoch: int = 0) -> list[list[int]]:
    """Return the row numbers of each batch."""
    blocks = source.shuffled(batch_size, seed, epoch, shard)
    return [[int(value) for value in batch[:, 0]] for block in blocks for batch in block]


@given(
    rows=st.integers(1, 300),
    batch_size=st.integers(1, 80),
    world_size=st.integers(1, 4),
    block_rows=st.integers(1, 200),
    min_groups=st.sampled_from([1, 5, 1000]),
)
def test_every_row_is_drawn_once_per_epoch(
    rows: int, batch_size: int, world_size: int, block_rows: int, min_groups: int
) -> None:
    batch_size = max(batch_size, 2 * world_size)  # as the training arguments require
    if min_groups == 1:
        batch_size = max(batch_size, 2 * GROUP_ROWS * world_size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datamodule, "BLOCK_ROWS", block_rows)
        patch.setattr(datamodule, "_MIN_GROUPS", min_groups)
        shards = [epoch_of(numbered(rows), batch_size, Shard(rank, world_size)) for rank in range(world_size)]
        ordered = [
            int(v) for rank in range(world_size) for b in numbered(rows).ordered(Shard(rank, world_size)) for v in b
        ]
    assert sorted(row for shard in shards for batch in shard for row in batch) == list(range(rows))
    assert sorted(ordered) == list(range(rows))
    assert {len(shard) for shard in shards} == {-(-rows // batch_size)}  # processes that synchronise
    for shard in shards:
        sizes = [len(batch) for batch in shard]
        assert max(sizes) - min(sizes) <= 1
    steps = [sum(len(batch) for batch in step) for step in zip(*shards, strict=True)]
    assert max(steps) < batch_size + world_size


def test_rows_are_drawn_in_groups() -> None:
    (block,) = numbered(8_003).shuffled(8_003, 0, 0, Shard())
    rows = torch.cat(block)[:, 0].int().tolist()
    groups = {tuple(rows[first : first + GROUP_ROWS]) for first in range(0, 8_000, GROUP_ROWS)}
    assert groups == {tuple(range(first, first + GROUP_ROWS)) for first in range(0, 8_000, GROUP_ROWS)}
    assert rows[8_000:] == [8_000, 8_001, 8_002]
    assert rows != sorted(rows)


def test_order_depends_on_seed_and_epoch() -> None:
    first = epoch_of(numbered(50), 10, Shard(), seed=1, epoch=0)
    assert first == epoch_of(numbered(50), 10, Shard(), seed=1, epoch=0)
    assert first != epoch_of(numbered(50), 10, Shard(), seed=1, epoch=1)
    assert first != epoch_of(numbered(50), 10, Shard(), seed=2, epoch=0)


def test_distributed_block_is_one_batch() -> None:
    assert {len(block) for block in numbered(100).shuffled(8, 0, 0, Shard(1, 2))} == {1}
    assert len(next(numbered(100).shuffled(8, 0, 0, Shard()))) == 13


def test_rows_are_loaded_in_a_seeded_order(tmp_path: Path) -> None:
    values = make_values(31, seed=5)
    dataset = Dataset.open(write_dataset(tmp_path / "data", values, labelled=True))
    loaded = load_values(dataset, seed=1)
    assert not np.array_equal(loaded, values)
    np.testing.assert_array_equal(loaded[np.lexsort(loaded.T)], values[np.lexsort(values.T)])
    np.testing.assert_array_equal(loaded, load_values(dataset, seed=1))
    assert not np.array_equal(loaded, load_values(dataset, seed=2))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_value_that_is_not_finite_is_named(tmp_path: Path, bad: float) -> None:
    values = make_values(30, seed=5)
    values[20, 3] = bad
    dataset = Dataset.open(write_dataset(tmp_path / "data", values))
    with pytest.raises(InputError, match=rf"-00001.parquet: channel '{CHANNELS[3]}'"):
        load_values(dataset, seed=0)
