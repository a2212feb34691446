"""Alarms in labelled data, and the reported events that they overlap."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from container_component_src.alarms.alarm import Alarm, AlarmSource
from container_component_src.alarms.rule import AlarmRule
from container_component_src.alarms.tracker import AlarmState, Change, Span, find_alarms
from container_component_src.arrays import BoolArray, Float64Array, IntArray, Timestamps
from container_component_src.evaluation.labelled_scores import LabelledScores
from container_component_src.telemetry.smoothing import NANOSECONDS_PER_SECOND


@dataclass(frozen=True)
class FoundAlarms:
    """Alarms that a rule finds in labelled data.

    An alarm overlaps an event if a row of the event lies between its start and its end, both included. A detected event
    overlaps at least one alarm; a false alarm overlaps no event.
    """

    data: LabelledScores
    rule: AlarmRule
    spans: Sequence[Span]  # alarms that have been raised and closed, in order of time
    rows: BoolArray  # in alarm, [rows]

    @classmethod
    def by(cls, rule: AlarmRule, data: LabelledScores) -> "FoundAlarms":
        """Return the alarms that the scores of the data raise."""
        return cls(data, rule, *find_alarms(data.timestamps, data.scores, rule))

    @cached_property
    def bounds(self) -> IntArray:
        """First row of each alarm and the row after its last, [alarms, 2]."""
        times = np.array([(span.start, span.end) for span in self.spans], dtype=np.int64).reshape(-1, 2).T
        first, last = (np.searchsorted(self.data.timestamps, values) for values in times)
        return np.column_stack([first, last + 1])

    @cached_property
    def raised(self) -> Timestamps:
        """Time at which each alarm is raised, [alarms]."""
        return np.array([span.raised for span in self.spans], dtype=np.int64)

    @cached_property
    def of_event(self) -> IntArray:
        """Position of the first alarm that overlaps each event, and the one after the last, [events, 2]."""
        first, stop = self.data.event_bounds.T
        begin = np.searchsorted(self.bounds[:, 1], first, side="right")
        return np.column_stack([begin, np.searchsorted(self.bounds[:, 0], stop)])

    @cached_property
    def alarms_per_event(self) -> IntArray:
        """Number of alarms that overlap each event, [events]."""
        return np.diff(self.of_event, axis=1)[:, 0]

    @cached_property
    def detected(self) -> BoolArray:
        """Which events are detected, [events]."""
        return np.asarray(self.alarms_per_event > 0)

    @cached_property
    def false(self) -> BoolArray:
        """Which alarms are false, [alarms]."""
        first, stop = np.sort(self.data.event_bounds, axis=0).T
        # An alarm overlaps as many events as start before its end, less those that end before its start.
        ended = np.searchsorted(stop, self.bounds[:, 0], side="right")
        return np.asarray(np.searchsorted(first, self.bounds[:, 1]) == ended)

    @cached_property
    def delays_s(self) -> Float64Array:
        """Seconds from the start of each detected event until its first alarm is raised, [detected].

        They are negative where it is raised before the event.
        """
        starts = self.data.event_starts[self.detected]
        return np.asarray((self.raised[self.of_event[self.detected, 0]] - starts) / NANOSECONDS_PER_SECOND)

    def records(self, source: AlarmSource) -> list[Alarm]:
        """Return the records of the alarms, with the IDs of the events that they overlap."""
        events: list[tuple[str, ...]] = [()] * len(self.spans)
        for event, (begin, stop) in zip(self.data.events_with_rows, self.of_event.tolist(), strict=True):
            for position in range(begin, stop):
                events[position] += (event.id,)
        return [
            source.alarm(Change(AlarmState.CLOSED, span)).model_copy(update={"events": ids})
            for span, ids in zip(self.spans, events, strict=True)
        ]
