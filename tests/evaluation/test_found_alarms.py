"""Alarms in labelled data: which events they overlap, and their records."""

import numpy as np
from hypothesis import given

from container_component_src.alarms.alarm import AlarmSource
from container_component_src.alarms.rule import AlarmRule
from container_component_src.evaluation.found_alarms import FoundAlarms
from container_component_src.evaluation.labelled_scores import LabelledScores
from tests.evaluation.labelled_data import above, event, labelled, random_data, random_rules


def test_touching_and_overlapping_events_are_detected_separately() -> None:
    events = [event(2, 4, "A"), event(4, 6, "B"), event(5, 8, "C"), event(50, 60, "without rows")]
    alarms = above(labelled(list(range(10)), [0, 0, 0, 0, 0, 9, 0, 0, 0, 0], events), 1.0)
    assert alarms.detected.tolist() == [False, True, True]
    assert alarms.delays_s.tolist() == [1.0, 0.0]
    assert alarms.false.tolist() == [False]


def test_an_alarm_that_ends_as_an_event_starts_or_starts_as_it_ends_is_false() -> None:
    alarms = above(labelled(list(range(8)), [0, 9, 0, 0, 9, 9, 0, 0], [event(2, 4)]), 1.0)
    assert alarms.bounds.tolist() == [[1, 2], [4, 6]]
    assert alarms.false.tolist() == [True, True]
    assert not alarms.detected.any()


def test_an_alarm_that_starts_before_an_event_and_lasts_into_it_is_not_false() -> None:
    alarms = above(labelled(list(range(8)), [0, 9, 9, 0, 0, 0, 0, 0], [event(2, 4)]), 1.0)
    assert alarms.false.tolist() == [False]
    assert alarms.delays_s.tolist() == [-1.0]


def test_without_alarms_there_are_no_bounds() -> None:
    alarms = above(labelled(list(range(8)), [0.0] * 8, [event(2, 4)]), 1.0)
    assert (alarms.bounds.shape, alarms.false.shape, alarms.delays_s.shape) == ((0, 2), (0,), (0,))
    assert alarms.records(AlarmSource("v", alarms.rule)) == []


def test_gaps_end_an_alarm() -> None:
    data = labelled([0, 1, 2, 3, 1000, 1001, 1002, 1003], [0, 0, 0, 9, 9, 0, 0, 0], [event(1, 2)])
    assert above(data, 1.0).bounds.tolist() == [[3, 4], [4, 5]]


def test_records_name_the_events_that_they_overlap() -> None:
    data = labelled(
        list(range(10)), [9, 0, 9, 9, 9, 0, 0, 9, 0, 0], [event(1, 3, "A"), event(4, 8, "B"), event(4, 5, "C")]
    )
    alarms = above(data, 1.0)
    records = alarms.records(AlarmSource("version", alarms.rule))
    assert [record.events for record in records] == [(), ("A", "C", "B"), ("B",)]
    assert [(record.start, record.end) for record in records] == [(span.start, span.end) for span in alarms.spans]
    assert {record.state for record in records} == {"closed"}


@given(random_data(), random_rules())
def test_overlaps_equal_those_of_every_alarm_with_every_event(data: LabelledScores, rule: AlarmRule) -> None:
    alarms = FoundAlarms.by(rule, data)
    overlaps = np.array(
        [[max(first, begin) < min(stop, end) for begin, end in data.event_bounds] for first, stop in alarms.bounds],
        dtype=bool,
    ).reshape(len(alarms.spans), len(data.event_bounds))
    assert alarms.alarms_per_event.tolist() == overlaps.sum(axis=0).tolist()
    assert alarms.false.tolist() == (~overlaps.any(axis=1)).tolist()
    named = [set(record.events or ()) for record in alarms.records(AlarmSource("v", rule))]
    ids = [item.id for item in data.events_with_rows]
    assert named == [{ids[i] for i in np.flatnonzero(row)} for row in overlaps]
    # Every row in alarm is part of an alarm.
    inside = [any(first <= row < stop for first, stop in alarms.bounds) for row in np.flatnonzero(alarms.rows)]
    assert all(inside)
