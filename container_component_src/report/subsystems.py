"""Share of the events that are found, by the subsystem in which they occur."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from container_component_src.alarms.alarm import subsystem_of
from container_component_src.alarms.tracker import ChannelShare
from container_component_src.evaluation.event_result import EventResult


@dataclass(frozen=True)
class SubsystemEvents:
    """The events of a subsystem."""

    subsystem: str  # "" if unknown
    found: int
    events: int


def events_by_subsystem(events: Sequence[EventResult], subsystems: Mapping[str, str]) -> tuple[SubsystemEvents, ...]:
    """Count the events of each subsystem, by name; the unknown one is last.

    The subsystem of an event is that of its reported causes or, without causes, of the channels that contribute most.

    Args:
        events: Reported events.
        subsystems: Subsystem by the pattern of the names of its channels; empty: nothing is known.
    """
    found: dict[str, list[bool]] = {}
    for event in events if subsystems else ():
        causes = [ChannelShare(name, 1.0) for name in event.causes]
        top = [ChannelShare(item.channel, max(item.excess, 0.0)) for item in event.top_channels]
        found.setdefault(subsystem_of(tuple(causes or top), subsystems), []).append(event.detected)
    by_name = sorted(found.items(), key=lambda item: (not item[0], item[0]))
    return tuple(SubsystemEvents(name, sum(states), len(states)) for name, states in by_name)
