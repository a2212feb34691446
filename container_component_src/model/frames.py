"""Reading of the rows that models learn from."""

import numpy as np

from container_component_src.errors import InputError
from container_component_src.telemetry.arrow import Order
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.manifest import Partition


def read_frame(dataset: Dataset, partition: Partition, order: Order = "C") -> Frame:
    """Read the rows of a partition, in this order in memory, and check that a model can learn from them.

    Raises:
        InputError: A value is missing or infinite; the message names its channel and partition.
    """
    frame = dataset.read(partition, order=order)
    finite = np.isfinite(frame.values)
    if not finite.all():
        channel = dataset.channels[int(np.argmin(finite.all(axis=0)))]
        raise InputError(
            f"{dataset.location.uri}: channel '{channel}' has missing or infinite values ({partition.file})",
            fix="scale the dataset first (scale_dataframes replaces them)",
        )
    return frame
