"""The payload log: what is written comes back, by period and channel, and old days are deleted."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from container_component_src import storage
from container_component_src.telemetry import payload_log
from container_component_src.telemetry.arrow import timestamps_of
from container_component_src.telemetry.parquet import open_parquet
from container_component_src.telemetry.payload_log import (
    FIELDS,
    Payload,
    Period,
    expected_in,
    newest_payloads,
    payload_files,
    read_payload_log,
    values_in,
    write_payloads,
)
from container_component_src.telemetry.payload_writer import delete_old_days
from tests.telemetry.payloads import CHANNELS, DAY, NOON, SECOND, payload


def write(root: str | Path, *payloads: Payload, channels: tuple[str, ...] = CHANNELS) -> None:
    write_payloads(storage.resolve(str(root)), channels, payloads)


def ids(table: pa.Table) -> list[str]:
    return list(dict.fromkeys(table.column("request_id").to_pylist()))


@given(values=arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.just(2))), smoothed=st.booleans())
def test_a_log_has_the_rows_that_were_written(
    values: np.ndarray, smoothed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root, rows = tmp_path_factory.mktemp("log"), len(values)
    scores, times = np.linspace(0, 1, rows), NOON + np.arange(rows)
    optional: dict[str, Any] = (
        {"smoothed_scores": scores * 2, "timestamps": times, "alarms": scores > 0.5} if smoothed else {}
    )
    write(root, Payload(NOON + 7, "id 1", "v1", np.arange(rows) + 5, values, -values, scores, **optional))

    found = read_payload_log(str(root), CHANNELS)

    finite = np.where(np.isfinite(values), values, np.float32(np.nan))
    np.testing.assert_array_equal(values_in(found, CHANNELS), finite)
    np.testing.assert_array_equal(expected_in(found, CHANNELS), -finite)
    assert timestamps_of(found.column("received")).tolist() == [NOON + 7] * rows
    assert found.column("row").to_pylist() == [5 + row for row in range(rows)]
    assert found.column("score").to_pylist() == scores.tolist()
    assert found.column("request_id").to_pylist() == ["id 1"] * rows
    assert found.column("model_version").to_pylist() == ["v1"] * rows
    if smoothed:
        assert timestamps_of(found.column("timestamp")).tolist() == times.tolist()
        assert found.column("smoothed_score").to_pylist() == (scores * 2).tolist()
        assert found.column("alarm").to_pylist() == (scores > 0.5).tolist()
    else:
        for name in ("timestamp", "smoothed_score", "alarm"):
            assert found.column(name).null_count == rows


def test_the_schema_is_the_one_that_others_read(tmp_path: Path) -> None:
    write(tmp_path, payload())
    (file,) = tmp_path.glob("date=2023-11-15/120000000000-120000000000-*.parquet")
    assert [f"{field.name}: {field.type}" for field in pq.read_schema(file)] == [
        "received: timestamp[ns, tz=UTC]",
        "timestamp: timestamp[ns, tz=UTC]",
        "request_id: string",
        "model_version: string",
        "row: int32",
        "score: double",
        "smoothed_score: double",
        "alarm: bool",
        "value.pressure: float",
        "value.flow.rate: float",
        "expected.pressure: float",
        "expected.flow.rate: float",
    ]


def test_only_the_columns_asked_for_are_returned(tmp_path: Path) -> None:
    write(tmp_path, payload(), channels=("flow", "flow.rate"))
    assert read_payload_log(str(tmp_path)).schema.names == FIELDS.names
    found = read_payload_log(str(tmp_path), ["flow"], expected=False)
    assert found.schema.names == [*FIELDS.names, "value.flow"]
    assert found.column("value.flow").to_pylist() == [0, 2, 4]


def test_a_channel_that_a_file_lacks_is_null_there(tmp_path: Path) -> None:
    write(tmp_path, payload(NOON, rows=1))
    write(tmp_path, payload(NOON + SECOND, rows=1), channels=("pressure", "level"))
    found = read_payload_log(str(tmp_path), ["level", "pressure"])
    assert found.column("value.level").to_pylist() == [None, 1]
    assert found.column("value.pressure").to_pylist() == [0, 0]


def test_rows_are_in_the_order_in_which_they_were_received(tmp_path: Path) -> None:
    write(tmp_path, payload(NOON + 2, request_id="c"), payload(NOON, request_id="a"))
    write(tmp_path, payload(NOON + 1, request_id="b"))
    assert read_payload_log(str(tmp_path)).column("request_id").to_pylist() == [*"aaabbbccc"]


def test_requests_with_and_without_timestamps_share_a_file(tmp_path: Path) -> None:
    bare = replace(payload(NOON, rows=2), timestamps=None, smoothed_scores=None, alarms=None)
    write(tmp_path, bare, payload(NOON + 1, rows=2, request_id="b"))
    found = read_payload_log(str(tmp_path), CHANNELS)
    assert timestamps_of(found.column("timestamp")[2:]).tolist() == [NOON + 1, NOON + 1 + SECOND]
    for name in ("timestamp", "smoothed_score", "alarm"):
        assert found.column(name).is_null().to_pylist() == [True, True, False, False]
    assert values_in(found, CHANNELS).tolist() == [[0, 1], [2, 3]] * 2


def test_each_day_has_a_folder(tmp_path: Path) -> None:
    write(tmp_path, payload(NOON), payload(NOON + DAY // 2))
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["date=2023-11-15", "date=2023-11-16"]


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []

    def counted(file: storage.Location, fix: str) -> pq.ParquetFile:
        names.append(file.path.rpartition("date=")[2][:17])
        return open_parquet(file, fix)

    monkeypatch.setattr(payload_log, "open_parquet", counted)
    return names


def test_a_period_opens_only_the_files_that_may_have_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in range(3):
        for hour in range(3):
            write(tmp_path, payload(NOON + day * DAY + hour * 3600 * SECOND, rows=1, request_id=f"{day}{hour}"))
    names = opened(monkeypatch)
    start = NOON + DAY + 3600 * SECOND
    assert ids(read_payload_log(str(tmp_path), period=Period(start, start + 1))) == ["11"]
    assert names == ["2023-11-16/130000"]


@given(start=st.integers(-3, 12), length=st.integers(0, 12))
def test_a_period_has_exactly_its_rows(start: int, length: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    root, midnight = tmp_path_factory.mktemp("log"), NOON + DAY // 2
    times = [midnight - 5 + step for step in range(10)]  # nanoseconds, on both sides of midnight
    for half in (times[::2], times[1::2]):
        write(root, *(payload(time, rows=1, request_id=str(time)) for time in half))
    period = Period(midnight - 5 + start, midnight - 5 + start + length)
    expected = [str(time) for time in times if period.start <= time < period.end]
    assert ids(read_payload_log(str(root), period=period)) == expected


def test_a_period_of_timestamps(tmp_path: Path) -> None:
    write(tmp_path, payload(NOON, rows=4))
    found = read_payload_log(str(tmp_path), period=Period(NOON + SECOND, NOON + 3 * SECOND), by="timestamp")
    assert found.column("row").to_pylist() == [1, 2]


def test_the_newest_rows_come_from_the_newest_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for hour in range(4):
        write(tmp_path, payload(NOON + hour * 3600 * SECOND, request_id=str(hour)))
    names = opened(monkeypatch)
    found = read_payload_log(str(tmp_path), most_rows=4)
    assert found.column("request_id").to_pylist() == [*"2333"]
    assert names == ["2023-11-15/150000", "2023-11-15/140000"]
    assert [ids(table) for table in newest_payloads(str(tmp_path))] == [["3"], ["2"], ["1"], ["0"]]


def test_files_that_are_none_of_the_log_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, payload())
    folder = tmp_path / "date=2023-11-15"
    whole = next(folder.iterdir()).read_bytes()
    (folder / "half.parquet").write_bytes(whole[: len(whole) // 2])
    (folder / "120000000000-120000000000-00000000.parquet").write_bytes(b"")
    pq.write_table(pa.table({"received": [1]}), folder / "foreign.parquet")
    (folder / "notes.txt").write_text("no rows")
    (folder / "x.parquet.0123.tmp").write_bytes(whole)
    (tmp_path / "date=2023-02-30").mkdir()
    (tmp_path / "other").mkdir()
    with caplog.at_level(logging.WARNING):
        assert read_payload_log(str(tmp_path)).num_rows == 3
    warned = [record.getMessage() for record in caplog.records]
    assert len(warned) == 3
    for name in ("half.parquet", "00000000.parquet", "foreign.parquet"):
        assert any(name in message for message in warned)


def test_a_log_that_does_not_exist_has_no_rows(tmp_path: Path) -> None:
    found = read_payload_log(str(tmp_path / "none"), CHANNELS)
    assert found.num_rows == 0
    assert values_in(found, CHANNELS).shape == (0, 2)


def test_a_file_that_is_deleted_meanwhile_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, payload(NOON, request_id="a"))
    write(tmp_path, payload(NOON + DAY, request_id="b"))
    tables = newest_payloads(str(tmp_path))
    assert ids(next(tables)) == ["b"]
    delete_old_days(storage.resolve(str(tmp_path)), 0, NOON + 5 * DAY)
    assert list(tables) == []


def test_a_log_on_s3(bucket: str) -> None:
    uri = f"{bucket}/log"
    write(uri, payload(NOON, request_id="a"))
    write(uri, payload(NOON + DAY, request_id="b"))
    assert ids(read_payload_log(uri, CHANNELS)) == ["a", "b"]
    assert ids(read_payload_log(uri, period=Period(NOON, NOON + 1))) == ["a"]
    assert delete_old_days(storage.resolve(uri), 0, NOON + DAY) == ["date=2023-11-15"]
    assert delete_old_days(storage.resolve(uri), 0, NOON + DAY) == []
    assert len(list(payload_files(storage.resolve(uri)))) == 1
