"""Label series of a dataset."""

from pathlib import Path

import numpy as np

from container_component_src.steps.data import ReportColumns
from container_component_src.telemetry.labels import label_dataset
from tests.helpers import report, write_dataset, write_reports


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
