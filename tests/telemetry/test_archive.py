"""Listing and reading of archives, and the check of their timestamps."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.telemetry.archive import (
    checked_timestamps,
    file_fingerprint,
    list_archives,
    open_archive,
    read_part,
    read_period,
)
from container_component_src.telemetry.partitioning import split_archive
from tests.helpers import TIME, nanoseconds, telemetry, write_archive


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
    with pytest.raises(
        InputError,
        match=f"{second}: starts at 2023-01-01T00:09.*but {first} ends at 2023-01-01T00:09.*; remove this row",
    ):
        list_archives(str(tmp_path), TIME)


def test_periods_are_not_compared_without_statistics(tmp_path: Path) -> None:
    for name in ("1.parquet", "2.parquet"):
        telemetry(rows=10).to_parquet(tmp_path / name, write_statistics=False)
    assert len(list_archives(str(tmp_path), TIME)) == 2


def test_repeated_column_name(tmp_path: Path) -> None:
    table = pa.Table.from_pandas(telemetry(rows=10), preserve_index=False)
    pq.write_table(table.append_column("fan_speed", table["fan_speed"]), tmp_path / "1.parquet")
    (tmp_path / "2.csv").write_text(f"{TIME},fan_speed, fan_speed\n2023-01-01T00:00:00Z,1,2\n")
    for name in ("1.parquet", "2.csv"):
        with pytest.raises(InputError, match="two columns are named 'fan_speed'"):
            list_archives(str(tmp_path / name), TIME)


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


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_the_same_rows_in_each_format(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("container_component_src.telemetry.csv_table.PART_BYTES", 1000)
    rows = telemetry(rows=60, count=range(60))
    file = tmp_path / f"2023{suffix}"
    rows.to_csv(file, index=False) if suffix == ".csv" else rows.to_parquet(file, row_group_size=9)
    channels = ["count", "fan_speed"]
    with open_archive(storage.resolve(str(file)), TIME) as archive:
        assert archive.period() == (nanoseconds("2023-01-01"), nanoseconds("2023-01-01 00:59"))
        parts = [read_part(str(file), part, TIME, channels) for part in range(archive.table.parts)]
    assert len(parts) > 3
    expected = rows[[TIME, *channels]].astype(dict.fromkeys(channels, np.float32))
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), expected, check_dtype=False, rtol=1e-6)
    start, end = nanoseconds("2023-01-01 00:20"), nanoseconds("2023-01-01 00:40")
    assert read_period([str(file)], TIME, channels, start, end)["count"].tolist() == list(range(20, 40))


def test_left_out_columns_and_rounded_numbers_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for year, columns in (("2022", {"count": 2**24 + 1}), ("2023", {"count": 2**24, "crew": "three"})):
        write_archive(tmp_path / f"{year}.parquet", telemetry(rows=10, start=f"{year}-01-01", **columns))
    found = [dict(archive.left_out) for archive in list_archives(str(tmp_path), TIME)]
    assert found == [{"mode": "text", "status": "text"}, {"mode": "text", "status": "text", "crew": "text"}]
    levels = {record.levelname: record.getMessage() for record in caplog.records}
    assert levels["INFO"] == f"{tmp_path}: columns left out: 'mode' (text), 'status' (text), 'crew' (text)"
    assert levels["WARNING"].startswith(f"{tmp_path}/2022.parquet: ")
    assert "'count' (up to 16,777,217)" in levels["WARNING"]


@pytest.mark.parametrize("column", [pa.array([1, 2], pa.int8()), pa.array([True, False]), pa.nulls(2)])
def test_the_types_of_a_channel_may_differ(column: pa.Array, tmp_path: Path) -> None:
    for year, values in (("2022", pa.array([1.5, 2])), ("2023", column)):
        times = pa.array(pd.date_range(year, periods=2, freq="min", tz="UTC"))
        pq.write_table(pa.table({TIME: times, "a": values}), tmp_path / f"{year}.parquet")
    assert len(list_archives(str(tmp_path), TIME)) == 2


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("statistics", [True, False])
def test_times_out_of_range(unit: str, statistics: bool, tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    table = pa.table({TIME: pa.array([-(2**63), 0], pa.timestamp(unit, "UTC")), "a": [1.0, 2.0]})
    pq.write_table(table, file, write_statistics=statistics)
    with pytest.raises(InputError, match="a time is not in the years 1678 to 2261"):
        list_archives(str(file), TIME) if statistics else checked_timestamps(table[TIME], "file")


def test_a_period_of_centuries() -> None:
    ends = [pd.Timestamp.min.value, pd.Timestamp.max.value]
    column = pa.chunked_array([pa.array(ends, pa.timestamp("ns", "UTC"))])
    assert checked_timestamps(column, "file").tolist() == ends


@pytest.mark.parametrize(("zone", "known"), [("Mars/Phobos", False), ("+05:00", True), ("Europe/Berlin", True)])
def test_time_zones(zone: str, known: bool, tmp_path: Path) -> None:
    pq.write_table(pa.table({TIME: pa.array([0, 1], pa.timestamp("us", zone)), "a": [1, 2]}), tmp_path / "a.parquet")
    if known:
        assert len(list_archives(str(tmp_path), TIME)) == 1
    else:
        with pytest.raises(InputError, match=f"column '{TIME}' has the unknown time zone '{zone}'"):
            list_archives(str(tmp_path), TIME)


def test_another_timestamp_column_is_named(tmp_path: Path) -> None:
    telemetry(rows=10).set_index(TIME).rename_axis("utc").to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=rf"no timestamp column '{TIME}', only 'utc', 'cabin_pressure'"):
        list_archives(str(tmp_path), TIME)


def test_broken_links_and_devices(tmp_path: Path) -> None:
    (tmp_path / "loop.parquet").symlink_to(tmp_path / "loop.parquet")
    with pytest.raises(InputError, match="no such file"):
        list_archives(str(tmp_path), TIME)
    os.mkfifo(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="a folder or a device"):
        list_archives(str(tmp_path), TIME)


def test_csv_files_in_a_bucket(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("container_component_src.telemetry.csv_table.PART_BYTES", 1000)
    rows = telemetry(rows=60)
    storage.resolve(f"{bucket}/2023.csv").write_bytes(rows.to_csv(index=False).encode())
    (archive,) = list_archives(bucket, TIME)
    assert archive.uri == f"{bucket}/2023.csv"
    found = read_period([archive.uri], TIME, ["fan_speed"], 0, nanoseconds("2023-01-01 00:50"))
    assert found[TIME].tolist() == rows[TIME][:50].tolist()


def test_archives_may_differ_in_excluded_columns(tmp_path: Path) -> None:
    for year, extra in (("2022", {}), ("2023", {"counter": range(10)}), ("2024", {"Anomaly": 0})):
        write_archive(tmp_path / f"{year}.parquet", telemetry(rows=10, start=f"{year}-01-01", **extra))
    with pytest.raises(InputError, match="it also has 'counter'"):
        list_archives(str(tmp_path), TIME, exclude=["Anomaly"])
    found = list_archives(str(tmp_path), TIME, exclude=["Anomaly", "count*"])
    assert [{*archive.left_out} - {"mode", "status"} for archive in found] == [set(), {"counter"}, {"Anomaly"}]
    with pytest.raises(InputError, match="did you mean 'counter'"):
        list_archives(str(tmp_path), TIME, exclude=["Anomaly", "counter", "counters"])
    with pytest.raises(InputError, match=r"no channel .*'fan_speed' .excluded by exclude_channels"):
        list_archives(str(tmp_path), TIME, exclude=["*"])


def test_channels_in_another_order(tmp_path: Path) -> None:
    for year, order in (("2022", 1), ("2023", -1)):
        rows = telemetry(rows=10, start=f"{year}-01-01")
        rows[rows.columns[::order]].to_csv(tmp_path / f"{year}.csv", index=False, sep=",;"[order])
    first, second = list_archives(str(tmp_path), TIME)
    rows = read_period([first.uri, second.uri], TIME, ["fan_speed", "cabin_pressure"], 0, nanoseconds("2024-01-01"))
    assert rows["fan_speed"].between(3000, 5000).all()
    assert len(rows) == 20


def test_numbers_with_other_values_are_refused_unless_their_column_is_excluded(tmp_path: Path) -> None:
    file = tmp_path / "2023.csv"
    telemetry(rows=9, code=["7", "8", "A1"] * 3, note=["0,5"] * 9).to_csv(file, index=False)
    for exclude, name, value in (((), "code", "'A1' in line 4"), (["code"], "note", "'0,5' in line 2")):
        for call in (list_archives, lambda uri, *rest, **kw: split_archive(uri, str(tmp_path / "out"), TIME, **kw)):
            with pytest.raises(InputError, match=f"column '{name}' has numbers and {value}"):
                call(str(file), TIME, exclude=exclude)
    (found,) = list_archives(str(file), TIME, exclude=["code", "note"])
    assert found.left_out == {"status": "text", **dict.fromkeys(("code", "note"), "excluded by exclude_channels")}
    split = split_archive(str(file), str(tmp_path / "out"), TIME, exclude=["code", "note"])
    assert (split.manifest.rows, split.channels) == (9, ("cabin_pressure", "fan_speed", "mode"))
    assert len(read_part(str(file), 0, TIME, ["fan_speed"])) == 9


def test_decimal_commas_in_all_columns_are_named(tmp_path: Path) -> None:
    telemetry(rows=9)[[TIME, "fan_speed"]].to_csv(tmp_path / "a.csv", index=False, sep=";", decimal=",")
    with pytest.raises(
        InputError, match=r"column 'fan_speed' has numbers and '\d+,\d+' in line 2; write numbers with a"
    ):
        list_archives(str(tmp_path), TIME)


@pytest.mark.parametrize(
    ("change", "fix"),
    [
        (lambda times: times.astype(np.int64) // 10**9, "unit='s' or 'ms', utc=True"),
        (lambda times: times.astype(str), "to_datetime.column, utc=True"),
        (lambda times: times.dt.tz_localize(None), "dt.tz_localize.'UTC'.; in CSV, times end in Z"),
    ],
)
def test_how_to_convert_timestamps(change: Callable[["pd.Series[Any]"], Any], fix: str, tmp_path: Path) -> None:
    rows = telemetry(rows=5)
    write_archive(tmp_path / "a.parquet", rows.assign(**{TIME: change(rows[TIME])}))
    with pytest.raises(InputError, match=f"column '{TIME}' has .*{fix}"):
        list_archives(str(tmp_path), TIME)
