"""Channels that a score comes from, by what they contribute beyond the usual."""

from collections.abc import Callable

import numpy as np

from container_component_src.alarms.tracker import Channels, ChannelShare
from container_component_src.arrays import Float32Array, Float64Array, IntArray, Timestamps
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.steps.calibration import Smoothing
from container_component_src.telemetry.series import Context
from container_component_src.telemetry.smoothing import segment_starts, smooth

_BLOCK_ROWS = 1_024  # of which a copy stays in the processor's cache


class PeakChannels:
    """Names the channels of single rows of a series that is given in consecutive pieces, as an answer to all rows does.

    Only the rows that are asked for are smoothed.

    Args:
        info: Description of the bundle that scores the rows.
        count: Number of channels to name, at most all.
    """

    def __init__(self, info: BundleInfo, count: int) -> None:
        self._info = info
        self._count = min(count, len(info.channels))
        self._context_rows = info.smoother().context_rows
        self._context: Context[np.float32] = Context(self._context_rows)

    def push(self, timestamps: Timestamps, contributions: Float32Array) -> Callable[[int], Channels]:
        """Return a function that returns the channels of a row of this piece by its position, largest share first.

        Args:
            timestamps: Shape [rows], ascending.
            contributions: Contribution of each channel to the score, nats, [rows, channels].
        """
        all_timestamps, all_contributions, known = self._context.extend(timestamps, contributions)

        def channels_at(row: int) -> Channels:
            window = slice(max(0, known + row - self._context_rows), known + row + 1)
            values = excess(self._info, all_contributions[window], all_timestamps[window])[-1:]
            top, shares = take_largest_shares(values, self._count)
            names = self._info.channels
            return tuple(ChannelShare(names[i], share) for i, share in zip(top[0], shares[0].tolist(), strict=True))

        return channels_at


def excess(info: BundleInfo, contributions: Float32Array, timestamps: Timestamps | None) -> Float32Array:
    """Return the contributions less their means in the calibration data, nats, [rows, channels].

    Args:
        info: Description of the bundle that scored the rows.
        contributions: Contribution of each channel to the score, nats, [rows, channels].
        timestamps: Shape [rows]; with them, the excess is smoothed as the scores are, where means stand in for medians.
    """
    beyond = contributions - info.calibrated.usual_nats
    if timestamps is None or (window := info.smoother().window) == 1:
        return beyond
    settings = info.calibrated.settings
    # The median of a sum is no sum of medians.
    method = Smoothing.MEAN if settings.smoothing is Smoothing.MEDIAN else settings.smoothing
    starts = segment_starts(timestamps, info.max_gap_ns)
    return smooth(beyond.astype(np.float64), starts, method, window).astype(np.float32)


def take_largest_shares(values: Float32Array, count: int) -> tuple[IntArray, Float64Array]:
    """Return the columns of the largest values of each row and their shares in its sum; see `take_largest`."""
    blocks = np.split(values, range(_BLOCK_ROWS, len(values), _BLOCK_ROWS))
    total = np.concatenate([np.maximum(block, 0.0).sum(axis=1, keepdims=True, dtype=np.float64) for block in blocks])
    top, largest = take_largest(values, count)
    return top, np.divide(np.maximum(largest, 0.0), total, out=np.zeros(top.shape), where=total > 0)


def take_largest(values: Float32Array, count: int) -> tuple[IntArray, Float32Array]:
    """Return the column and the value of the largest values of each row, largest first, each of shape [rows, count].

    This overwrites these values with negative infinity.
    """
    rows = np.arange(len(values))
    top, largest = np.empty((len(values), count), dtype=np.int64), np.empty((len(values), count), dtype=np.float32)
    for rank in range(count):  # for a few columns, passes take a quarter of the time of np.argpartition
        top[:, rank] = columns = values.argmax(axis=1)
        largest[:, rank] = values[rows, columns]
        values[rows, columns] = -np.inf
    return top, largest
