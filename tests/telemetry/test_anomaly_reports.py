"""Report tables as people save them, and as attackers do."""

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
from tests.helpers import REPORT_HEADERS, report, write_reports

COLUMNS = ReportColumns()
FIRST, SECOND = report((60, 70), (90, 100))


def write_book(path: Path, **sheets: Sequence[Sequence[str]]) -> str:
    """A workbook with these sheets, each a list of rows."""
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


def test_all_sheets_are_read_and_those_without_the_headers_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_book(
        tmp_path / "r.xlsx", cover=[["Anomaly log"]], y2022=[REPORT_HEADERS, FIRST], y2023=[REPORT_HEADERS, SECOND]
    )
    with caplog.at_level(logging.WARNING):
        assert ids(path) == ["AR-1", "AR-2"]
    (warning,) = caplog.messages
    assert "sheet 'cover' is left out: no column 'ID' (found: 'Anomaly log')" in warning


@pytest.mark.parametrize(
    "headers",
    [[f" {name} " for name in REPORT_HEADERS], [name.replace(" ", "\n") for name in REPORT_HEADERS]],
    ids=["blanks", "line breaks"],
)
def test_what_one_does_not_see_in_a_header_does_not_count(headers: list[str], tmp_path: Path) -> None:
    assert ids(write_book(tmp_path / "r.xlsx", sheet=[headers, FIRST])) == ["AR-1"]


def test_titles_may_stand_above_the_headers(tmp_path: Path) -> None:
    path = write_book(tmp_path / "r.xlsx", sheet=[["Anomalies"], [], REPORT_HEADERS, FIRST])
    assert ids(path) == ["AR-1"]


def test_rows_are_named_with_their_sheet(tmp_path: Path) -> None:
    bad = [*FIRST[:3], "soon", FIRST[4]]
    path = write_book(tmp_path / "r.xlsx", a=[REPORT_HEADERS, FIRST], b=[["title"], REPORT_HEADERS, SECOND, bad])
    with pytest.raises(InputError, match=r"sheet 'b': row 4, column 'EVENT GMT .*'soon'"):
        read_reports(path, COLUMNS)


@pytest.mark.parametrize("delimiter", list(spreadsheets.DELIMITERS))
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv_as_programs_of_other_countries_write_it(
    delimiter: str, line_end: str, encoding: str, tmp_path: Path
) -> None:
    lines = [delimiter.join(row) for row in (REPORT_HEADERS, FIRST, SECOND)]
    (tmp_path / "r.csv").write_bytes((line_end.join(lines) + line_end).encode(encoding))
    assert ids(tmp_path / "r.csv") == ["AR-1", "AR-2"]


def test_a_column_that_is_missing_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    headers = [*REPORT_HEADERS[:4], "End"]
    path = write_book(tmp_path / "r.xlsx", log=[headers, FIRST])
    with pytest.raises(InputError, match=r"sheet 'log': no column 'Duration/End GMT' \(found: 'ID', .*'End'\)"):
        read_reports(path, COLUMNS)


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = write_reports(tmp_path / "r.csv", [["AR-0", *FIRST]], ["ID ", *REPORT_HEADERS])
    with pytest.raises(InputError, match="column 'ID' is there twice"):
        read_reports(str(path), COLUMNS)


def test_a_text_with_an_unquoted_delimiter_is_refused(tmp_path: Path) -> None:
    lines = [",".join(REPORT_HEADERS), ",".join([*FIRST[:2], "leak", "in the loop", *FIRST[3:]])]
    (tmp_path / "r.csv").write_text("\n".join(lines))
    with pytest.raises(InputError, match="row 2 has more cells than there are headers"):
        read_reports(str(tmp_path / "r.csv"), COLUMNS)


def test_a_cell_in_the_last_corner_of_a_sheet_is_ignored(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(list(REPORT_HEADERS))
    sheet.append(FIRST)
    sheet["XFD2"] = "stray"
    book.save(tmp_path / "r.xlsx")
    assert ids(tmp_path / "r.xlsx") == ["AR-1"]


def test_more_rows_than_the_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "MAX_ROWS", 2)
    path = write_reports(tmp_path / "r.csv", [FIRST, SECOND])
    with pytest.raises(InputError, match="more than 2 rows"):
        read_reports(str(path), COLUMNS)


def test_a_file_larger_than_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "MAX_BYTES", 10)
    path = write_reports(tmp_path / "r.csv", [FIRST])
    with pytest.raises(InputError, match="more than a report table may have"):
        read_reports(str(path), COLUMNS)


def test_a_workbook_that_unpacks_to_more_than_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
