from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from container_component_src.errors import InputError
from container_component_src.example_data import ExampleDataSpec, GeneratedData, generate
from container_component_src.example_data.generator import regroup
from container_component_src.example_data.sensors import Sensors
from container_component_src.steps.data import ReportColumns

SPEC = ExampleDataSpec(rows=4001, years=(2023, 2022), anomalies=9, row_group_rows=600)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> GeneratedData:
    return generate(tmp_path_factory.mktemp("example"), SPEC)


def tables(data: GeneratedData) -> list[pa.Table]:
    return [pq.read_table(path) for path in data.archives]


def same(left: pa.Table, right: pa.Table) -> bool:
    """Compare values; NaN equals NaN."""
    return bool(left.to_pandas().equals(right.to_pandas()))


def parsed_reports(data: GeneratedData) -> pd.DataFrame:
    reports = pd.read_excel(data.reports, dtype=str)
    for column in ("EVENT GMT (DOY/HH:MM:SS)", "Duration/End GMT"):
        reports[column] = pd.to_datetime(reports[column], format="%Y/%j/%H:%M:%S", utc=True)
    return reports.rename(columns={"EVENT GMT (DOY/HH:MM:SS)": "start", "Duration/End GMT": "end"})


def test_one_archive_per_year_and_the_reports(data: GeneratedData) -> None:
    root = data.reports.parent
    assert [path.relative_to(root).as_posix() for path in data.archives] == [
        "telemetry/2022.parquet",
        "telemetry/2023.parquet",
    ]
    assert sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()) == [
        "anomaly_reports.xlsx",
        "telemetry/2022.parquet",
        "telemetry/2023.parquet",
    ]


def test_same_seed_gives_same_values_for_any_row_groups(data: GeneratedData, tmp_path: Path) -> None:
    again = generate(tmp_path, replace(SPEC, row_group_rows=1777))
    assert all(same(left, right) for left, right in zip(tables(data), tables(again), strict=True))
    pd.testing.assert_frame_equal(parsed_reports(data), parsed_reports(again))


def test_another_seed_gives_other_values(data: GeneratedData, tmp_path: Path) -> None:
    other = generate(tmp_path, replace(SPEC, seed=43))
    assert not any(same(left, right) for left, right in zip(tables(data), tables(other), strict=True))


def test_rows_and_row_groups(data: GeneratedData) -> None:
    files = [pq.ParquetFile(path) for path in data.archives]
    assert [file.metadata.num_rows for file in files] == [2001, 2000]
    groups = [file.metadata.row_group(index).num_rows for file in files for index in range(file.num_row_groups)]
    assert groups == [600, 600, 600, 201, 600, 600, 600, 200]


def test_schema_has_float_channels_and_other_columns(data: GeneratedData) -> None:
    schema = pq.read_schema(data.archives[0])
    assert schema.equals(pq.read_schema(data.archives[1]))
    assert schema.field("normalizedTime").type == pa.timestamp("ns", tz="UTC")
    assert sum(pa.types.is_floating(field.type) for field in schema) == 44
    assert {field.type for field in schema if field.name != "normalizedTime"} == {
        pa.float32(),
        pa.float64(),
        pa.int32(),
        pa.string(),
    }


def test_time_increases_strictly_within_each_year_and_has_gaps(data: GeneratedData) -> None:
    for table, year in zip(tables(data), (2022, 2023), strict=True):
        time = table.column("normalizedTime").to_pandas()
        assert set(time.dt.year) == {year}
        steps = time.diff().dropna()
        assert steps.min() == timedelta(seconds=60)
        assert (steps > steps.min()).sum() == 7


def test_more_rows_fill_the_year(tmp_path: Path) -> None:
    data = generate(tmp_path, ExampleDataSpec(rows=530_000, years=(2024,), channels=1, anomalies=3))
    time = tables(data)[0].column("normalizedTime").to_pandas()
    assert time.iloc[-1] > pd.Timestamp("2024-12-30", tz="UTC")
    assert set(time.dt.year) == {2024}
    assert time.is_monotonic_increasing and time.is_unique


def test_reports_are_sorted_text_without_overlap(data: GeneratedData) -> None:
    raw = pd.read_excel(data.reports, dtype=object)
    assert list(raw.columns) == ["ID", "SYMBOL", "TITLE", "EVENT GMT (DOY/HH:MM:SS)", "Duration/End GMT"]
    assert all(isinstance(value, str) for value in raw.to_numpy().ravel())
    reports = parsed_reports(data)
    assert len(reports) == 9
    assert reports["ID"].is_unique
    assert (reports["start"] < reports["end"]).all()
    assert (reports["end"].to_numpy()[:-1] < reports["start"].to_numpy()[1:]).all()


