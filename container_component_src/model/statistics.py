"""Facts about the data of a model for its bundle."""

import numpy as np

from container_component_src.arrays import Float32Array, Timestamps
from container_component_src.model.bundle_info import ChannelStatistics
from container_component_src.model.row_scorer import MOST_DEPARTURE
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.distribution import Distribution
from container_component_src.telemetry.scaling import Moments
from container_component_src.telemetry.series import EvenSample
from container_component_src.telemetry.smoothing import GAP_SAMPLE, default_max_gap

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
STATISTICS_ROWS = 200_000  # maximum number of evenly spaced rows for the distributions
_MOST_ZEROS = 2.0  # scaled values of 0 for each missing value, if the channel has none of its own


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
    """Return the distribution of each channel, of at most `STATISTICS_ROWS` evenly spaced rows but for the moments."""
    moments = Moments(len(train.channels))
    evenly, times, sample = EvenSample(train.manifest.rows, STATISTICS_ROWS), [], []
    for frame in train.frames():
        moments.add(frame.values)
        sampled = evenly.of(len(frame))
        times.append(frame.timestamps[sampled].copy())
        sample.append(frame.values[sampled].copy())
    timestamps, values = np.concatenate(times), np.concatenate(sample)
    missing = train.manifest.missing or {}
    distributions = [
        _distribution(timestamps, values[:, column], missing.get(name, 0) / train.manifest.rows)
        for column, name in enumerate(train.channels)
    ]
    quantiles = np.quantile(values, QUANTILES, axis=0, overwrite_input=True)
    return {
        name: ChannelStatistics(
            mean=float(moments.mean[column]),
            std=float(moments.std[column]),
            quantiles={str(level): float(quantiles[row, column]) for row, level in enumerate(QUANTILES)},
            distribution=distributions[column],
        )
        for column, name in enumerate(train.channels)
    }


def _distribution(timestamps: Timestamps, values: Float32Array, missing_share: float) -> Distribution:
    """Return the distribution of a scaled channel, [rows], without its missing values.

    The scaling has made them 0, which other values hardly are. Where zeros are much more frequent than missing values,
    0 is a value of the channel, and missing ones count as such.
    """
    zero = values == 0
    if 0 < zero.mean() <= _MOST_ZEROS * missing_share and not zero.all():
        timestamps, values = timestamps[~zero], values[~zero]
    return Distribution.of(timestamps, values.astype(np.float64), missing_share)


def max_gap(dataset: Dataset) -> int | None:
    """Return the longest time step of a dataset in nanoseconds that is not a gap; None for fewer than two rows."""
    timestamps, rows = [], 0
    for frame in dataset.frames(channels=()):
        timestamps.append(frame.timestamps)
        rows += len(frame)
        if rows > GAP_SAMPLE:
            break
    return default_max_gap(np.concatenate(timestamps))
