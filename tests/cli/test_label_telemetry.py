"""Labels from reports of every format, and the reports that are refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from container_component_src.telemetry.dataset import Dataset
from tests import data_steps
from tests.helpers import (
    REPORT_HEADERS,
    Invoke,
    Outcome,
    assert_nothing_written,
    assert_refused,
    report,
    report_time,
    write_dataset,
    write_reports,
)

FORMATS = (".csv", ".xlsx", ".xls")
ID, _, _, EVENT_START, EVENT_END = REPORT_HEADERS


@pytest.fixture
def label(invoke: Invoke, tmp_path: Path) -> Callable[..., Outcome]:
    """Labels ten hours of telemetry from a report file."""
    write_dataset(tmp_path / "dataset", np.random.default_rng(0).normal(size=(600, 2)), partition_rows=250)

    def run(reports: Path, *more: object) -> Outcome:
        return invoke(*data_steps.label(tmp_path / "dataset", reports, tmp_path / "labels"), *more)

    return run


def _changed(row: int, column: int, text: str) -> list[list[str]]:
    rows = report((60, 90), (120, 130), (300, 310))
    rows[row][column] = text
    return rows


# Row numbers are those of a spreadsheet: the headers are row 1.
REPORT_FAULTS: dict[str, tuple[list[list[str]], tuple[str, ...]]] = {
    "bad date": (_changed(1, 3, "2023/13/xx"), ("row 3", f"'{EVENT_START}'", "2023/13/xx")),
    "another format": (_changed(0, 3, "2023-01-01 01:00:00"), ("row 2", f"'{EVENT_START}'", "%Y/%j/%H:%M:%S")),
    "day 0": (_changed(0, 3, "2023/000/01:00:00"), ("row 2", "2023/000/01:00:00")),
    "day 366 of a common year": (_changed(2, 4, "2023/366/01:00:00"), ("row 4", f"'{EVENT_END}'", "2023/366")),
    "hour 24": (_changed(2, 4, "2023/001/24:00:00"), ("row 4", f"'{EVENT_END}'")),
    "second 61": (_changed(0, 3, "2023/001/01:00:61"), ("row 2", f"'{EVENT_START}'", "01:00:61")),
    "no ID": (_changed(1, 0, " "), ("row 3", f"'{ID}'", "no ID")),
    "one ID twice": (_changed(1, 0, "AR-1"), ("2 events have the ID 'AR-1'", "--strict-reports false")),
    "missing end": (_changed(1, 4, ""), ("row 3", f"'{EVENT_END}'", "no time is given")),
    "blank end": (_changed(1, 4, "  "), ("row 3", f"'{EVENT_END}'", "no time is given")),
    "missing start": (_changed(0, 3, ""), ("row 2", f"'{EVENT_START}'", "no time is given")),
    "end before start": (_changed(2, 4, report_time(299)), ("row 4", "AR-3", f"'{EVENT_END}' is not after")),
    "end at start": (_changed(2, 4, report_time(300)), ("row 4", "AR-3", f"'{EVENT_END}' is not after")),
    "overlap": (report((60, 120), (90, 130)), ("row 2) and AR-2 (", "2023-01-01T01:30", "--strict-reports")),
    "outside": (report((60, 90), (6000, 6010)), ("AR-2", "outside the data", "2023-01-01T09:59", "--strict-reports")),
    "no rows": ([], ("no rows",)),
    "blank rows only": ([[""] * 5, [" "] * 5], ("no rows",)),
    "none in range": (report((-90, -60), (600, 610)), ("no reported anomaly has a row in the data",)),
}


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("name", REPORT_FAULTS)
def test_bad_reports(name: str, suffix: str, label: Callable[..., Outcome], tmp_path: Path) -> None:
    rows, named = REPORT_FAULTS[name]
    reports = write_reports(tmp_path / f"reports{suffix}", rows)
    assert_refused(label(reports), reports, *named)
    assert_nothing_written(tmp_path / "labels")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("column", REPORT_HEADERS)
def test_reports_without_a_column(column: str, suffix: str, label: Callable[..., Outcome], tmp_path: Path) -> None:
    headers = ["other" if header == column else header for header in REPORT_HEADERS]
    reports = write_reports(tmp_path / f"reports{suffix}", report((60, 90)), headers)
    assert_refused(label(reports), reports, f"no column '{column}'", "[col-names]")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n\x00\x00", "Größe;°C\n".encode("latin-1")])
def test_reports_that_are_no_table(suffix: str, content: bytes, label: Callable[..., Outcome], tmp_path: Path) -> None:
    reports = tmp_path / f"reports{suffix}"
    reports.write_bytes(content)
    assert_refused(label(reports), reports, f"not readable as {suffix}")


def test_reports_of_another_format_or_absent(label: Callable[..., Outcome], tmp_path: Path) -> None:
    (tmp_path / "reports.pdf").touch()
    assert_refused(label(tmp_path / "reports.pdf"), tmp_path / "reports.pdf", ".csv, .xls, .xlsx")
    assert_refused(label(tmp_path / "none.csv"), tmp_path / "none.csv", "no such file")
    assert_nothing_written(tmp_path / "labels")


@pytest.mark.parametrize("suffix", FORMATS)
def test_lenient_reports(suffix: str, label: Callable[..., Outcome], tmp_path: Path) -> None:
    reports = write_reports(
        tmp_path / f"reports{suffix}", report((60, 120), (90, 130), (6000, 6010), (-500, -400), (595, 700))
    )
    assert label(reports, "--strict-reports", "false").code == 0
    labels = Dataset.open(str(tmp_path / "labels"))
    assert [event.id for event in labels.manifest.events] == ["AR-1", "AR-2", "AR-5"]
    assert labels.manifest.notes["events_outside"] == 2
    marked = labels.load().labels
    assert marked is not None
    assert np.flatnonzero(marked).tolist() == [*range(60, 130), *range(595, 600)]


def test_row_numbers_count_blank_lines(label: Callable[..., Outcome], tmp_path: Path) -> None:
    lines = [",".join(REPORT_HEADERS), "", "AR-1,FAN,x,2023/001/01:00:00,2023/001/01:30:00", "", "AR-2,FAN,y,bad,", ""]
    (tmp_path / "reports.csv").write_text("\n".join(lines))
    assert_refused(label(tmp_path / "reports.csv"), "row 5", "'bad'")


def test_lines_that_end_with_a_delimiter(label: Callable[..., Outcome], tmp_path: Path) -> None:
    lines = [",".join(REPORT_HEADERS), "AR-1,FAN,x,2023/001/01:00:00,2023/001/01:30:00,"]
    (tmp_path / "reports.csv").write_text("\n".join(lines))
    assert label(tmp_path / "reports.csv").code == 0
    assert Dataset.open(str(tmp_path / "labels")).manifest.events[0].id == "AR-1"


def test_unknown_report_column_option(label: Callable[..., Outcome], tmp_path: Path) -> None:
    reports = write_reports(tmp_path / "reports.csv", report((60, 90)))
    assert_refused(label(reports, "--report-columns", '{"begin": "x"}'), "--report-columns", "begin")
    assert_refused(label(reports, "--report-columns", "[1]"), "--report-columns")
