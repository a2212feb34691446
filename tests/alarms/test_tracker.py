"""Tests of the state machine of alarms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.alarms.rule import AlarmRule
from container_component_src.alarms.tracker import AlarmState, AlarmTracker, ChannelShare, Span, find_alarms

RULE = AlarmRule(raise_above=5, clear_below=2)


def spans_of(scores: list[float], rule: AlarmRule = RULE, times: list[int] | None = None) -> list[tuple[int, int, int]]:
    """Return (start, raised, end) of the alarms of scores at the times 0, 1, …"""
    timestamps = np.array(times or range(len(scores)), dtype=np.int64)
    found, _ = find_alarms(timestamps, np.array(scores, dtype=np.float64), rule)
    return [(span.start, span.raised or 0, span.end) for span in found]


def test_an_alarm_lasts_until_scores_fall_to_the_lower_level() -> None:
    assert spans_of([0, 3, 6, 3, 2.5, 2, 3, 6, 0]) == [(2, 2, 4), (7, 7, 7)]


def test_a_score_at_a_level_is_not_above_it() -> None:
    assert spans_of([5, 5, 2, 5]) == []


def test_an_alarm_is_raised_once_it_has_lasted_long_enough() -> None:
    rule = RULE.model_copy(update={"min_duration_ns": 2})
    assert spans_of([6, 3, 0, 6, 3, 3, 3, 0], rule) == [(3, 5, 6)]


def test_close_alarms_are_one() -> None:
    rule = RULE.model_copy(update={"merge_gap_ns": 3})
    assert spans_of([6, 0, 0, 6, 0, 0, 0, 6], rule) == [(0, 0, 3), (7, 7, 7)]


def test_a_gap_in_the_data_ends_an_alarm_for_good() -> None:
    rule = RULE.model_copy(update={"merge_gap_ns": 100, "max_gap_ns": 5})
    assert spans_of([6, 6, 6, 6], rule, times=[0, 1, 7, 8]) == [(0, 0, 1), (7, 7, 8)]


def test_rows_are_in_alarm_from_the_one_that_raises_it() -> None:
    rule = RULE.model_copy(update={"min_duration_ns": 1, "merge_gap_ns": 2})
    _, in_alarm = find_alarms(np.arange(6), np.array([6.0, 3, 3, 0, 6, 0]), rule)
    assert in_alarm.tolist() == [False, True, True, False, True, False]


def test_an_alarm_knows_its_peak_and_the_channels_there() -> None:
    tracker = AlarmTracker(RULE)
    tracked = tracker.push(np.arange(4), np.array([6.0, 8, 7, 8]), lambda row: (ChannelShare(f"channel {row}", 1.0),))
    assert tracked.changes[-1].span == Span(0, 0, 3, 4, 1, 8.0, (ChannelShare("channel 1", 1.0),))


def test_forced_rows_are_in_alarm_whatever_their_score() -> None:
    tracker = AlarmTracker(RULE)
    forced = np.array([False, True, True, False])
    tracked = tracker.push(np.arange(4), np.zeros(4), forced=forced)
    assert np.array_equal(tracked.in_alarm, forced)


def test_levels_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match=r"clear_below 2\.0 is above raise_above 1\.0"):
        AlarmRule(raise_above=1, clear_below=2)


@given(
    scores=st.lists(st.sampled_from([0.0, 3.0, 6.0, 7.0]), max_size=40),
    steps=st.lists(st.sampled_from([1, 2, 9]), min_size=40, max_size=40),
    cuts=st.sets(st.integers(0, 40)),
    min_duration=st.integers(0, 4),
    merge_gap=st.integers(0, 6),
)
def test_alarms_do_not_depend_on_how_scores_are_cut(
    scores: list[float], steps: list[int], cuts: set[int], min_duration: int, merge_gap: int
) -> None:
    rule = AlarmRule(raise_above=5, clear_below=2, min_duration_ns=min_duration, merge_gap_ns=merge_gap, max_gap_ns=5)
    timestamps, values = np.cumsum(steps[: len(scores)], dtype=np.int64), np.array(scores)
    whole, in_alarm = find_alarms(timestamps, values, rule)
    tracker, changes, rows = AlarmTracker(rule), [], []
    for piece in np.split(np.arange(len(scores)), sorted(cuts)):
        tracked = tracker.push(timestamps[piece], values[piece])
        changes += tracked.changes
        rows += tracked.in_alarm.tolist()
    changes += tracker.finish()
    assert [change.span for change in changes if change.state is AlarmState.CLOSED] == whole
    assert rows == in_alarm.tolist()
    opened = [change.span.start for change in changes if change.state is AlarmState.OPENED]
    assert opened == [span.start for span in whole]
