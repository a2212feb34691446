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
from container_component_src.telemetry.runs import runs_of


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
    events, runs = runs_of(anomalous), runs_of(alarms)
    edges = np.concatenate([[0], (events[:-1, 1] + events[1:, 0]) / 2, [len(alarms)]])  # halfway between two events
    points = np.unique(np.concatenate([edges, events.ravel(), runs.ravel()]))
    in_event, in_alarm = _covered(points[:-1], events), _covered(points[:-1], runs)

    def pieces(where: BoolArray) -> _Pieces:
        zone = np.searchsorted(edges, points[:-1][where], side="right") - 1
        zones = np.stack([edges[zone], edges[zone + 1]])
        return _Pieces(points[:-1][where], points[1:][where], zone, zones, events[zone].T)

    def total(found: _Pieces, values: Float64Array) -> Float64Array:
        return np.bincount(found.zone, values, minlength=len(events)).astype(np.float64)

    hits, beside, missed = pieces(in_alarm & in_event), pieces(in_alarm & ~in_event), pieces(in_event & ~in_alarm)
    hit_rows = total(hits, hits.length)
    alarm_rows = hit_rows + total(beside, beside.length)
    recalls = (hit_rows + total(missed, _recall(missed, runs))) / np.diff(events, axis=1)[:, 0]
    precisions = (hit_rows + total(beside, _precision(beside)))[alarm_rows > 0] / alarm_rows[alarm_rows > 0]
    precision = float(np.clip(precisions.mean(), 0, 1)) if len(precisions) else None
    return Affiliation(precision, float(np.clip(recalls.mean(), 0, 1)))


class _Pieces(NamedTuple):
    """Intervals that no bound of a zone, an event or a run of alarms divides, [pieces] each."""

    left: Float64Array
    right: Float64Array
    zone: IntArray
    zones: Float64Array  # start and end of the zone, [2, pieces]
    events: IntArray  # start and end of the event of the zone, [2, pieces]

    @property
    def length(self) -> Float64Array:
        return self.right - self.left

    def integral(self, function: Callable[[Float64Array], Float64Array], *bends: Float64Array) -> Float64Array:
        """Return the integral over each piece of a function that is linear but for its bends, [pieces]."""
        inner = [np.clip(bend, self.left, self.right) for bend in bends]
        points = np.sort([self.left, *inner, self.right], axis=0)
        values = function(points)
        return np.asarray(((values[1:] + values[:-1]) / 2 * np.diff(points, axis=0)).sum(axis=0))


def _covered(points: Float64Array, runs: IntArray) -> BoolArray:
    """Return which points are in a half-open run."""
    return np.searchsorted(runs[:, 0], points, side="right") > np.searchsorted(runs[:, 1], points, side="right")


def _precision(beside: _Pieces) -> Float64Array:
    """Return the integral of the probability that a random row is farther from the event, [pieces]."""
    (zone_start, zone_end), (start, end) = beside.zones, beside.events
    nearer_side = np.minimum(start - zone_start, zone_end - end)

    def closer(at: Float64Array) -> Float64Array:
        """Return the rows of the zone that are outside of the event and closer to it."""
        distance = np.maximum(start - at, at - end)
        return np.asarray(distance + np.minimum(distance, nearer_side))

    inner = beside.integral(closer, start - nearer_side, end + nearer_side) + beside.length * (end - start)
    return np.asarray(beside.length - inner / (zone_end - zone_start))


def _recall(missed: _Pieces, alarms: IntArray) -> Float64Array:
    """Return the integral of the probability that a random row is farther than the nearest alarm, [pieces].

    An alarm of another zone does not count. Where there is none on one side, it is so far away that it never is the
    nearest; where there is none at all, the probability is 0.
    """
    zone_start, zone_end = missed.zones
    far = 2 * zone_end.max(initial=0)
    before = np.append(-far, alarms[:, 1])[np.searchsorted(alarms[:, 1], missed.left, side="right")]
    after = np.append(alarms[:, 0], far)[np.searchsorted(alarms[:, 0], missed.right)]
    before, after = np.where(before > zone_start, before, -far), np.where(after < zone_end, after, far)

    def closer(at: Float64Array) -> Float64Array:
        """Return the rows of the zone that are closer than the nearest alarm."""
        distance = np.minimum(at - before, after - at)
        return np.asarray(distance + np.minimum(distance, np.minimum(at - zone_start, zone_end - at)))

    bends = ((before + after) / 2, (zone_start + zone_end) / 2, (before + zone_end) / 2, (after + zone_start) / 2)
    found = missed.length - missed.integral(closer, *bends) / (zone_end - zone_start)
    return np.where((before == -far) & (after == far), 0.0, found)
