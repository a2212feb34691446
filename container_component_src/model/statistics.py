"""Facts about the data of a model for its bundle."""

import numpy as np

from container_component_src.model.bundle_info import ChannelStatistics
from container_component_src.model.scoring import MOST_DEPARTURE
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.scaling import Moments
from container_component_src.telemetry.series import EvenSample
from container_component_src.telemetry.smoothing import GAP_SAMPLE, default_max_gap

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
STATISTICS_ROWS = 200_000  # maximum number of evenly spaced rows for quantiles


def usual_departures(val: Dataset) -> dict[str, float]:
    """Return the root mean square departure of each constant channel in the validation data, at least a resolution.

    A channel that is constant in the training data, but not in the validation data, changes in normal operation. Its
    departures must neither dominate the scores nor raise the threshold beyond those of all other channels.

    Args:
        val: Scaled validation dataset.

    Returns:
        Resolutions, by channel.
    """
    names = val.manifest.scaler.constant if val.manifest.scaler else ()
    squares = np.zeros(len(names))
    for frame in val.frames(channels=names) if names else ():
        departures = np.clip(frame.values, -MOST_DEPARTURE, MOST_DEPARTURE)
        squares += np.square(departures, dtype=np.float64).sum(axis=0)
    return dict(zip(names, np.sqrt(np.maximum(squares / val.manifest.rows, 1)).tolist(), strict=True))


def channel_statistics(train: Dataset) -> dict[str, ChannelStatistics]:
    """Return the distribution of each channel, with quantiles of at most `STATISTICS_ROWS` evenly spaced rows."""
    moments = Moments(len(train.channels))
    evenly, sample = EvenSample(train.manifest.rows, STATISTICS_ROWS), []
    for frame in train.frames():
        moments.add(frame.values)
        sample.append(frame.values[evenly.of(len(frame))].copy())
    quantiles = np.quantile(np.concatenate(sample), QUANTILES, axis=0, overwrite_input=True)
    return {
        name: ChannelStatistics(
            mean=float(moments.mean[column]),
            std=float(moments.std[column]),
            quantiles={str(level): float(quantiles[row, column]) for row, level in enumerate(QUANTILES)},
        )
        for column, name in enumerate(train.channels)
    }


def max_gap(dataset: Dataset) -> int | None:
    """Return the longest time step of a dataset in nanoseconds that is not a gap; None for fewer than two rows."""
    timestamps, rows = [], 0
    for frame in dataset.frames(channels=()):
        timestamps.append(frame.timestamps)
        rows += len(frame)
        if rows > GAP_SAMPLE:
            break
    return default_max_gap(np.concatenate(timestamps))
