"""Samples of the windows of a dataset."""

import numpy as np

from container_component_src.arrays import Float32Array
from container_component_src.model.frames import read_frame
from container_component_src.model.windows import Windowing
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.series import EvenSample

SAMPLE_BYTES = 256 * 2**20  # maximum memory of the windows


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
        frame = read_frame(dataset, partition, order="F")  # few rows are taken, so all are not transposed first
        sampled = np.arange(len(frame))[evenly.of(len(frame))]
        windows.append(windowing.of(frame.values, windowing.starts(frame.timestamps), sampled))
    return np.concatenate(windows)
