"""Events and rows: by hand, and against brute force."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.steps.data import ReportColumns
from container_component_src.telemetry.anomaly_reports import read_reports
from container_component_src.telemetry.events import Event
from container_component_src.telemetry.labels import inside_any, label_dataset, rows_of
from tests.helpers import nanoseconds, report, report_time, write_dataset, write_reports

COLUMNS = ReportColumns()
SPANS = st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 40)), max_size=8)


def _events(spans: list[tuple[int, int]]) -> list[Event]:
    return [Event(id=str(index), start=start, end=start + length) for index, (start, length) in enumerate(spans)]


def test_start_belongs_to_an_event_and_end_does_not() -> None:
    event = Event(id="1", start=10, end=12)
    assert inside_any(np.array([9, 10, 11, 12]), [event]).tolist() == [False, True, True, False]
    assert inside_any(np.array([7, 8, 13, 14]), [event], margin=2).tolist() == [False, True, True, False]


@given(times=st.lists(st.integers(-100, 120), max_size=40), spans=SPANS, margin=st.integers(0, 30))
def test_inside_any_is_what_brute_force_finds(times: list[int], spans: list[tuple[int, int]], margin: int) -> None:
    events = _events(spans)
    expected = [any(event.start - margin <= time < event.end + margin for event in events) for time in times]
    assert inside_any(np.array(times, dtype=np.int64), events, margin).tolist() == expected


@given(times=st.sets(st.integers(-100, 120), max_size=40), spans=SPANS)
def test_rows_of_is_what_brute_force_finds(times: set[int], spans: list[tuple[int, int]]) -> None:
    events = _events(spans)
    expected = [sum(event.start <= time < event.end for time in times) for event in events]
    assert rows_of(np.array(sorted(times), dtype=np.int64), events).tolist() == expected


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".xls"])
def test_the_same_events_from_every_format(suffix: str, tmp_path: Path) -> None:
    rows = report((90, 100.5), (60, 70))
    rows[0][2] = " Leak, in the « loop » "
    events = read_reports(str(write_reports(tmp_path / f"r{suffix}", rows)), COLUMNS)
    assert events == [
        Event(
            id="AR-2",
            symbol="FAN",
            title="anomaly 2",
            start=nanoseconds("2023-01-01 01:00"),
            end=nanoseconds("2023-01-01 01:10"),
        ),
        Event(
            id="AR-1",
            symbol="FAN",
            title="Leak, in the « loop »",
            start=nanoseconds("2023-01-01 01:30"),
            end=nanoseconds("2023-01-01 01:40:30"),
        ),
    ]


def test_day_366_of_a_leap_year(tmp_path: Path) -> None:
    rows = [["1", "FAN", "x", "2024/366/23:59:59", "2025/001/00:00:00"]]
    (event,) = read_reports(str(write_reports(tmp_path / "r.csv", rows)), COLUMNS)
    assert (event.start, event.end) == (nanoseconds("2024-12-31 23:59:59"), nanoseconds("2025-01-01"))


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_other_headers_and_surplus_columns(suffix: str, tmp_path: Path) -> None:
    headers = ("no", "SYMBOL", "what", "from", "to")
    path = write_reports(tmp_path / f"r{suffix}", [["7", "FAN", "", report_time(0), report_time(1)]], headers)
    columns = ReportColumns(id="no", title="what", start="from", end="to")
    (event,) = read_reports(str(path), columns)
    assert (event.id, event.title) == ("7", "")
    wide = write_reports(tmp_path / f"w{suffix}", [["x", *report((0, 1))[0], "y"]], ("left", *_headers(), "right"))
    assert [event.id for event in read_reports(str(wide), COLUMNS)] == ["AR-1"]


def _headers() -> tuple[str, ...]:
    return (COLUMNS.id, COLUMNS.symbol, COLUMNS.title, COLUMNS.start, COLUMNS.end)


def test_numbers_as_identifiers(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(_headers())
    sheet.append([1234, "FAN", None, report_time(0), report_time(1)])
    book.save(tmp_path / "r.xlsx")
    (event,) = read_reports(str(tmp_path / "r.xlsx"), COLUMNS)
    assert (event.id, event.title) == ("1234", "")


def test_events_that_touch_do_not_overlap(tmp_path: Path) -> None:
    path = write_reports(tmp_path / "r.csv", report((60, 70), (70, 80)))
    assert len(read_reports(str(path), COLUMNS)) == 2


def test_labels_have_the_partitions_of_the_data(tmp_path: Path) -> None:
    write_dataset(tmp_path / "d", np.zeros((10, 2)), partition_rows=4)
    # The second lies between two rows.
    reports = write_reports(tmp_path / "r.csv", report((3, 5), (7.25, 7.75), (9, 20)))
    labels = label_dataset(str(tmp_path / "d"), str(reports), str(tmp_path / "l"), COLUMNS)
    assert [partition.rows for partition in labels.manifest.partitions] == [4, 4, 2]
    frame = labels.load()
    assert frame.labels is not None
    assert frame.labels.tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 0, 1]
    assert frame.values.shape == (10, 0)
    assert [event.id for event in labels.manifest.events] == ["AR-1", "AR-3"]
    assert [event.id for event in labels.manifest.events_without_rows] == ["AR-2"]
    assert labels.manifest.notes == {"events": 2, "events_outside": 0, "events_without_rows": 1}
