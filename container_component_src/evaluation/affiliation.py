"""Affiliation precision and recall: how much closer alarms are to the events than random alarms would be.

Huet, Navarro & Rossi 2022, "Local Evaluation of Time Series Anomaly Detection Algorithms". Each event has the zone of
the rows that are closer to it than to other events. The precision of a zone is the mean over its alarms of the
probability that a random row of the zone is farther from the event than the alarm; the recall is the mean over the rows
of the event of the probability that a random row of the zone is farther from them than the nearest alarm. Row `i` is
the interval from `i` to `i + 1`, so the means are integrals, of functions that are linear between a few points.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from container_component_src.arrays import BoolArray, Float64Array, IntArray
from container_component_src.evaluation.runs import runs_of


class Affiliation(NamedTuple):
    """Means over the zones, each between 0 and 1."""

    precision: float | None  # over the zones with alarms; None if there is no alarm
    recall: float


def affiliation(anomalous: BoolArray, alarms: BoolArray) -> Affiliation:
    """Return the affiliation precision and recall.

    Args:
        anomalous: Rows in events, [rows]; at least one is. Events that touch are one.
        alarms: Rows in alarm, [rows].
    """
    pieces = _pieces(runs_of(anomalous), runs_of(alarms), len(alarms))
    alarm_rows, event_rows = pieces.total(pieces.length, pieces.alarm), pieces.total(pieces.length, pieces.event)
    with_alarms = alarm_rows > 0
    recalls = pieces.total(_recall(pieces), pieces.event) / event_rows * with_alarms
    precisions = pieces.total(_precision(pieces), pieces.alarm)[with_alarms] / alarm_rows[with_alarms]
    precision = float(np.clip(precisions.mean(), 0, 1)) if with_alarms.any() else None
    return Affiliation(precision, float(np.clip(recalls.mean(), 0, 1)))


class _Pieces(NamedTuple):
    """Intervals that no bound of a zone, an event or a run of alarms divides, ascending; [pieces] each."""

    left: Float64Array
    right: Float64Array
    event: BoolArray  # whether they lie in an event
    alarm: BoolArray  # whether they lie in an alarm
    zone: IntArray
    zones: Float64Array  # start and end of the zone, [2, pieces]
    events: IntArray  # start and end of the event of the zone, [2, pieces]

    @property
    def length(self) -> Float64Array:
        return self.right - self.left

    def total(self, values: Float64Array, where: BoolArray) -> Float64Array:
        """Return the sum over the pieces of each zone, [zones]."""
        return np.bincount(self.zone[where], values[where], minlength=self.zone[-1] + 1).astype(np.float64)

    def integral(self, function: Callable[[Float64Array], Float64Array], *bends: Float64Array) -> Float64Array:
        """Return the integral over each piece of a function that is linear but for its bends, [pieces]."""
        inner = [np.clip(bend, self.left, self.right) for bend in bends]
        points = np.sort([self.left, *inner, self.right], axis=0)
        values = function(points)
        return np.asarray(((values[1:] + values[:-1]) / 2 * np.diff(points, axis=0)).sum(axis=0))


def _pieces(events: IntArray, alarms: IntArray, rows: int) -> _Pieces:
    edges = np.concatenate([[0], (events[:-1, 1] + events[1:, 0]) / 2, [rows]])  # halfway between two events
    points = np.unique(np.concatenate([edges, events.ravel(), alarms.ravel()]))
    left = points[:-1]
    zone = np.searchsorted(edges, left, side="right") - 1
    return _Pieces(
        left=left,
        right=points[1:],
        event=_covered(left, events),
        alarm=_covered(left, alarms),
        zone=zone,
        zones=np.stack([edges[zone], edges[zone + 1]]),
        events=events[zone].T,
    )


def _covered(points: Float64Array, runs: IntArray) -> BoolArray:
    """Return which points are in a half-open run."""
    return np.searchsorted(runs[:, 0], points, side="right") > np.searchsorted(runs[:, 1], points, side="right")


def _precision(pieces: _Pieces) -> Float64Array:
    """Return the integral of the probability that a random row is farther from the event, [pieces]."""
    (zone_start, zone_end), (start, end) = pieces.zones, pieces.events
    nearer_side = np.minimum(start - zone_start, zone_end - end)

    def closer(at: Float64Array) -> Float64Array:
        """Return the rows of the zone that are outside of the event and closer to it."""
        distance = np.maximum(start - at, at - end)
        return np.asarray(distance + np.minimum(distance, nearer_side))

    outside = pieces.integral(closer, start - nearer_side, end + nearer_side) + pieces.length * (end - start)
    return np.where(pieces.event, pieces.length, pieces.length - outside / (zone_end - zone_start))


def _recall(pieces: _Pieces) -> Float64Array:
    """Return the integral of the probability that a random row is farther than the nearest alarm, [pieces]."""
    zone_start, zone_end = pieces.zones
    before, after = _nearest_alarms(pieces)

    def closer(at: Float64Array) -> Float64Array:
        """Return the rows of the zone that are closer than the nearest alarm."""
        distance = np.minimum(at - before, after - at)
        return np.asarray(distance + np.minimum(distance, np.minimum(at - zone_start, zone_end - at)))

    bends = ((before + after) / 2, (zone_start + zone_end) / 2, (before + zone_end) / 2, (after + zone_start) / 2)
    return np.where(
        pieces.alarm, pieces.length, pieces.length - pieces.integral(closer, *bends) / (zone_end - zone_start)
    )


def _nearest_alarms(pieces: _Pieces) -> tuple[Float64Array, Float64Array]:
    """Return the end of the last alarm before and the start of the first after each piece in its zone, [pieces] each.

    Where there is none, it is so far outside of the zone that it never is the nearest.
    """
    index = np.arange(len(pieces.left))
    last = np.maximum.accumulate(np.where(pieces.alarm, index, 0))
    following = np.minimum.accumulate(np.where(pieces.alarm, index, index[-1])[::-1])[::-1]
    far = 2 * pieces.right[-1]
    before = np.where(pieces.alarm[last] & (pieces.zone[last] == pieces.zone), pieces.right[last], -far)
    after = np.where(pieces.alarm[following] & (pieces.zone[following] == pieces.zone), pieces.left[following], far)
    return before, after
