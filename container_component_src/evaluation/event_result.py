"""What an evaluation knows of one event."""

from typing import Literal

from container_component_src.evaluation.numbers import Finite, Floats, Fraction
from container_component_src.values import Frozen


class ChannelExcess(Frozen):
    """Mean contribution of a channel to the score during an event, beyond its mean on the calibration data."""

    channel: str
    excess: Finite  # nats


class ExpectedChannel(Frozen):
    """Values of a channel that the model expected, in the units of the archives."""

    channel: str
    low: Floats  # minimum of each bucket of rows
    high: Floats  # maximum


class Expectation(Frozen):
    """What the model expected around an event of the channels that moved, in buckets of consecutive rows."""

    timestamps: tuple[int, ...] = ()  # of the first row of each bucket, nanoseconds since 1970 UTC
    channels: tuple[ExpectedChannel, ...] = ()  # largest excess first


class SimilarEvent(Frozen):
    """An event in which the score comes from similar channels; see `similar_events`."""

    position: int  # of the event in the result, from 0
    similarity: Fraction


class _Event(Frozen):
    id: str
    symbol: str
    title: str
    start: int  # nanoseconds since 1970 UTC
    end: int  # exclusive
    rows: int


class EventResult(_Event):
    """One anomaly with rows in the test data."""

    detected: bool  # whether it overlaps an alarm of the model
    delay_s: Finite | None  # from its start until its first alarm is raised; negative if that was before
    alarms: int  # that overlap it
    alarm_start: int | None = None  # of the first of them: the row at which the score crosses the alarm threshold
    causes: tuple[str, ...] = ()  # channels that the report names
    origin: Literal["report", "verdict"] = "report"  # a row of the anomaly reports, or the verdict on an alarm
    peak_score: Finite  # largest smoothed score
    top_channels: tuple[ChannelExcess, ...]  # largest first
    expected: Expectation = Expectation()
    similar: tuple[SimilarEvent, ...] = ()  # most similar first


class RareNominalEvent(_Event):
    """One event with rows in the test data that operators judged as normal, but rare."""

    alarms: int  # that overlap it
    peak_score: Finite  # largest smoothed score
