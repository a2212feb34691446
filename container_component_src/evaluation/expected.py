"""Values that the model expects around events, in the units of the archives and in few points."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from container_component_src.arrays import Float32Array, IntArray, Timestamps
from container_component_src.evaluation.event_result import ChannelExcess, Expectation, ExpectedChannel
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.telemetry.events import Event, row_bounds
from container_component_src.telemetry.smoothing import GAP_FACTOR

MARGIN_STEPS = 120  # minimum number of time steps that are shown before and after an event
MOST_CHANNELS = 3  # of an event
LEAST_SHARE = 0.05  # of the largest excess; a channel with less has hardly moved
MOST_BUCKETS = 200  # of an event
ALL_BUCKETS = 4_000  # of all events together, which bounds the memory and the size of the result
DIGITS = 7  # significant ones, as many as float32 has
_EARLIEST, _LATEST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


def margin(start: int, end: int, step: int) -> int:
    """Return how much is shown before and after an event or alarm at least: half of its duration, nanoseconds.

    Args:
        start: Start, nanoseconds.
        end: End, nanoseconds.
        step: Mean time step, nanoseconds.
    """
    return max((end - start) // 2, MARGIN_STEPS * step)


def moved_channels(ranking: Sequence[ChannelExcess]) -> tuple[str, ...]:
    """Return the channels of an event that moved: those with the largest excess, at least one.

    Args:
        ranking: Channels of the event, largest excess first.
    """
    least = LEAST_SHARE * ranking[0].excess
    moved = [item.channel for item in ranking[:MOST_CHANNELS] if item.excess > 0 and item.excess >= least]
    return tuple(moved) or (ranking[0].channel,)


class Buckets(NamedTuple):
    """Consecutive rows, some in one bucket."""

    rows: IntArray  # number of the first row of each bucket, [buckets]
    timestamps: Timestamps  # of that row, [buckets]
    low: Float32Array  # [buckets, channels]
    high: Float32Array  # [buckets, channels]

    def before(self, other: "Buckets") -> "Buckets":
        """Return these buckets and those after them."""
        return Buckets(
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.timestamps, other.timestamps]),
            np.concatenate([self.low, other.low]),
            np.concatenate([self.high, other.high]),
        )


class MinMaxBuckets:
    """Keeps minimum and maximum of each channel in at most so many buckets, which double whenever there are too many.

    The result does not depend on the pieces in which the rows are given.

    Args:
        most: Maximum number of buckets.
        bucket_rows: Rows of a bucket at first.
    """

    def __init__(self, most: int, bucket_rows: int = 1) -> None:
        self._most = most
        self._bucket_rows = bucket_rows
        self._rows = 0
        self._kept: Buckets | None = None

    def push(self, timestamps: Timestamps, values: Float32Array) -> None:
        """Add the next rows: timestamps [rows] and values [rows, channels]."""
        rows = self._rows + np.arange(len(timestamps))
        self._rows += len(timestamps)
        while self._rows > self._most * self._bucket_rows:
            self._bucket_rows *= 2
        found = self._grouped(Buckets(rows, timestamps, values, values))
        self._kept = found if self._kept is None else self._grouped(self._kept.before(found))

    def buckets(self) -> Buckets | None:
        """Return the buckets; None without a row."""
        return self._kept

    def _grouped(self, parts: Buckets) -> Buckets:
        starts = np.flatnonzero(np.diff(parts.rows // self._bucket_rows, prepend=-1))
        low, high = np.minimum.reduceat(parts.low, starts), np.maximum.reduceat(parts.high, starts)
        return Buckets(parts.rows[starts], parts.timestamps[starts], low, high)


class ExpectedValues:
    """Values of all channels that a model expects around events, kept while the rows are scored.

    Which channels moved is known at the end, so all are kept until then.

    Args:
        info: Description of the model.
        events: Events; they may overlap.
    """

    def __init__(self, info: BundleInfo, events: Sequence[Event]) -> None:
        self._info = info
        step = (info.max_gap_ns or 0) // GAP_FACTOR
        self._windows = {event: _widest_window(event, step) for event in events}
        most = max(1, min(MOST_BUCKETS, ALL_BUCKETS // max(len(events), 1)))
        self._buckets = {
            event: MinMaxBuckets(most, -(-(window.end - window.start) // (step * most)) if step else 1)
            for event, window in self._windows.items()
        }

    def add(self, timestamps: Timestamps, expected: Float32Array) -> None:
        """Add the next rows: timestamps [rows] and expected values [rows, channels] in scaled units."""
        bounds = row_bounds(timestamps, list(self._windows.values()))
        for buckets, (first, stop) in zip(self._buckets.values(), bounds.tolist(), strict=True):
            if first < stop:
                buckets.push(timestamps[first:stop], expected[first:stop])

    def of(self, event: Event, channels: Sequence[str]) -> Expectation:
        """Return what was expected of some channels around an event."""
        found = self._buckets[event].buckets()
        if found is None:
            return Expectation()
        scaler, columns = self._info.scaler, [self._info.channels.index(name) for name in channels]
        low, high = (scaler.inverse_transform(part) if scaler else part for part in (found.low, found.high))
        return Expectation(
            timestamps=tuple(found.timestamps.tolist()),
            channels=tuple(
                ExpectedChannel(channel=name, low=_rounded(low[:, column]), high=_rounded(high[:, column]))
                for name, column in zip(channels, columns, strict=True)
            ),
        )


def _widest_window(event: Event, step: int) -> Event:
    """Return the longest time that the report shows of an event, in which alarms are that overlap it."""
    beyond = 3 * margin(event.start, event.end, step)
    start, end = max(event.start - beyond, _EARLIEST), min(event.end + beyond, _LATEST)
    return Event(id=event.id, start=start, end=end)


def _rounded(values: Float32Array) -> tuple[float, ...]:
    return tuple(float(f"{value:.{DIGITS}g}") for value in values.tolist())
