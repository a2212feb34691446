"""Samples of the windows of a dataset."""

import numpy as np

from container_component_src.arrays import Float32Array
from container_component_src.model.datamodule import read_frame
from container_component_src.model.windows import Windowing
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.series import EvenSample

SAMPLE_ROWS = 20_000  # maximum number of windows
SAMPLE_BYTES = 256 * 2**20  # maximum memory of the windows
SAMPLE_PARTITIONS = 32  # maximum number of partitions to read


def sample_windows(dataset: Dataset, windowing: Windowing) -> Float32Array:
    """Return evenly spaced windows of a dataset, shape [rows, steps * channels].

    Raises:
        InputError: A value is missing or infinite; the message names its channel and partition.
    """
    partitions = dataset.manifest.partitions
    positions = np.linspace(0, len(partitions) - 1, min(len(partitions), SAMPLE_PARTITIONS)).astype(int)
    chosen = [partitions[position] for position in positions]
    row_bytes = windowing.steps * len(dataset.channels) * np.dtype(np.float32).itemsize
    rows = max(1, min(SAMPLE_ROWS, SAMPLE_BYTES // row_bytes))
    evenly, windows = EvenSample(sum(partition.rows for partition in chosen), rows), []
    for partition in chosen:
        frame = read_frame(dataset, partition)
        sampled = np.arange(len(frame))[evenly.of(len(frame))]
        windows.append(windowing.of(frame.values, windowing.starts(frame.timestamps), sampled))
    return np.concatenate(windows)
