"""Search for archives, and the check of their timestamps."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.errors import InputError
from container_component_src.telemetry.archive import checked_timestamps, file_fingerprint, list_archives, read_period
from tests.helpers import TIME, telemetry, write_archive


def test_archives_are_sorted_and_other_files_are_ignored(tmp_path: Path) -> None:
    for name in ("2023.parquet", "2021.parquet", "2022.parquet"):
        write_archive(tmp_path / name, telemetry(rows=10, start=f"{name[:4]}-01-01"))
    (tmp_path / "notes.txt").touch()
    (tmp_path / "older").mkdir()
    archives = list_archives(str(tmp_path), TIME)
    assert [archive.uri for archive in archives] == [f"{tmp_path}/{year}.parquet" for year in (2021, 2022, 2023)]


def test_single_file(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "2023.parquet", telemetry(rows=10))
    (archive,) = list_archives(str(path), TIME)
    assert (archive.uri, archive.fingerprint) == (str(path), file_fingerprint(str(path)))


def test_fingerprint_changes_with_the_file(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "2023.parquet", telemetry(rows=10))
    first = list_archives(str(tmp_path), TIME)
    assert list_archives(str(tmp_path), TIME) == first
    os.utime(path, ns=(1, 1))
    assert list_archives(str(tmp_path), TIME) != first


def test_other_columns_may_differ(tmp_path: Path) -> None:
    write_archive(tmp_path / "1.parquet", telemetry(rows=10))
    write_archive(tmp_path / "2.parquet", telemetry(rows=10, start="2024-01-01", crew="three").drop(columns="status"))
    assert len(list_archives(str(tmp_path), TIME)) == 2


def test_overlapping_archives_are_named(tmp_path: Path) -> None:
    first = write_archive(tmp_path / "2022.parquet", telemetry(rows=10))
    second = write_archive(tmp_path / "2023.parquet", telemetry(rows=10, start="2023-01-01 00:09"))
    with pytest.raises(InputError, match=f"{second}: starts at 2023-01-01T00:09.*but {first} ends at 2023-01-01T00:09"):
        list_archives(str(tmp_path), TIME)


def test_periods_are_not_compared_without_statistics(tmp_path: Path) -> None:
    for name in ("1.parquet", "2.parquet"):
        telemetry(rows=10).to_parquet(tmp_path / name, write_statistics=False)
    assert len(list_archives(str(tmp_path), TIME)) == 2


def test_repeated_column_name(tmp_path: Path) -> None:
    table = pa.Table.from_pandas(telemetry(rows=10), preserve_index=False)
    pq.write_table(table.append_column("fan_speed", table["fan_speed"]), tmp_path / "1.parquet")
    with pytest.raises(InputError, match="two columns are named 'fan_speed'"):
        list_archives(str(tmp_path), TIME)


def _column(times: list[int | None]) -> pa.ChunkedArray:
    half = len(times) // 2
    kind = pa.timestamp("us", tz="UTC")
    return pa.chunked_array([pa.array(times[:half], kind), pa.array(times[half:], kind)])


@given(
    times=st.lists(st.none() | st.integers(-5, 5), max_size=12),
    first_row=st.integers(0, 10),
    previous=st.none() | st.integers(-6, 6),
)
def test_first_invalid_row_is_named(times: list[int | None], first_row: int, previous: int | None) -> None:
    faults = [row for row, time in enumerate(times) if time is None]
    if not faults:
        before = [previous, *times[:-1]]
        faults = [row for row, (last, time) in enumerate(zip(before, times, strict=False)) if _not_after(time, last)]
    nanoseconds = None if previous is None else previous * 1000
    if not faults:
        checked = checked_timestamps(_column(times), "file", first_row, nanoseconds)
        assert checked.tolist() == [time * 1000 for time in times if time is not None]
        return
    with pytest.raises(InputError, match=rf"^file: row {first_row + faults[0]} "):
        checked_timestamps(_column(times), "file", first_row, nanoseconds)


def _not_after(time: int | None, last: int | None) -> bool:
    return time is not None and last is not None and time <= last


def test_checked_timestamps_are_nanoseconds() -> None:
    column = pa.chunked_array([pa.array(pd.date_range("2023-01-01", periods=3, freq="s", tz="America/New_York"))])
    checked = checked_timestamps(column, "file")
    assert checked.dtype == np.int64
    assert checked[0] == pd.Timestamp("2023-01-01 05:00", tz="UTC").value


def test_rows_of_a_period(tmp_path: Path) -> None:
    first = telemetry(rows=100, start="2022-12-31 23:00").astype({"cabin_pressure": "Float64"})
    first[TIME] = first[TIME].dt.tz_convert("Europe/Berlin")
    first.to_parquet(tmp_path / "2022.parquet", row_group_size=30)
    telemetry(rows=50, start="2023-01-01 01:00").set_index(TIME).to_parquet(tmp_path / "2023.parquet")
    uris = [archive.uri for archive in list_archives(str(tmp_path), TIME)]
    start, end = (pd.Timestamp(f"2023-01-01 0{hour}", tz="UTC").value for hour in (0, 2))
    rows = read_period(uris, TIME, ["fan_speed", "cabin_pressure"], start, end)
    assert list(rows.columns) == [TIME, "fan_speed", "cabin_pressure"]
    assert rows[TIME].tolist() == [*pd.date_range("2023-01-01", periods=40, freq="min", tz="UTC"),
                                   *pd.date_range("2023-01-01 01:00", periods=50, freq="min", tz="UTC")]  # fmt: skip
    assert rows.dtypes.tolist()[1:] == [np.float32, np.float32]
    assert read_period(uris, TIME, ["fan_speed"], end, end).empty