def test_every_event_has_rows(data: GeneratedData) -> None:
    times = [table.column("normalizedTime").to_pandas() for table in tables(data)]
    for event in parsed_reports(data).itertuples():
        covered = [int(((time >= event.start) & (time < event.end)).sum()) for time in times]
        assert max(covered) >= 6
        assert any(time.iloc[0] <= event.start and event.end <= time.iloc[-1] for time in times)


def test_values_are_plausible(data: GeneratedData) -> None:
    frame = tables(data)[0].to_pandas()
    assert frame["ECLSS_CABIN_TOTAL_PRESS_1_HPA"].median() == pytest.approx(1011, abs=15)
    assert frame["ECLSS_CABIN_TEMP_1_DEGC"].median() == pytest.approx(23, abs=2)
    assert frame["ECLSS_HUMS1_REL_HUMIDITY_PCT"].between(20, 80).mean() > 0.99
    assert (frame.select_dtypes("floating").std() > 0).all()


def test_anomalies_change_the_channels_from_the_first_one_on(data: GeneratedData, tmp_path: Path) -> None:
    calm = generate(tmp_path, replace(SPEC, anomalies=0))
    assert pd.read_excel(calm.reports).empty
    reports = parsed_reports(data)
    for faulty, healthy in zip(tables(data), tables(calm), strict=True):
        left, right = faulty.to_pandas(), healthy.to_pandas()
        assert left["normalizedTime"].equals(right["normalizedTime"])
        year = left["normalizedTime"].dt.year.iloc[0]
        first = reports.loc[reports["start"].dt.year == year, "start"].min()
        before = left["normalizedTime"] < first - timedelta(minutes=2)  # knots of the grid are two minutes apart
        assert before.any()
        assert left[before].equals(right[before])
        changed = [column for column in left.select_dtypes("floating") if not left[column].equals(right[column])]
        assert len(changed) >= 5
        moved = (left.select_dtypes("floating") - right.select_dtypes("floating")).abs().sum(axis=1) > 0
        for event in reports[reports["start"].dt.year == year].itertuples():
            inside = (left["normalizedTime"] >= event.start) & (left["normalizedTime"] < event.end)
            assert moved[inside].mean() > 0.5, event


def test_further_channels_repeat_the_catalogue_for_more_racks(data: GeneratedData, tmp_path: Path) -> None:
    wide = pq.read_table(generate(tmp_path, replace(SPEC, channels=181)).archives[0])
    names = [field.name for field in wide.schema if pa.types.is_floating(field.type)]
    assert len(set(names)) == 181
    assert "ECLSS_RACK5_PPOS1_O2_PARTIAL_PRESS_HPA" in names
    narrow = tables(data)[0]
    assert same(wide.select(narrow.column_names), narrow)


def test_column_names(tmp_path: Path) -> None:
    columns = ReportColumns(id="Number", symbol="Unit", title="What", start="From", end="To")
    data = generate(tmp_path, ExampleDataSpec(rows=400, anomalies=2), "time", columns)
    assert pq.read_schema(data.archives[0]).names[0] == "time"
    assert list(pd.read_excel(data.reports).columns) == ["Number", "Unit", "What", "From", "To"]
    assert datetime.strptime(pd.read_excel(data.reports)["From"][0], "%Y/%j/%H:%M:%S").year == 2022


def test_no_partial_file_remains_after_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(tmp_path, SPEC)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    whole = Sensors.tables

    def stops_in_the_middle(self: Sensors) -> Iterator[pa.Table]:
        yield next(whole(self)).slice(0, 1000)
        raise MemoryError

    monkeypatch.setattr(Sensors, "tables", stops_in_the_middle)
    with pytest.raises(MemoryError):
        generate(tmp_path, replace(SPEC, seed=1))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_file_that_cannot_be_replaced(tmp_path: Path) -> None:
    occupied = tmp_path / "telemetry" / "2022.parquet"
    occupied.mkdir(parents=True)
    (occupied / "file").touch()
    with pytest.raises(InputError, match=r"2022\.parquet: the output is a file, but this is a folder"):
        generate(tmp_path, SPEC)
    assert [path.name for path in (tmp_path / "telemetry").iterdir()] == ["2022.parquet"]


def test_target_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="a folder of this path is a file"):
        generate(tmp_path / "file", SPEC)


def test_regroup_keeps_the_order_of_the_rows() -> None:
    parts = [pa.table({"x": np.arange(start, stop)}) for start, stop in ((0, 3), (3, 11), (11, 12))]
    groups = [table.column("x").to_pylist() for table in regroup(iter(parts), 5)]
    assert groups == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]
