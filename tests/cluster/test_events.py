from datetime import UTC, datetime
from typing import Any

from container_component_src.cluster.access import Cluster
from container_component_src.cluster.events import SHOWN_EVENTS, warnings_about
from tests.cluster.emulator import Emulator
from tests.cluster.warning_events import event_of


def put_event(emulator: Emulator, number: int, name: str, reason: str = "FailedCreate", **fields: Any) -> None:
    """Store an event about a Job, seen at second `number`."""
    event = event_of("Job", name, reason, f"number {number}", f"2026-01-01T00:00:{number:02d}Z")
    emulator.put("Event", {**event, "metadata": {"name": f"event-{number}"}, **fields})


def test_newest_warning_of_each_object_and_reason_comes_first(cluster: Cluster, emulator: Emulator) -> None:
    put_event(emulator, 1, "tuning-a")
    put_event(emulator, 2, "tuning-a-xyz", message="exceeded\nquota")
    put_event(emulator, 3, "tuning-a", reason="Other")
    put_event(emulator, 4, "tuning-a")
    assert warnings_about(cluster, ["tuning-a"]) == [
        "Job tuning-a: FailedCreate (number 4)",
        "Job tuning-a: Other (number 3)",
        "Job tuning-a-xyz: FailedCreate (exceeded quota)",
    ]


def test_events_before_a_time_are_excluded(cluster: Cluster, emulator: Emulator) -> None:
    put_event(emulator, 1, "a", reason="Old")
    put_event(emulator, 2, "a", reason="New")
    since = datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC)
    assert warnings_about(cluster, ["a"], since=since) == ["Job a: New (number 2)"]


def test_other_objects_other_kinds_and_normal_events_are_excluded(cluster: Cluster, emulator: Emulator) -> None:
    put_event(emulator, 1, "tuning-ab")
    put_event(emulator, 2, "tuning-a", type="Normal")
    put_event(emulator, 3, "tuning-a")
    assert warnings_about(cluster, ["tuning-a"], kinds={"Pod"}) == []
    assert len(warnings_about(cluster, ["tuning-a"])) == 1


def test_refused_pods_of_a_job_have_one_message(cluster: Cluster, emulator: Emulator) -> None:
    """Each attempt to create a pod has another name."""
    put_event(emulator, 1, "a-1", message='pods "a-1-x7f2k" is forbidden: exceeded quota')
    assert warnings_about(cluster, ["a"]) == ['Job a-1: FailedCreate (pods "a-1-*" is forbidden: exceeded quota)']


def test_events_of_newer_controllers_are_sorted_by_their_own_time_fields(cluster: Cluster, emulator: Emulator) -> None:
    put_event(emulator, 1, "a", reason="Old")
    put_event(emulator, 2, "a", reason="New", lastTimestamp=None, eventTime="2026-02-01T00:00:00.000000Z")
    assert warnings_about(cluster, ["a"])[0] == "Job a: New (number 2)"


def test_number_of_events_is_limited(cluster: Cluster, emulator: Emulator) -> None:
    for number in range(SHOWN_EVENTS + 2):
        put_event(emulator, number, "a", reason=f"Reason{number}")
    assert len(warnings_about(cluster, ["a"])) == SHOWN_EVENTS


def test_unreadable_events_are_reported(cluster: Cluster, emulator: Emulator) -> None:
    emulator.fail("GET", "/events", 403)
    (line,) = warnings_about(cluster, ["a"])
    assert "not allowed to list events" in line
