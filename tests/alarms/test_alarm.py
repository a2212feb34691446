"""Tests of the records of alarms."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.alarms.alarm import AlarmSource, alarm_id, subsystem_of
from container_component_src.alarms.rule import AlarmRule
from container_component_src.alarms.tracker import AlarmState, Change, ChannelShare, Span
from tests.alarms.alarms import ALARM, START

SUBSYSTEMS = {"*_fan_*": "ventilation", "cabin_*": "atmosphere", "coolant_*": "cooling"}


def shares(**found: float) -> tuple[ChannelShare, ...]:
    return tuple(ChannelShare(name, share) for name, share in found.items())


def test_an_alarm_has_all_that_is_known_of_its_span() -> None:
    source = AlarmSource(
        ALARM.model_version, AlarmRule(raise_above=ALARM.threshold, clear_below=200.0), {"cabin_*": "ventilation"}
    )
    span = Span(ALARM.start, ALARM.raised, ALARM.end, ALARM.rows, ALARM.peak, ALARM.peak_score, ALARM.channels)
    assert source.alarm(Change(AlarmState.CLOSED, span)) == ALARM.model_copy(update={"events": None})


@pytest.mark.parametrize("state", AlarmState)
def test_the_id_stays_the_same_while_an_alarm_lasts(state: AlarmState) -> None:
    source = AlarmSource(ALARM.model_version, AlarmRule(raise_above=5, clear_below=5))
    spans = (Span(START, START, START + rows, rows, START, 6.0 + rows) for rows in (1, 2, 3))
    assert {source.alarm(Change(state, span)).id for span in spans} == {"20210104T031502.5Z-1a2b3c4d"}


@pytest.mark.parametrize(
    ("start", "version", "expected"),
    [
        (0, "1a2b3c4d5e6f", "19700101T000000Z-1a2b3c4d"),
        (START, "1a2b3c4d", "20210104T031502.5Z-1a2b3c4d"),
        (1, "ff", "19700101T000000.000000001Z-ff"),
        (10_000_000_000, "ff", "19700101T000010Z-ff"),
        (-500_000_000, "ff", "19691231T235959.5Z-ff"),
    ],
)
def test_ids(start: int, version: str, expected: str) -> None:
    assert alarm_id(start, version) == expected


@given(st.integers(-(10**18), 8 * 10**18), st.integers(-(10**18), 8 * 10**18))
def test_ids_of_a_model_differ_as_their_starts_do(first: int, second: int) -> None:
    assert (alarm_id(first, "v") == alarm_id(second, "v")) == (first == second)
    assert datetime.strptime(f"{alarm_id(first, 'v')[:15]}+0000", "%Y%m%dT%H%M%S%z").timestamp() == first // 10**9


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (shares(cabin_pressure=0.6, coolant_flow=0.3), "atmosphere"),
        (shares(cabin_fan_speed=0.6), "ventilation"),  # the first pattern that fits counts
        (shares(cabin_pressure=0.4, coolant_flow=0.3, coolant_pump=0.3), "cooling"),  # which has more together
        (shares(power=0.9, coolant_flow=0.1), ""),  # power has no subsystem
        (shares(power=1.0), ""),
        (shares(CABIN_PRESSURE=1.0), ""),  # case counts
        ((), ""),
    ],
)
def test_the_subsystem_is_that_of_the_channels_with_the_largest_share(
    channels: tuple[ChannelShare, ...], expected: str
) -> None:
    assert subsystem_of(channels, SUBSYSTEMS) == expected
