"""Alarms in labelled data, and the anomalies and rare nominal events that they overlap."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from container_component_src.alarms.alarm import Alarm, AlarmSource
from container_component_src.alarms.rule import AlarmRule
from container_component_src.alarms.tracker import AlarmState, Change, Span, find_alarms
from container_component_src.arrays import BoolArray, Float64Array, IntArray, Timestamps
from container_component_src.evaluation.labelled_scores import LabelledScores
from container_component_src.telemetry.events import row_bounds
from container_component_src.telemetry.smoothing import NANOSECONDS_PER_SECOND


@dataclass(frozen=True)
class FoundAlarms:
    """Alarms that a rule finds in labelled data.

    An alarm overlaps an event if a row of the event lies between its start and its end, both included. A detected event
    overlaps at least one alarm; a false alarm overlaps no event. An alarm that overlaps rare nominal events and no
    anomaly is kept apart: it is neither false nor does it detect anything, and no metric counts it or the rows of these
    events. The other alarms are `spans`, and the other rows are `data`.
    """

    scored: LabelledScores  # all rows
    rule: AlarmRule
    found: Sequence[Span]  # all alarms that have been raised and closed, in order of time
    in_alarm: BoolArray  # [scored rows]

    @classmethod
    def by(cls, rule: AlarmRule, scored: LabelledScores) -> "FoundAlarms":
        """Return the alarms that scores raise."""
        return cls(scored, rule, *find_alarms(scored.timestamps, scored.scores, rule))

    @property
    def data(self) -> LabelledScores:
        """The rows that metrics are taken from."""
        return self.scored.compared

    @cached_property
    def rows(self) -> BoolArray:
        """Which of these rows are in alarm, [rows]."""
        return self.in_alarm if self.data is self.scored else self.in_alarm[~self.scored.is_rare]

    @cached_property
    def spans(self) -> Sequence[Span]:
        """Alarms that are not kept apart, in order of time."""
        return [span for span, is_apart in zip(self.found, self.apart.tolist(), strict=True) if not is_apart]

    @cached_property
    def apart(self) -> BoolArray:
        """Which of all alarms are kept apart, [found]."""
        bounds = self._found_bounds
        return _overlapping(bounds, self._rare_bounds) & ~_overlapping(bounds, self.scored.event_bounds)

    @cached_property
    def alarms_per_rare_event(self) -> IntArray:
        """Number of all alarms that overlap each rare nominal event with rows, [rare events]."""
        return np.diff(_positions(self._found_bounds, self._rare_bounds), axis=1)[:, 0]

    @cached_property
    def rare_peaks(self) -> Float64Array:
        """Largest score of each rare nominal event with rows, [rare events]."""
        return self.scored.peaks(self._rare_bounds)

    @cached_property
    def _found_bounds(self) -> IntArray:
        """First scored row of each of all alarms and the row after its last, [found, 2]."""
        return _rows_of(self.found, self.scored.timestamps)

    @cached_property
    def _rare_bounds(self) -> IntArray:
        """First scored row of each rare nominal event with rows and the row after its last, [rare events, 2]."""
        return row_bounds(self.scored.timestamps, self.scored.rare_with_rows)

    @cached_property
    def bounds(self) -> IntArray:
        """First row of each alarm and the row after its last, [alarms, 2]."""
        return _rows_of(self.spans, self.data.timestamps)

    @cached_property
    def raised(self) -> Timestamps:
        """Time at which each alarm is raised, [alarms]."""
        return np.array([span.raised for span in self.spans], dtype=np.int64)

    @cached_property
    def of_event(self) -> IntArray:
        """Position of the first alarm that overlaps each anomaly, and the one after the last, [events, 2]."""
        return _positions(self.bounds, self.data.event_bounds)

    @cached_property
    def alarms_per_event(self) -> IntArray:
        """Number of alarms that overlap each anomaly, [events]."""
        return np.diff(self.of_event, axis=1)[:, 0]

    @cached_property
    def detected(self) -> BoolArray:
        """Which anomalies are detected, [events]."""
        return np.asarray(self.alarms_per_event > 0)

    @cached_property
    def false(self) -> BoolArray:
        """Which alarms are false, [alarms]."""
        return ~_overlapping(self.bounds, self.data.event_bounds)

    @cached_property
    def delays_s(self) -> Float64Array:
        """Seconds from the start of each detected anomaly until its first alarm is raised, [detected].

        They are negative where it is raised before the anomaly.
        """
        starts = self.data.event_starts[self.detected]
        return np.asarray((self.raised[self.of_event[self.detected, 0]] - starts) / NANOSECONDS_PER_SECOND)

    def records(self, source: AlarmSource) -> list[Alarm]:
        """Return the records of all alarms, with the IDs of the anomalies and rare nominal events that they overlap."""
        scored = self.scored
        events: list[tuple[str, ...]] = [()] * len(self.found)
        for known, rows in ((scored.events_with_rows, scored.event_bounds), (scored.rare_with_rows, self._rare_bounds)):
            for event, (begin, stop) in zip(known, _positions(self._found_bounds, rows).tolist(), strict=True):
                for position in range(begin, stop):
                    events[position] += (event.id,)
        return [
            source.alarm(Change(AlarmState.CLOSED, span)).model_copy(update={"events": ids})
            for span, ids in zip(self.found, events, strict=True)
        ]


def _rows_of(spans: Sequence[Span], timestamps: Timestamps) -> IntArray:
    """Return the first row of each alarm and the row after its last, [alarms, 2]; it may start or end between rows."""
    starts, ends = np.array([(span.start, span.end) for span in spans], dtype=np.int64).reshape(-1, 2).T
    return np.column_stack([np.searchsorted(timestamps, starts), np.searchsorted(timestamps, ends, side="right")])


def _positions(alarms: IntArray, events: IntArray) -> IntArray:
    """Return the first alarm that overlaps each event, and the one after the last, [events, 2].

    Args:
        alarms: First row of each alarm and the row after its last, [alarms, 2], disjoint and in order.
        events: First row of each event and the row after its last, [events, 2].
    """
    first, stop = events.T
    return np.column_stack([np.searchsorted(alarms[:, 1], first, side="right"), np.searchsorted(alarms[:, 0], stop)])


def _overlapping(alarms: IntArray, events: IntArray) -> BoolArray:
    """Return which alarms overlap an event, [alarms]; the arguments are those of `_positions`."""
    first, stop = np.sort(events, axis=0).T
    # An alarm overlaps as many events as start before its end, less those that end before its start.
    ended = np.searchsorted(stop, alarms[:, 0], side="right")
    return np.asarray(np.searchsorted(first, alarms[:, 1]) > ended)
