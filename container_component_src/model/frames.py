"""Data of a model: datasets that fit it, and the rows that it learns from."""

from collections.abc import Sequence

import numpy as np

from container_component_src.errors import InputError
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.telemetry.arrow import Order
from container_component_src.telemetry.columns import check_same_channels
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.manifest import Partition


def open_data(info: BundleInfo, uri: str) -> Dataset:
    """Open a dataset whose channels and scaler are those of a model.

    Raises:
        InputError: There is no such dataset, or it has other channels or another scaler.
    """
    dataset = Dataset.open(uri)
    check_channels(info, dataset.channels)
    if dataset.manifest.scaler != info.scaler:
        raise InputError(
            f"{dataset.location.uri}: scaled differently from the model's training data",
            fix="scale it with the model's scaler",
        )
    return dataset


def check_channels(info: BundleInfo, channels: Sequence[str]) -> None:
    """Check that data has the channels of a model in the same order.

    Raises:
        InputError: The channels differ; the message names the first difference.
    """
    check_same_channels("the data", channels, info.channels, "the model")


def read_frame(
    dataset: Dataset, partition: Partition, channels: Sequence[str] | None = None, order: Order = "C"
) -> Frame:
    """Read what `Dataset.read` does, and check that a model can learn from it.

    Raises:
        InputError: A value is missing or infinite; the message names its channel and partition.
    """
    frame = dataset.read(partition, channels, order)
    finite = np.isfinite(frame.values)
    if not finite.all():
        channel = (dataset.channels if channels is None else channels)[int(np.argmin(finite.all(axis=0)))]
        raise InputError(
            f"{dataset.location.uri}: channel '{channel}' has missing or infinite values ({partition.file})",
            fix="scale the dataset first (scale_dataframes replaces them)",
        )
    return frame
