"""Label series of a dataset."""

import logging
from pathlib import Path

import numpy as np
import pytest

from container_component_src.errors import InputError
from container_component_src.steps.data import ReportColumns
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.labels import label_dataset
from container_component_src.telemetry.verdicts import Feedback, Verdict, write_feedback
from tests.helpers import MINUTE, REPORT_HEADERS, START, nanoseconds, report, write_dataset, write_reports


def test_labels_have_the_partitions_of_the_data(tmp_path: Path) -> None:
    write_dataset(tmp_path / "d", np.zeros((10, 2)), partition_rows=4)
    # The second one is between two rows.
    reports = write_reports(tmp_path / "r.csv", report((3, 5), (7.25, 7.75), (9, 20)))
    labels = label_dataset(str(tmp_path / "d"), str(reports), str(tmp_path / "l"), ReportColumns())
    assert [partition.rows for partition in labels.manifest.partitions] == [4, 4, 2]
    frame = labels.load()
    assert frame.labels is not None
    assert frame.labels.tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 0, 1]
    assert frame.values.shape == (10, 0)
    assert [event.id for event in labels.manifest.events] == ["AR-1", "AR-3"]
    assert [event.id for event in labels.manifest.events_without_rows] == ["AR-2"]
    assert labels.manifest.notes == {"events": 2, "events_outside": 0, "events_without_rows": 1}


def test_causes_that_are_no_channels_are_named_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    channel = write_dataset(tmp_path / "d", np.zeros((10, 2))).channels[0]
    rows = [[*row, f"{channel};VALVE 7"] for row in report((3, 5))]
    reports = write_reports(tmp_path / "r.csv", rows, [*REPORT_HEADERS, "CHANNELS"])
    with caplog.at_level(logging.WARNING):
        labels = label_dataset(str(tmp_path / "d"), str(reports), str(tmp_path / "l"), ReportColumns())
    assert caplog.messages == [f"{reports}: causes that are no channels of the data: VALVE 7"]
    assert labels.manifest.events[0].causes == (channel, "VALVE 7")


def judged(name: str, first: int, last: int, verdict: str) -> Feedback:
    """Return the verdict on an alarm from one minute of the data to another."""
    start, end = (nanoseconds(START) + minute * MINUTE for minute in (first, last))
    return Feedback(alarm_id=name, start=start, end=end, verdict=Verdict(verdict), at=end)


def labelled(folder: Path, feedback: list[Feedback], *events: tuple[float, float], strict: bool = True) -> Dataset:
    """Label 20 rows, a minute each, by reports and verdicts."""
    write_dataset(folder / "d", np.zeros((20, 2)), partition_rows=7)
    reports = write_reports(folder / "r.csv", report(*events))
    write_feedback(str(folder / "f.csv"), feedback)
    return label_dataset(
        str(folder / "d"), str(reports), str(folder / "l"), ReportColumns(), strict, str(folder / "f.csv")
    )


def ones(labels: Dataset) -> list[int]:
    return np.flatnonzero(labels.load().labels).tolist()  # type: ignore[arg-type]


def test_true_alarms_are_labelled_and_the_others_listed(tmp_path: Path) -> None:
    feedback = [
        judged("T", 8, 9, "true"),
        judged("F", 12, 13, "false"),
        judged("R", 16, 17, "rare_nominal"),
        judged("past", -9, -8, "true"),
        judged("gone", 30, 40, "rare_nominal"),
    ]
    labels = labelled(tmp_path, feedback, (3, 5))
    assert ones(labels) == [3, 4, 8, 9]
    known = labels.manifest
    assert [(event.id, event.origin) for event in known.events] == [("AR-1", "report"), ("T", "verdict")]
    assert [event.id for event in known.events_without_rows] == ["past"]
    assert [event.id for event in known.rare_nominal] == ["R"]
    assert [event.id for event in known.false_alarms] == ["F"]
    assert known.notes == {
        "events": 2,
        "events_outside": 1,
        "events_without_rows": 0,
        "rare_nominal_events": 1,
        "false_alarms": 1,
    }


def test_a_true_alarm_is_enough_but_a_report_outside_is_an_error_beside_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"event AR-1 .* is outside the data"):
        labelled(tmp_path, [judged("T", 8, 9, "true")], (50, 60))
    assert ones(labelled(tmp_path, [judged("T", 8, 9, "true")], (50, 60), strict=False)) == [8, 9]


def test_false_alarms_change_no_label(tmp_path: Path) -> None:
    feedback = [judged("F", 0, 2, "false"), judged("G", 4, 12, "false"), judged("H", 19, 25, "false")]
    labels = labelled(tmp_path, feedback, (3, 5))
    assert ones(labels) == [3, 4]
    assert [event.id for event in labels.manifest.false_alarms] == ["F", "H"]  # the report outweighs G
