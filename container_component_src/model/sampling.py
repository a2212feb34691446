"""Samples of the windows of a dataset."""

import numpy as np

from container_component_src.arrays import Float32Array, IntArray
from container_component_src.model.frames import read_frame
from container_component_src.model.windows import Windowing
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.manifest import Partition
from container_component_src.telemetry.series import EvenSample

SAMPLE_BYTES = 256 * 2**20  # maximum memory of the windows
CHANNELS_AT_ONCE = 64  # to read: of their rows, few are kept


def sample_windows(dataset: Dataset, windowing: Windowing, most: int, most_read: int) -> Float32Array:
    """Return evenly spaced windows of a dataset, or of every n-th partition of it, [windows, steps * channels].

    Like the windows that a model is trained on, they do not cross partitions.

    Args:
        dataset: Scaled dataset.
        windowing: Conversion of rows to windows.
        most: Maximum number of windows; there are fewer where they would need more than `SAMPLE_BYTES`.
        most_read: Number of rows; of more, evenly spaced partitions are read.

    Raises:
        InputError: A value is missing or infinite; the message names its channel and partition.
    """
    partitions = dataset.manifest.partitions[:: -(-dataset.manifest.rows // most_read)]
    window_bytes = windowing.steps * len(dataset.channels) * np.dtype(np.float32).itemsize
    most = max(1, min(most, SAMPLE_BYTES // window_bytes))
    evenly, windows = EvenSample(sum(partition.rows for partition in partitions), most), []
    for partition in partitions:
        sampled = np.arange(partition.rows)[evenly.of(partition.rows)]
        windows.append(_windows_of(dataset, partition, windowing, sampled))
    return np.concatenate(windows)


def _windows_of(dataset: Dataset, partition: Partition, windowing: Windowing, rows: IntArray) -> Float32Array:
    """Return the windows of some rows of a partition, [rows, steps * channels]."""
    channels = dataset.channels
    windows = np.empty((len(rows), windowing.steps, len(channels)), dtype=np.float32)
    for first in range(0, len(channels), CHANNELS_AT_ONCE):
        some = slice(first, first + CHANNELS_AT_ONCE)
        frame = read_frame(dataset, partition, channels[some], order="F")
        found = windowing.of(frame.values, windowing.starts(frame.timestamps), rows)
        windows[:, :, some] = found.reshape(len(rows), windowing.steps, frame.values.shape[1])
    return windows.reshape(len(rows), windowing.steps * len(channels))
