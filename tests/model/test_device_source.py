from pathlib import Path

import numpy as np
import pytest
import torch

from container_component_src.errors import InputError
from container_component_src.model import datamodule
from container_component_src.model.datamodule import GROUP_ROWS, RowSource, Shard, TensorSource, load_values
from container_component_src.model.device_source import CopiedSource, DeviceSource
from container_component_src.model.hardware import CPU, best_device
from container_component_src.model.windows import Windowing
from container_component_src.telemetry.dataset import Dataset
from tests.model.datasets import SECOND, make_values, write_dataset

SEED, SHARDS = 3, (Shard(), Shard(0, 2), Shard(1, 2))


def check_same_rows(found: RowSource, expected: RowSource, shard: Shard) -> None:
    """Two sources yield equal batches in equal blocks."""
    assert found.rows == expected.rows
    for epoch in range(2):
        pairs = zip(found.shuffled(20, 7, epoch, shard), expected.shuffled(20, 7, epoch, shard), strict=True)
        for block, expected_block in pairs:
            for batch, rows in zip(block, expected_block, strict=True):
                torch.testing.assert_close(batch.cpu(), rows, rtol=0, atol=0)
    for batch, rows in zip(found.ordered(shard), expected.ordered(shard), strict=True):
        torch.testing.assert_close(batch.cpu(), rows, rtol=0, atol=0)


@pytest.mark.parametrize("device", [CPU, pytest.param(torch.device("cuda", 0), marks=pytest.mark.gpu)])
@pytest.mark.parametrize("shard", SHARDS)
@pytest.mark.parametrize("steps", [1, 3])
def test_windows_of_a_device_are_those_of_the_memory(
    steps: int, shard: Shard, device: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datamodule, "_MIN_GROUPS", 10)
    for name in ("BLOCK_ROWS", "GPU_BLOCK_ROWS"):
        monkeypatch.setattr(datamodule, name, 50)
    dataset = Dataset.open(write_dataset(tmp_path / "data", make_values(10 * GROUP_ROWS * 2 + 5, seed=1)))
    windowing = Windowing(steps, SECOND)
    in_memory = TensorSource(torch.from_numpy(load_values(dataset, SEED, windowing)))
    check_same_rows(DeviceSource.load(dataset, SEED, windowing, device), in_memory, shard)


@pytest.mark.gpu
@pytest.mark.parametrize("shard", SHARDS)
@pytest.mark.parametrize("for_gpu", [True, False])
def test_copied_windows_are_those_of_the_memory(shard: Shard, for_gpu: bool) -> None:
    values = torch.from_numpy(make_values(100, seed=1))
    check_same_rows(CopiedSource(TensorSource(values, for_gpu), best_device()), TensorSource(values), shard)


def test_rows_of_a_device_must_be_finite(tmp_path: Path) -> None:
    values = make_values(10, seed=1)
    values[7, 2] = np.nan
    dataset = Dataset.open(write_dataset(tmp_path / "data", values))
    with pytest.raises(InputError, match="channel 'fan_speed' has missing or infinite values"):
        DeviceSource.load(dataset, SEED, Windowing(), CPU)


def test_memory_of_rows_on_a_device(tmp_path: Path) -> None:
    dataset = Dataset.open(write_dataset(tmp_path / "data", make_values(10, seed=1)))
    source = DeviceSource.load(dataset, SEED, Windowing(3), CPU)
    assert DeviceSource.size(dataset) == source.values.nbytes + source.starts.nbytes
