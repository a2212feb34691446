"""Report tables in the forms that people save, and malicious ones."""

import logging
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pytest

from container_component_src.errors import InputError
from container_component_src.steps.data import ReportColumns
from container_component_src.telemetry import spreadsheets
from container_component_src.telemetry.anomaly_reports import read_reports
from container_component_src.telemetry.events import Event
from tests.helpers import REPORT_HEADERS, nanoseconds, report, report_time, write_reports

COLUMNS = ReportColumns()
FIRST, SECOND = report((60, 70), (90, 100))


def write_book(path: Path, **sheets: Sequence[Sequence[object]]) -> str:
    """Write a workbook with these sheets, each a list of rows."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    book.save(path)
    return str(path)


def ids(path: str | Path) -> list[str]:
    return [event.id for event in read_reports(str(path), COLUMNS)]


def test_all_sheets_are_read_and_those_without_headers_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_book(
        tmp_path / "r.xlsx", cover=[["Anomaly log"]], y2022=[REPORT_HEADERS, FIRST], y2023=[REPORT_HEADERS, SECOND]
    )
    with caplog.at_level(logging.WARNING):
        assert ids(path) == ["AR-1", "AR-2"]
    (warning,) = caplog.messages
    assert "sheet 'cover' is ignored: no column 'ID' (found: 'Anomaly log')" in warning


@pytest.mark.parametrize(
    "headers",
    [[f" {name} " for name in REPORT_HEADERS], [name.replace(" ", "\n") for name in REPORT_HEADERS]],
    ids=["blanks", "line breaks"],
)
def test_whitespace_in_headers_is_ignored(headers: list[str], tmp_path: Path) -> None:
    assert ids(write_book(tmp_path / "r.xlsx", sheet=[headers, FIRST])) == ["AR-1"]


def test_titles_above_the_headers(tmp_path: Path) -> None:
    path = write_book(tmp_path / "r.xlsx", sheet=[["Anomalies"], [], REPORT_HEADERS, FIRST])
    assert ids(path) == ["AR-1"]


def test_errors_name_sheet_and_row(tmp_path: Path) -> None:
    bad = [*FIRST[:3], "soon", FIRST[4]]
    path = write_book(tmp_path / "r.xlsx", a=[REPORT_HEADERS, FIRST], b=[["title"], REPORT_HEADERS, SECOND, bad])
    with pytest.raises(InputError, match=r"sheet 'b': row 4, column 'EVENT GMT .*'soon'"):
        read_reports(path, COLUMNS)


@pytest.mark.parametrize("delimiter", list(spreadsheets.DELIMITERS))
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv_delimiters_line_ends_and_encodings(delimiter: str, line_end: str, encoding: str, tmp_path: Path) -> None:
    lines = [delimiter.join(row) for row in (REPORT_HEADERS, FIRST, SECOND)]
    (tmp_path / "r.csv").write_bytes((line_end.join(lines) + line_end).encode(encoding))
    assert ids(tmp_path / "r.csv") == ["AR-1", "AR-2"]


def test_missing_column(tmp_path: Path) -> None:
    headers = [*REPORT_HEADERS[:4], "End"]
    path = write_book(tmp_path / "r.xlsx", log=[headers, FIRST])
    with pytest.raises(InputError, match=r"sheet 'log': no column 'Duration/End GMT' \(found: 'ID', .*'End'\)"):
        read_reports(path, COLUMNS)


def test_repeated_column(tmp_path: Path) -> None:
    path = write_reports(tmp_path / "r.csv", [["AR-0", *FIRST]], ["ID ", *REPORT_HEADERS])
    with pytest.raises(InputError, match="two columns are named 'ID'"):
        read_reports(str(path), COLUMNS)


def test_unquoted_delimiter(tmp_path: Path) -> None:
    lines = [",".join(REPORT_HEADERS), ",".join([*FIRST[:2], "leak", "in the loop", *FIRST[3:]])]
    (tmp_path / "r.csv").write_text("\n".join(lines))
    with pytest.raises(InputError, match="row 2 has more cells than there are headers"):
        read_reports(str(tmp_path / "r.csv"), COLUMNS)


def test_cell_in_the_last_column_of_a_sheet_is_ignored(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(list(REPORT_HEADERS))
    sheet.append(FIRST)
    sheet["XFD2"] = "stray"
    book.save(tmp_path / "r.xlsx")
    assert ids(tmp_path / "r.xlsx") == ["AR-1"]


def test_row_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "MAX_ROWS", 2)
    path = write_reports(tmp_path / "r.csv", [FIRST, SECOND])
    with pytest.raises(InputError, match="more than 2 rows"):
        read_reports(str(path), COLUMNS)


def test_file_size_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "MAX_BYTES", 10)
    path = write_reports(tmp_path / "r.csv", [FIRST])
    with pytest.raises(InputError, match="exceed the limit"):
        read_reports(str(path), COLUMNS)


def test_unpacked_size_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.xlsx"
    write_book(path, sheet=[REPORT_HEADERS, FIRST])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/comments.xml", b" " * 2**20)
    monkeypatch.setattr(spreadsheets, "MAX_BYTES", 2**19)
    with pytest.raises(InputError, match="it unpacks to"):
        read_reports(str(path), COLUMNS)


@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
def test_only_regular_files_are_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(InputError, match="not a regular file"):
        read_reports(str(path), COLUMNS)


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".xls"])
def test_all_formats_give_the_same_events(suffix: str, tmp_path: Path) -> None:
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
def test_other_headers_and_extra_columns(suffix: str, tmp_path: Path) -> None:
    headers = ("no", "SYMBOL", "what", "from", "to")
    path = write_reports(tmp_path / f"r{suffix}", [["7", "FAN", "", report_time(0), report_time(1)]], headers)
    columns = ReportColumns(id="no", title="what", start="from", end="to")
    (event,) = read_reports(str(path), columns)
    assert (event.id, event.title) == ("7", "")
    wide = write_reports(tmp_path / f"w{suffix}", [["x", *report((0, 1))[0], "y"]], ("left", *REPORT_HEADERS, "right"))
    assert [event.id for event in read_reports(str(wide), COLUMNS)] == ["AR-1"]


def test_numeric_id(tmp_path: Path) -> None:
    row = [1234, "FAN", None, report_time(0), report_time(1)]
    (event,) = read_reports(write_book(tmp_path / "r.xlsx", sheet=[REPORT_HEADERS, row]), COLUMNS)
    assert (event.id, event.title) == ("1234", "")


def test_adjacent_events_do_not_overlap(tmp_path: Path) -> None:
    path = write_reports(tmp_path / "r.csv", report((60, 70), (70, 80)))
    assert len(read_reports(str(path), COLUMNS)) == 2


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".xls"])
@pytest.mark.parametrize(
    ("text", "causes"),
    [
        ("FAN_SPEED", ("FAN_SPEED",)),
        ("FAN_SPEED; FLOW", ("FAN_SPEED", "FLOW")),
        ("FAN_SPEED,FLOW ,", ("FAN_SPEED", "FLOW")),
        ("FLOW\nLoop A temperature", ("FLOW", "Loop A temperature")),
        ("FLOW;FLOW", ("FLOW",)),
        ("", ()),
    ],
)
def test_channels_that_caused_an_event(text: str, causes: tuple[str, ...], suffix: str, tmp_path: Path) -> None:
    path = write_reports(tmp_path / f"r{suffix}", [[*FIRST, text]], [*REPORT_HEADERS, "CHANNELS"])
    assert read_reports(str(path), COLUMNS)[0].causes == causes


def test_channels_may_be_more_than_columns(tmp_path: Path) -> None:
    names = [f"C{number}" for number in range(9)]
    rows = [[*row, ";".join(names)] for row in (FIRST, SECOND)]
    (event, _) = read_reports(str(write_reports(tmp_path / "r.csv", rows, [*REPORT_HEADERS, "CHANNELS"])), COLUMNS)
    assert event.causes == tuple(names)


def test_the_column_of_channels_is_optional(tmp_path: Path) -> None:
    path = write_book(
        tmp_path / "r.xlsx", first=[[*REPORT_HEADERS, "Guilty"], [*FIRST, "FLOW"]], second=[REPORT_HEADERS, SECOND]
    )
    events = read_reports(path, ReportColumns(channels="Guilty"))
    assert [event.causes for event in events] == [("FLOW",), ()]


def test_repeated_column_of_channels(tmp_path: Path) -> None:
    path = write_reports(tmp_path / "r.csv", [[*FIRST, "A", "B"]], [*REPORT_HEADERS, "CHANNELS", "CHANNELS "])
    with pytest.raises(InputError, match="two columns are named 'CHANNELS'"):
        read_reports(str(path), COLUMNS)
