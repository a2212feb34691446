from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.detection.datasets import TelemetryFolder, find, prepare, time_scale
from container_component_src.errors import InputError
from container_component_src.steps.data import ReportColumns
from container_component_src.telemetry.anomaly_reports import read_reports
from container_component_src.telemetry.dataset import Dataset
from tests.helpers import report, write_archive, write_dataset, write_reports


def write_data(root: Path) -> None:
    write_archive(root / "telemetry/2023.parquet")
    write_reports(root / "anomaly_reports.xlsx", report((100, 130), (300, 320)))


def test_data_sets_are_found_at_any_depth(tmp_path: Path) -> None:
    for name in ("plant", "servers/b", "servers/a"):
        write_data(tmp_path / name)
    write_reports(tmp_path / "no_telemetry/anomaly_reports.csv", report((1, 2)))
    found = find(tmp_path)
    assert [folder.name for folder in found] == ["plant", "servers/a", "servers/b"]
    assert [folder.group for folder in found] == ["plant", "servers", "servers"]


def test_a_folder_without_data_sets_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no data set"):
        find(tmp_path)


def test_causes_become_a_column_of_the_reports(tmp_path: Path) -> None:
    write_data(tmp_path)
    folder = TelemetryFolder("plant", tmp_path)
    assert folder.reports(tmp_path) == tmp_path / "anomaly_reports.xlsx"
    pd.DataFrame({"ID": ["AR-2"], "CHANNELS": ["fan_speed;cabin_pressure"]}).to_csv(
        tmp_path / "causes.csv", index=False
    )
    (tmp_path / "work").mkdir()
    events = read_reports(str(folder.reports(tmp_path / "work")), ReportColumns())
    assert [(event.id, event.causes) for event in events] == [
        ("AR-1", ()),
        ("AR-2", ("fan_speed", "cabin_pressure")),
    ]


def test_data_is_prepared_once(tmp_path: Path) -> None:
    write_data(tmp_path / "data/plant")
    folder = find(tmp_path / "data")[0]
    prepared = prepare(folder, tmp_path / "work")
    manifest = Dataset.open(prepared.labels).manifest
    assert [event.id for event in manifest.events] == ["AR-1", "AR-2"]
    assert Dataset.open(prepared.dataset).channels == ("cabin_pressure", "fan_speed")
    assert prepare(folder, tmp_path / "work") == prepared
    assert Dataset.open(prepared.labels).manifest == manifest  # whose files have a random part in their names


def test_unknown_data_gets_a_time_scale_in_steps(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path, np.zeros((20, 2)))  # a row a minute
    assert time_scale("plant", dataset) == (2.5, 1.25)
    assert time_scale("skab", dataset) == (0.1, 0.1)
