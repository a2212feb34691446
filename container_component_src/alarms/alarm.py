"""Alarms as operators see them: records with a stable ID, the channels behind them and their subsystem."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

from container_component_src.alarms.rule import AlarmRule
from container_component_src.alarms.tracker import AlarmState, Change, Channels, ChannelShare
from container_component_src.telemetry.timestamps import from_iso, to_iso
from container_component_src.values import Frozen

_VERSION_DIGITS = 8  # of the model's version in an ID


def _parsed_time(value: object) -> object:
    return from_iso(value) if isinstance(value, str) else value


# Nanoseconds since 1970-01-01 UTC; ISO 8601 in files.
Time = Annotated[int, BeforeValidator(_parsed_time), PlainSerializer(to_iso, when_used="json")]


class Alarm(Frozen):
    """One alarm, which is also a line of a file of alarms."""

    id: str  # start and model: the same whenever this model finds this alarm
    state: AlarmState
    start: Time  # first row above the threshold
    raised: Time  # row at which it had lasted long enough to be raised
    end: Time  # last row of the alarm, so far if it is not closed
    peak: Time  # row with the largest score
    peak_score: float = Field(allow_inf_nan=False)  # smoothed, nats
    threshold: float = Field(allow_inf_nan=False)  # nats
    rows: int
    channels: tuple[ChannelShare, ...]  # that contribute most at the peak, largest share first
    subsystem: str  # of the channels with the largest share together; "" if unknown
    model_version: str
    events: tuple[str, ...] | None = None  # IDs of the reported events that it overlaps; None: unknown


@dataclass(frozen=True)
class AlarmSource:
    """What all alarms of a model have in common.

    Attributes:
        model_version: Version of the bundle.
        rule: When alarms start and end.
        subsystems: Subsystem by the pattern of the names of its channels; the first pattern that fits counts.
    """

    model_version: str
    rule: AlarmRule
    subsystems: Mapping[str, str] = field(default_factory=dict)

    def alarm(self, change: Change) -> Alarm:
        """Return the record of an alarm that has been raised."""
        span = change.span
        assert span.raised is not None  # noqa: S101 - a change is of an alarm that has been raised
        return Alarm(
            id=alarm_id(span.start, self.model_version),
            state=change.state,
            start=span.start,
            raised=span.raised,
            end=span.end,
            peak=span.peak,
            peak_score=span.peak_score,
            threshold=self.rule.raise_above,
            rows=span.rows,
            channels=span.channels,
            subsystem=subsystem_of(span.channels, self.subsystems),
            model_version=self.model_version,
        )


def alarm_id(start: int, model_version: str) -> str:
    """Return the ID of the alarm of a model that starts at a time: `20210104T031502.5Z-1a2b3c4d`."""
    seconds, nanoseconds = divmod(start, 10**9)
    fraction = f".{nanoseconds:09d}".rstrip("0").rstrip(".")
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%S}{fraction}Z-{model_version[:_VERSION_DIGITS]}"


def subsystem_of(channels: Channels, subsystems: Mapping[str, str]) -> str:
    """Return the subsystem whose channels have the largest share together; channels without one count as that of ""."""
    shares: dict[str, float] = {}
    for item in channels:
        name = next((name for pattern, name in subsystems.items() if fnmatchcase(item.channel, pattern)), "")
        shares[name] = shares.get(name, 0.0) + item.share
    return max(shares, key=shares.__getitem__, default="")
