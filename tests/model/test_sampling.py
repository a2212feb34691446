from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from container_component_src.model import sampling
from container_component_src.model.sampling import sample_windows
from container_component_src.model.windows import Windowing
from container_component_src.telemetry.arrow import Order
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.manifest import Partition

VALUES = np.random.default_rng(2).standard_normal((100, 6)).astype(np.float32)


def write(folder: Path, values: np.ndarray, bounds: list[int]) -> Dataset:
    with DatasetWriter(str(folder), "time", tuple("abcdef")) as writer:
        for first, stop in zip([0, *bounds], [*bounds, len(values)], strict=True):
            writer.write(Frame(np.arange(first, stop) * 10**9, values[first:stop]))
        return writer.commit()


@pytest.mark.parametrize("bounds", [[], [7, 8, 41], list(range(1, 100))])
def test_sampled_rows_do_not_depend_on_the_partitions(tmp_path: Path, bounds: list[int]) -> None:
    np.testing.assert_array_equal(sample_windows(write(tmp_path, VALUES, bounds), Windowing(), 30, 1000), VALUES[::4])


def test_the_sample_takes_a_bounded_amount_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "SAMPLE_BYTES", 10 * 2 * 6 * 4)  # ten windows of two steps
    sample = sample_windows(write(tmp_path, VALUES, [50]), Windowing(2, 10**9), 30, 1000)
    np.testing.assert_array_equal(sample[:, 6:], VALUES[::10])
    np.testing.assert_array_equal(sample[1:, :6], VALUES[[9, 19, 29, 39, 50, 59, 69, 79, 89]])  # 50 starts a partition


def test_of_many_rows_evenly_spaced_partitions_are_read(tmp_path: Path) -> None:
    values = VALUES[:9]
    sample = sample_windows(write(tmp_path, values, [3, 6]), Windowing(2, 10**9), 9, 5)
    np.testing.assert_array_equal(sample[:, 6:], np.concatenate([values[:3], values[6:]]))
    np.testing.assert_array_equal(sample[3, :6], values[6])


def test_some_channels_are_read_at_a_time_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = write(tmp_path, VALUES, [30, 60, 90])
    read, of_partition = [], Dataset.read

    def counted(dataset: Dataset, partition: Partition, channels: Sequence[str], order: Order) -> Frame:
        read.append((partition.file, "".join(channels)))
        return of_partition(dataset, partition, channels, order)

    expected = sample_windows(dataset, Windowing(3, 10**9), 30, 1000)
    monkeypatch.setattr(Dataset, "read", counted)
    monkeypatch.setattr(sampling, "CHANNELS_AT_ONCE", 4)
    np.testing.assert_array_equal(sample_windows(dataset, Windowing(3, 10**9), 30, 1000), expected)
    assert read == [(partition.file, names) for partition in dataset.manifest.partitions for names in ("abcd", "ef")]
