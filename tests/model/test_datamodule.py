from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.errors import InputError
from container_component_src.model import datamodule
from container_component_src.model.datamodule import Share, TensorSource, load_values
from container_component_src.telemetry.dataset import Dataset
from tests.model.datasets import CHANNELS, make_values, write_dataset


def numbered(rows: int) -> TensorSource:
    return TensorSource(torch.arange(rows, dtype=torch.float32).reshape(-1, 1))


def epoch_of(source: TensorSource, batch_size: int, share: Share, seed: int = 0, epoch: int = 0) -> list[list[int]]:
    """Row numbers by batch."""
    blocks = source.shuffled(batch_size, seed, epoch, share)
    return [[int(value) for value in batch[:, 0]] for block in blocks for batch in block]


@given(
    rows=st.integers(1, 300),
    batch_size=st.integers(1, 80),
    world_size=st.integers(1, 4),
    block_rows=st.integers(1, 200),
)
def test_every_row_comes_once_per_epoch(rows: int, batch_size: int, world_size: int, block_rows: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datamodule, "BLOCK_ROWS", block_rows)
        shares = [epoch_of(numbered(rows), batch_size, Share(rank, world_size)) for rank in range(world_size)]
        ordered = [
            int(v) for rank in range(world_size) for b in numbered(rows).ordered(Share(rank, world_size)) for v in b
        ]
    assert sorted(row for share in shares for batch in share for row in batch) == list(range(rows))
    assert sorted(ordered) == list(range(rows))
    assert {len(share) for share in shares} == {-(-rows // batch_size)}  # processes that wait for each other
    steps = [sum(len(batch) for batch in step) for step in zip(*shares, strict=True)]
    assert max(steps) <= batch_size
    assert max(steps) - min(steps) <= 1


def test_processes_together_take_the_steps_of_one() -> None:
    alone = epoch_of(numbered(101), 20, Share())
    shares = [epoch_of(numbered(101), 20, Share(rank, 3)) for rank in range(3)]
    assert [sorted(batch) for batch in alone] == [sorted(a + b + c) for a, b, c in zip(*shares, strict=True)]


def test_the_order_follows_seed_and_epoch() -> None:
    first = epoch_of(numbered(50), 10, Share(), seed=1, epoch=0)
    assert first == epoch_of(numbered(50), 10, Share(), seed=1, epoch=0)
    assert first != epoch_of(numbered(50), 10, Share(), seed=1, epoch=1)
    assert first != epoch_of(numbered(50), 10, Share(), seed=2, epoch=0)


def test_a_distributed_block_is_one_batch() -> None:
    assert {len(block) for block in numbered(100).shuffled(8, 0, 0, Share(1, 2))} == {1}
    assert len(next(numbered(100).shuffled(8, 0, 0, Share()))) == 13


def test_rows_are_read_whole(tmp_path: Path) -> None:
    values = make_values(31, seed=5)
    loaded = load_values(Dataset.open(write_dataset(tmp_path / "data", values, labelled=True)))
    np.testing.assert_array_equal(loaded, values)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_named(tmp_path: Path, bad: float) -> None:
    values = make_values(30, seed=5)
    values[20, 3] = bad
    dataset = Dataset.open(write_dataset(tmp_path / "data", values))
    with pytest.raises(InputError, match=rf"part-00001.parquet: channel '{CHANNELS[3]}'"):
        load_values(dataset)
