"""Alarms of the report: which it shows, and which events they belong to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from container_component_src.alarms.alarm import Alarm
from container_component_src.alarms.files import read_alarms
from container_component_src.errors import InputError
from container_component_src.evaluation.event_result import EventResult
from container_component_src.report.text import duration
from container_component_src.telemetry.smoothing import NANOSECONDS_PER_SECOND

MOST_ALARMS = 1_000  # that the page shows, which keeps it small

AlarmKind = Literal["true", "false", "rare nominal"]

_FIX = "name the alarms that run_evaluation wrote with this model"


@dataclass(frozen=True)
class ShownAlarm:
    """An alarm, and the event that is nearest to it."""

    alarm: Alarm
    event: str  # the events that it overlaps, or the nearest anomaly and the time to it
    distance_s: float  # to the nearest event, 0 in an event
    is_rare: bool = False  # whether it overlaps rare nominal events and no anomaly

    @property
    def kind(self) -> AlarmKind:
        """Whether the alarm overlaps an anomaly, nothing, or rare nominal events alone."""
        if self.is_rare:
            return "rare nominal"
        return "true" if self.alarm.events else "false"

    @property
    def seconds(self) -> float:
        """Duration of the alarm."""
        return (self.alarm.end - self.alarm.start) / NANOSECONDS_PER_SECOND


@dataclass(frozen=True)
class ShownAlarms:
    """The alarms of the page in order of time."""

    alarms: tuple[ShownAlarm, ...]
    total: int  # with those that are left out

    @property
    def left_out(self) -> int:
        """Number of alarms that the page does not show."""
        return self.total - len(self.alarms)

    @property
    def subsystems(self) -> tuple[str, ...]:
        """Subsystems of the alarms by name; "" for those without one."""
        return tuple(sorted({item.alarm.subsystem for item in self.alarms}))


def read_shown_alarms(uri: str, model_version: str, events: Sequence[EventResult]) -> ShownAlarms:
    """Read the alarms of an evaluation; of many alarms, those with the largest peaks are shown.

    Args:
        uri: File of alarms.
        model_version: Version of the evaluated bundle.
        events: Anomalies.

    Raises:
        InputError: The file is missing or damaged, is of another model, or does not say which events its alarms
            overlap.
    """
    alarms = read_alarms(uri)
    for alarm in alarms:
        if alarm.model_version != model_version:
            raise InputError(
                f"{uri}: alarm {alarm.id} is of the model version {alarm.model_version[:8]}, not {model_version[:8]}",
                fix=_FIX,
            )
        if alarm.events is None:
            raise InputError(f"{uri}: alarm {alarm.id} was not compared with the reported events", fix=_FIX)
    largest = sorted(alarms, key=lambda alarm: alarm.peak_score, reverse=True)[:MOST_ALARMS]
    shown = sorted(largest, key=lambda alarm: alarm.start)
    return ShownAlarms(tuple(_beside_events(shown, events)), len(alarms))


def _beside_events(alarms: Sequence[Alarm], events: Sequence[EventResult]) -> list[ShownAlarm]:
    starts, ends = (np.array([getattr(event, name) for event in events], dtype=np.int64) for name in ("start", "end"))
    anomalies = {event.id for event in events}
    found = []
    for alarm in alarms:
        if alarm.events:
            found.append(ShownAlarm(alarm, ", ".join(alarm.events), 0.0, anomalies.isdisjoint(alarm.events)))
            continue
        before, after = starts - alarm.end, alarm.start - ends
        distances = np.maximum(before, after)
        nearest = int(distances.argmin())
        seconds = float(distances[nearest]) / NANOSECONDS_PER_SECOND
        side = "before" if before[nearest] >= after[nearest] else "after"
        found.append(ShownAlarm(alarm, f"{duration(seconds)} {side} {events[nearest].id}", seconds))
    return found
