"""Label series of a dataset."""

import logging
from pathlib import Path

import numpy as np
import pytest

from container_component_src.steps.data import ReportColumns
from container_component_src.telemetry.labels import label_dataset
from tests.helpers import REPORT_HEADERS, report, write_dataset, write_reports


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
