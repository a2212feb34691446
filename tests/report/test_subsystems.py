"""Events by the subsystem in which they occur."""

from typing import Any

from container_component_src.evaluation.event_result import ChannelExcess, EventResult
from container_component_src.report.subsystems import SubsystemEvents, events_by_subsystem

SUBSYSTEMS = {"fan*": "ventilation", "loop*": "cooling"}


def event(detected: bool, causes: tuple[str, ...] = (), top: tuple[tuple[str, float], ...] = ()) -> EventResult:
    channels = tuple(ChannelExcess(channel=channel, excess=excess) for channel, excess in top)
    known: dict[str, Any] = {"detected": detected, "causes": causes, "top_channels": channels}
    return EventResult.model_construct(**known)


def test_reported_causes_count_before_the_top_channels() -> None:
    events = (
        event(True, causes=("fan_1",), top=(("loop_1", 9.0),)),
        event(False, causes=("loop_1", "loop_2", "fan_1")),
        event(True, top=(("valve", 2.0), ("fan_2", 3.0), ("loop_1", 2.0))),
        event(False, top=(("valve", 9.0),)),
        event(False, top=(("fan_1", -1.0),)),
    )
    assert events_by_subsystem(events, SUBSYSTEMS) == (
        SubsystemEvents("cooling", 0, 1),
        SubsystemEvents("ventilation", 2, 3),
        SubsystemEvents("", 0, 1),
    )


def test_without_subsystems_there_is_nothing_to_count() -> None:
    assert events_by_subsystem((event(True, causes=("fan_1",)),), {}) == ()
