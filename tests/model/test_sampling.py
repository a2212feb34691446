from pathlib import Path

import numpy as np
import pytest

from container_component_src.model import sampling
from container_component_src.model.sampling import sample_windows
from container_component_src.model.windows import Windowing
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter

VALUES = np.random.default_rng(2).standard_normal((100, 6)).astype(np.float32)


def write(folder: Path, values: np.ndarray, bounds: list[int]) -> Dataset:
    with DatasetWriter(str(folder), "time", tuple("abcdef")) as writer:
        for first, stop in zip([0, *bounds], [*bounds, len(values)], strict=True):
            writer.write(Frame(np.arange(first, stop) * 10**9, values[first:stop]))
        return writer.commit()


def test_sampled_rows_do_not_depend_on_the_partitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "SAMPLE_ROWS", 30)
    samples = [
        sample_windows(write(tmp_path / str(number), VALUES, bounds), Windowing())
        for number, bounds in enumerate([[], [7, 8, 41]])
    ]
    np.testing.assert_array_equal(samples[0], VALUES[::4])
    np.testing.assert_array_equal(samples[1], samples[0])


def test_sample_of_many_partitions_reads_some_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "SAMPLE_PARTITIONS", 2)
    values = VALUES[:9]
    sample = sample_windows(write(tmp_path / "data", values, [3, 6]), Windowing(2, 10**9))
    np.testing.assert_array_equal(sample[:, 6:], np.concatenate([values[:3], values[6:]]))
    np.testing.assert_array_equal(sample[3, :6], values[6])
