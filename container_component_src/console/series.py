"""Score, measured and expected values around an alarm, in few enough points for a plot."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from container_component_src.alarms.alarm import Alarm
from container_component_src.arrays import Float32Array, Timestamps
from container_component_src.console.payload_index import PayloadIndex
from container_component_src.evaluation.expected import Buckets, MinMaxBuckets
from container_component_src.telemetry.arrow import timestamps_of, to_numpy
from container_component_src.telemetry.payload_log import TIMESTAMP, Period, expected_in, payloads_of, values_in
from container_component_src.telemetry.smoothing import default_max_gap

MOST_POINTS = 300  # of a curve
LEAST_MARGIN = 15 * 60 * 10**9  # nanoseconds that are shown before and after an alarm
LONGEST = 2 * 86_400 * 10**9  # nanoseconds of one plot; of a longer alarm, its beginning is shown
_MILLISECOND = 10**6

Ranges = Mapping[str, tuple[float, float]]  # usual values by channel


def alarm_series(payloads: PayloadIndex, alarm: Alarm, ranges: Ranges) -> dict[str, Any]:
    """Return the curves of an alarm as JSON.

    Args:
        payloads: Index of the payload log.
        alarm: The alarm; its channels are those that moved.
        ranges: Usual values by channel, in engineering units.

    Returns:
        Times in milliseconds since 1970-01-01 UTC, and for the score and each channel the least and the greatest value
        at each. Where these differ, several rows are one point. null: there is no value, or a gap.
    """
    period, channels = _period(alarm), [item.channel for item in alarm.channels]
    times, values = _rows(payloads, period, channels, alarm.model_version)
    found = {"start": period.start // _MILLISECOND, "end": period.end // _MILLISECOND, "rows": len(times)}
    if not len(times):
        return {**found, "times": [], "score": None, "channels": []}
    points = _points(times, values)
    low, high = points.low, points.high
    columns = len(channels)
    return {
        **found,
        "times": (points.timestamps // _MILLISECOND).tolist(),
        "score": _curve(low, high, 0),
        "channels": [
            {
                "channel": item.channel,
                "share": item.share,
                "range": ranges.get(item.channel),
                "measured": _curve(low, high, 1 + place),
                "expected": _curve(low, high, 1 + columns + place),
            }
            for place, item in enumerate(alarm.channels)
        ],
    }


def _period(alarm: Alarm) -> Period:
    margin = max(LEAST_MARGIN, (alarm.end - alarm.start) // 2)
    start = alarm.start - margin
    return Period(start, min(alarm.end + margin, start + LONGEST) + 1)


def _rows(
    payloads: PayloadIndex, period: Period, channels: Sequence[str], version: str
) -> tuple[Timestamps, Float32Array]:
    """Return timestamps [rows], ascending, and score, measured and expected values [rows, 1 + 2 x channels]."""
    tables = [
        _of_model(table, version) for table in payloads_of(payloads.files(period), channels, period, by="timestamp")
    ]
    tables = [table for table in tables if table.num_rows]
    if not tables:
        return np.empty(0, dtype=np.int64), np.empty((0, 1 + 2 * len(channels)), dtype=np.float32)
    table = pa.concat_tables(tables)
    # A row that was sent twice counts once.
    times, first = np.unique(timestamps_of(table.column(TIMESTAMP)), return_index=True)
    smoothed, scores = (to_numpy(table.column(name)) for name in ("smoothed_score", "score"))
    score = np.where(np.isnan(smoothed), scores, smoothed).astype(np.float32)
    values = np.concatenate([score[:, np.newaxis], values_in(table, channels), expected_in(table, channels)], axis=1)
    return times, values[first]


def _of_model(table: pa.Table, version: str) -> pa.Table:
    """Return the rows that a model has scored; another one may answer a part of the requests."""
    versions = table.column("model_version").to_pylist()
    return table.filter(pa.array([found == version for found in versions]))


def _points(times: Timestamps, values: Float32Array) -> Buckets:
    """Return at most `MOST_POINTS` points, and one without values in each gap."""
    buckets = MinMaxBuckets(MOST_POINTS)
    buckets.push(times, values)
    found = buckets.buckets()
    assert found is not None  # noqa: S101 - there are rows
    gap = default_max_gap(found.timestamps)
    after = np.flatnonzero(np.diff(found.timestamps) > gap) + 1 if gap else np.empty(0, dtype=np.int64)
    return Buckets(
        np.insert(found.rows, after, 0),
        np.insert(found.timestamps, after, found.timestamps[after] - 1),
        np.insert(found.low, after, np.nan, axis=0),
        np.insert(found.high, after, np.nan, axis=0),
    )


def _curve(low: Float32Array, high: Float32Array, column: int) -> dict[str, Any]:
    return {name: np.ascontiguousarray(values[:, column]) for name, values in (("low", low), ("high", high))}
