"""Alarms to write and read."""

from hypothesis import strategies as st

from container_component_src.alarms.alarm import Alarm
from container_component_src.alarms.tracker import AlarmState, ChannelShare

START = 1_609_730_102_500_000_000  # 2021-01-04T03:15:02.5 UTC
SECOND = 10**9
ALARM = Alarm(
    id="20210104T031502.5Z-1a2b3c4d",
    state=AlarmState.CLOSED,
    start=START,
    raised=START + 2 * SECOND,
    end=START + 60 * SECOND,
    peak=START + 30 * SECOND,
    peak_score=412.5,
    threshold=250.25,
    rows=61,
    channels=(ChannelShare("cabin_fan_speed", 0.75), ChannelShare("cabin_fan_current", 0.125)),
    subsystem="ventilation",
    model_version="1a2b3c4d5e6f",
    events=("AR-7",),
)

_TIMES = st.integers(-(10**18), 8 * 10**18)  # from 1938 to 2223
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
alarms = st.builds(
    Alarm,
    id=_TEXTS,
    state=st.sampled_from(AlarmState),
    start=_TIMES,
    raised=_TIMES,
    end=_TIMES,
    peak=_TIMES,
    peak_score=_NUMBERS,
    threshold=_NUMBERS,
    rows=st.integers(1, 10**9),
    channels=st.lists(st.builds(ChannelShare, _TEXTS, st.floats(0, 1)), max_size=3).map(tuple),
    subsystem=_TEXTS,
    model_version=_TEXTS,
    events=st.none() | st.lists(_TEXTS, max_size=3).map(tuple),
)
