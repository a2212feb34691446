"""Alarms of the report: which are shown, and the events they belong to."""

from pathlib import Path
from unittest.mock import patch

import pytest

from container_component_src.alarms.alarm import Alarm
from container_component_src.alarms.files import write_alarms
from container_component_src.errors import InputError
from container_component_src.evaluation.event_result import EventResult
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.report import alarms as report_alarms
from container_component_src.report.alarms import ShownAlarms, read_shown_alarms
from tests.evaluation.cases import SECOND, START, make_bundle
from tests.report.cases import alarm


@pytest.fixture
def info(tmp_path: Path) -> BundleInfo:
    return make_bundle(str(tmp_path / "bundle"))


def event(name: str, first: int, stop: int) -> EventResult:
    return EventResult(
        id=name, symbol="FAN", title="", start=START + first * SECOND, end=START + stop * SECOND, rows=stop - first,
        detected=True, delay_s=0.0, alarms=1, peak_score=9.0, top_channels=(),
    )  # fmt: skip


EVENTS = (event("long", 100, 200), event("inside", 140, 150), event("late", 300, 310))


def shown(folder: Path, info: BundleInfo, *alarms: Alarm) -> ShownAlarms:
    write_alarms(str(folder / "alarms.ndjson"), alarms)
    return read_shown_alarms(str(folder / "alarms.ndjson"), info.version, EVENTS)


@pytest.mark.parametrize(
    ("first", "last", "events", "text", "distance"),
    [
        (120, 145, ("long", "inside"), "long, inside", 0.0),
        (10, 40, (), "60 s before long", 60.0),
        (210, 220, (), "10 s after long", 10.0),
        (240, 270, (), "30 s before late", 30.0),
        (400, 500, (), "90 s after late", 90.0),
        (200, 210, (), "0 s after long", 0.0),  # an event's end is exclusive
    ],
)
def test_an_alarm_names_its_events_or_the_nearest_one(
    tmp_path: Path, info: BundleInfo, first: int, last: int, events: tuple[str, ...], text: str, distance: float
) -> None:
    (found,) = shown(tmp_path, info, alarm(info, first, last, events)).alarms
    assert (found.event, found.distance_s, found.kind) == (text, distance, "true" if events else "false")
    assert found.seconds == last - first


def test_of_many_alarms_those_with_the_largest_peaks_are_shown_in_order_of_time(
    tmp_path: Path, info: BundleInfo
) -> None:
    many = [alarm(info, number, number, peak_score=score) for number, score in enumerate((9.0, 30.0, 10.0, 20.0))]
    with patch.object(report_alarms, "MOST_ALARMS", 2):
        found = shown(tmp_path, info, *many)
    assert [item.alarm.peak_score for item in found.alarms] == [30.0, 20.0]
    assert (found.total, found.left_out) == (4, 2)


def test_subsystems_are_those_of_the_alarms(tmp_path: Path, info: BundleInfo) -> None:
    unknown = alarm(info, 20, 30).model_copy(update={"subsystem": ""})
    assert shown(tmp_path, info, alarm(info, 1, 2), unknown).subsystems == ("", "ventilation")


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"model_version": "0123456789abcdef"}, "of the model version 01234567, not"),
        ({"events": None}, "was not compared with the reported events"),
    ],
)
def test_rejects_alarms_of_another_origin(
    tmp_path: Path, info: BundleInfo, update: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        shown(tmp_path, info, alarm(info, 1, 2), alarm(info, 20, 30).model_copy(update=update))
