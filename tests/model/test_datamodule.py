from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.errors import InputError
from container_component_src.model import datamodule
from container_component_src.model.datamodule import (
    GROUP_ROWS,
    Regime,
    Shard,
    TelemetryDataModule,
    TensorSource,
    block_sizes,
    load_values,
)
from container_component_src.telemetry.dataset import Dataset
from tests.model.datasets import CHANNELS, epoch_of, make_values, write_dataset


def numbered(rows: int) -> TensorSource:
    return TensorSource(torch.arange(rows, dtype=torch.float32).reshape(-1, 1))


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


@pytest.mark.parametrize(
    ("rows", "batch_size", "min_steps", "expected"),
    [
        (10_000, 1024, 200, Regime(256, 5)),  # 40 batches a pass
        (1_000_000, 1024, 200, Regime(1024, 1)),  # a large set: as asked
        (100_000, 1024, 200, Regime(500, 1)),
        (10_000, 64, 200, Regime(64, 2)),  # a smaller batch stays
        (10_000, 1024, 1, Regime(1024, 1)),
    ],
)
def test_small_training_sets_get_smaller_batches_and_several_passes(
    rows: int, batch_size: int, min_steps: int, expected: Regime
) -> None:
    assert Regime.of(rows, batch_size, min_steps) == expected


@given(
    rows=st.integers(1, 3_000),
    batch_size=st.integers(8, 2_000),
    min_steps=st.integers(1, 60),
    world_size=st.integers(1, 3),
)
def test_epoch_passes_all_rows_equally_often_in_enough_steps(
    rows: int, batch_size: int, min_steps: int, world_size: int
) -> None:
    regime = Regime.of(rows, batch_size, min_steps)
    shards = []
    for rank in range(world_size):
        with pytest.MonkeyPatch.context() as patch:
            data = TelemetryDataModule(numbered(rows), numbered(1), regime, seed=1)
            patch.setattr(data, "_shard", lambda rank=rank: Shard(rank, world_size))
            shards.append([batch[:, 0].int().tolist() for block in data.train_dataloader() for batch in block])
    assert {len(shard) for shard in shards} == {regime.steps(rows)}
    assert regime.steps(rows) >= min_steps
    drawn = np.bincount([row for shard in shards for batch in shard for row in batch], minlength=rows)
    assert set(drawn) == {regime.passes}
    assert regime.steps(rows) - min_steps < -(-rows // regime.batch_size)  # no pass too many


def test_no_pass_of_a_training_repeats_an_order() -> None:
    data = TelemetryDataModule(numbered(30), numbered(1), Regime(10, passes=3), seed=1)
    orders = []
    for epoch in range(2):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(data, "_epoch", lambda epoch=epoch: epoch)
            rows = [int(row) for block in data.train_dataloader() for batch in block for row in batch]
        orders += [tuple(rows[first : first + 30]) for first in range(0, 90, 30)]
    assert len(set(orders)) == 6
    assert {tuple(sorted(order)) for order in orders} == {tuple(range(30))}


def test_distributed_block_is_one_batch() -> None:
    assert {len(block) for block in numbered(100).shuffled(8, 0, 0, Shard(1, 2))} == {1}
    assert len(next(numbered(100).shuffled(8, 0, 0, Shard()))) == 13


def test_batches_of_an_epoch_are_sized_while_they_are_drawn() -> None:
    """A list of them would take more memory than the rows of a large training set."""
    assert next(block_sizes(10**15, 10**15, 256, Shard(0, 2), 2_048)) == [256]


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
    with pytest.raises(InputError, match=rf"/data: channel '{CHANNELS[3]}' .*-00001.parquet\)"):
        load_values(dataset, seed=0)
