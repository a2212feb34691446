"""Report tables in the forms that people save, and malicious ones."""

import logging
import os
import re
import zipfile
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import openpyxl
import openpyxl.chart
import pytest

from container_component_src.errors import InputError
from container_component_src.steps.data import ReportColumns
from container_component_src.telemetry import spreadsheets
from container_component_src.telemetry.anomaly_reports import read_reports
from container_component_src.telemetry.csv_table import DELIMITERS
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
    with caplog.at_level(logging.INFO):
        assert ids(path) == ["AR-1", "AR-2"]
    *read, warning = caplog.messages
    assert read == [f"{path}: sheet 'y2022': 1 events", f"{path}: sheet 'y2023': 1 events"]
    assert "sheet 'cover': no column 'ID' (found: 'Anomaly log')" in warning


def test_many_sheets_without_headers_are_one_short_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    others = {f"s{number}": [["x"]] for number in range(20)}
    path = write_book(tmp_path / "r.xlsx", **others, reports=[REPORT_HEADERS, FIRST])
    assert ids(path) == ["AR-1"]
    (warning,) = caplog.messages
    assert warning.endswith("15 more sheets")


def test_hidden_sheets_are_read_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    book = openpyxl.load_workbook(
        write_book(tmp_path / "r.xlsx", a=[REPORT_HEADERS, FIRST], b=[REPORT_HEADERS, SECOND])
    )
    book["b"].sheet_state = "hidden"
    book.save(tmp_path / "r.xlsx")
    with caplog.at_level(logging.INFO):
        assert ids(tmp_path / "r.xlsx") == ["AR-1", "AR-2"]
    assert caplog.messages[1].endswith("sheet 'b' (hidden): 1 events")


@pytest.mark.parametrize(
    "change",
    [
        lambda name: f" {name} ",
        lambda name: name.replace(" ", "\n"),
        lambda name: name.replace(" ", "\N{NO-BREAK SPACE}"),
        str.lower,
        lambda name: f"\N{ZERO WIDTH SPACE}{name}",
    ],
    ids=["blanks", "line breaks", "no-break spaces", "lower case", "invisible"],
)
def test_headers_that_look_equal(change: Callable[[str], str], tmp_path: Path) -> None:
    headers = list(map(change, REPORT_HEADERS))
    assert ids(write_book(tmp_path / "r.xlsx", sheet=[headers, FIRST])) == ["AR-1"]
    assert ids(write_reports(tmp_path / "r.csv", [FIRST], headers)) == ["AR-1"]


def test_of_columns_that_differ_in_case_the_exact_one_is_read(tmp_path: Path) -> None:
    path = write_reports(tmp_path / "r.csv", [["x", *FIRST], ["y", *SECOND]], ["id", *REPORT_HEADERS])
    assert ids(path) == ["AR-1", "AR-2"]


def test_titles_above_the_headers(tmp_path: Path) -> None:
    path = write_book(tmp_path / "r.xlsx", sheet=[["Anomalies"], [], REPORT_HEADERS, FIRST])
    assert ids(path) == ["AR-1"]


def test_errors_name_sheet_and_row(tmp_path: Path) -> None:
    bad = [*FIRST[:3], "soon", FIRST[4]]
    path = write_book(tmp_path / "r.xlsx", a=[REPORT_HEADERS, FIRST], b=[["title"], REPORT_HEADERS, SECOND, bad])
    with pytest.raises(InputError, match=r"sheet 'b': row 4, column 'EVENT GMT .*'soon'"):
        read_reports(path, COLUMNS)


@pytest.mark.parametrize("delimiter", list(DELIMITERS))
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv_delimiters_line_ends_and_encodings(delimiter: str, line_end: str, encoding: str, tmp_path: Path) -> None:
    lines = [delimiter.join(row) for row in (REPORT_HEADERS, FIRST, SECOND)]
    (tmp_path / "r.csv").write_bytes((line_end.join(lines) + line_end).encode(encoding))
    assert ids(tmp_path / "r.csv") == ["AR-1", "AR-2"]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le", "utf-32"])
def test_csv_in_another_encoding_is_refused(encoding: str, tmp_path: Path) -> None:
    lines = [",".join(row) for row in (REPORT_HEADERS, [*FIRST[:2], "Lüfter", *FIRST[3:]])]
    (tmp_path / "r.csv").write_bytes("\n".join(lines).encode(encoding))
    with pytest.raises(InputError, match=r"r\.csv: not readable as \.csv \(.*: use 'CSV UTF-8'\)"):
        ids(tmp_path / "r.csv")


@pytest.mark.parametrize(
    "text",
    [
        "{headers}\n1;FAN;leak, then a, b, c and d, e, f;{times}\n",
        "Log, of the pumps, fans, valves, and of, all, others\n{headers}\n1;FAN;x;{times}\n",
        "sep=;\n{headers}\n1;FAN;x;{times}\n",
        '{headers}\n1;FAN;"two\n\nlines; one cell";{times}\n\n;;;;\n',
    ],
    ids=["commas in a text", "commas in a title", "line of Excel", "quoted line ends"],
)
def test_delimiter_is_that_of_the_headers(text: str, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(text.format(headers=";".join(REPORT_HEADERS), times=";".join(FIRST[3:])))
    assert ids(tmp_path / "r.csv") == ["1"]


@pytest.mark.parametrize("quote", ['"never closed', '"closed" here', f'"{"long" * 40_000}"'])
def test_damaged_csv(quote: str, tmp_path: Path) -> None:
    lines = [",".join(REPORT_HEADERS), ",".join([*FIRST[:2], quote, *FIRST[3:]]), ",".join(SECOND)]
    (tmp_path / "r.csv").write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"r\.csv: not readable as \.csv"):
        ids(tmp_path / "r.csv")


def test_missing_column(tmp_path: Path) -> None:
    headers = [*REPORT_HEADERS[:4], "End"]
    path = write_book(tmp_path / "r.xlsx", log=[headers, FIRST])
    with pytest.raises(InputError, match=r"sheet 'log': no column 'Duration/End GMT' \(found: 'ID', .*'End'\)"):
        read_reports(path, COLUMNS)


def test_headers_out_of_sight(tmp_path: Path) -> None:
    far = [*(f"c{number}" for number in range(300)), *REPORT_HEADERS]
    with pytest.raises(InputError, match=r"no column 'ID' in the first 256 columns \(found: 'c0', "):
        ids(write_reports(tmp_path / "r.csv", [["", *[""] * 299, *FIRST]], far))
    with pytest.raises(InputError, match=r"no column 'ID' \(found: nothing in the first 20 rows\)"):
        ids(write_book(tmp_path / "r.xlsx", sheet=[*[[]] * 25, REPORT_HEADERS, FIRST]))


def test_workbook_without_sheets_of_cells(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.create_chartsheet("chart").add_chart(openpyxl.chart.BarChart())
    book.remove(book.worksheets[0])
    book.save(tmp_path / "r.xlsx")
    with pytest.raises(InputError, match=r"r\.xlsx: no sheet with cells"):
        ids(tmp_path / "r.xlsx")


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


def _damage(path: Path, part: str, change: Callable[[bytes], bytes]) -> str:
    """Write a workbook of one event, and change one of its parts."""
    write_book(path, sheet=[REPORT_HEADERS, FIRST])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, change(content) if name == part else content)
    return str(path)


@pytest.mark.parametrize(
    ("part", "old", "new", "named"),
    [
        ("worksheets/sheet1.xml", b"</sheetData>", b'<row r="9">' + b"<c/>" * 2000 + b"</row></sheetData>", "XML tags"),
        ("worksheets/sheet1.xml", b"</sheetData>", b"<row/>" * 2000 + b"</sheetData>", "XML tags"),
        ("worksheets/sheet1.xml", b"</sheetData>", b"</sheet", "not readable as .xlsx"),
        ("worksheets/sheet1.xml", b'r="A2"', b'r="2A"', "not readable as .xlsx"),
        ("workbook.xml", b"</sheets>", b'<sheet name="s" sheetId="9" r:id="rId1"/>' * 300 + b"</sheets>", "301 sheets"),
    ],
    ids=["cells", "rows", "cut", "invalid cell", "sheets"],
)
def test_malicious_workbook(
    part: str, old: bytes, new: bytes, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spreadsheets, "MAX_TAGS", 2000)
    path = _damage(tmp_path / "r.xlsx", f"xl/{part}", lambda content: content.replace(old, new))
    with pytest.raises(InputError, match=rf"r\.xlsx.*{named}"):
        read_reports(path, COLUMNS)


def test_rows_below_the_last_one_of_a_sheet_are_not_counted_up_to(tmp_path: Path) -> None:
    far = b'<row r="99999999999"><c><v>1</v></c></row></sheetData>'
    path = _damage(tmp_path / "r.xlsx", "xl/worksheets/sheet1.xml", lambda xml: xml.replace(b"</sheetData>", far))
    assert ids(path) == ["AR-1"]


def test_blank_row_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "MAX_BLANK_ROWS", 50)
    path = write_book(tmp_path / "r.xlsx", a=[REPORT_HEADERS, FIRST, *[[]] * 60, SECOND])
    with pytest.raises(InputError, match="more than 50 blank rows"):
        ids(path)


def test_row_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "MAX_ROWS", 2)
    for path in (
        write_reports(tmp_path / "r.csv", [FIRST, SECOND]),
        write_book(tmp_path / "r.xlsx", a=[REPORT_HEADERS, FIRST], b=[REPORT_HEADERS]),
    ):
        with pytest.raises(InputError, match="more than 2 rows"):
            read_reports(str(path), COLUMNS)


def test_file_size_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "MAX_BYTES", 10)
    path = write_reports(tmp_path / "r.csv", [FIRST])
    with pytest.raises(InputError, match="larger than 10 bytes"):
        read_reports(str(path), COLUMNS)


def test_unpacked_size_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.xlsx"
    write_book(path, sheet=[REPORT_HEADERS, FIRST])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/comments.xml", b" " * 2**20)
    monkeypatch.setattr(spreadsheets, "MAX_UNPACKED_BYTES", 2**19)
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


@pytest.mark.parametrize(
    "time",
    [
        *("2023/001/01:00:61", "2023/001/01:00:60", "2023/001/24:00:00", "2023/001/01:60:00", "2023/366/01:00:00"),
        *("2023/000/01:00:00", "2023/001/01:00:00Z", "2023/001/01:00:00+02:00", "2023/001/01:00:00.5"),
        *("2023/001/01:00", "1600/001/01:00:00", "9999/001/01:00:00", "01:00:00", "ongoing", "2023-01-01 01:00:00"),
    ],
)
@pytest.mark.parametrize("column", [3, 4])
def test_what_is_no_time(time: str, column: int, tmp_path: Path) -> None:
    row = [*FIRST[:column], time, *FIRST[column + 1 :]]
    with pytest.raises(
        InputError, match=rf"row 2, column '{re.escape(REPORT_HEADERS[column])}': '{re.escape(time)}' is"
    ):
        ids(write_reports(tmp_path / "r.csv", [row]))


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([["", *FIRST[1:]]], "row 2, column 'ID': no ID"),
        ([["#N/A", *FIRST[1:]]], "row 2, column 'ID': no ID but #N/A"),
        ([FIRST, FIRST], "2 events have the ID 'AR-1' ("),
        ([FIRST, [FIRST[0], *SECOND[1:]]], "2 events have the ID 'AR-1' ("),
        ([FIRST, ["AR-3", *FIRST[1:]]], "row 2) and AR-3 ("),
        ([[*FIRST[:3], FIRST[4], FIRST[3]]], "row 2 (event AR-1): 'Duration/End GMT' is not after"),
        ([FIRST, SECOND, ["Total", "", "2", "", ""]], "row 4, column 'EVENT GMT (DOY/HH:MM:SS)': no time is given"),
        ([FIRST, REPORT_HEADERS, SECOND], "row 3, column 'EVENT GMT (DOY/HH:MM:SS)'"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".xls"])
def test_what_is_no_event(rows: list[list[str]], named: str, suffix: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape(named)):
        ids(write_reports(tmp_path / f"r{suffix}", rows))


def test_event_that_two_sheets_have(tmp_path: Path) -> None:
    path = write_book(tmp_path / "r.xlsx", all=[REPORT_HEADERS, SECOND, FIRST], y2023=[REPORT_HEADERS, FIRST])
    with pytest.raises(InputError, match=r"2 events have the ID 'AR-1' \(sheet 'all', row 3; sheet 'y2023', row 2\)"):
        ids(path)


def test_dates_and_truth_values_of_xls_are_shown_as_in_excel(tmp_path: Path) -> None:
    import xlwt

    book = xlwt.Workbook()
    book.dates_1904 = True
    sheet = book.add_sheet("a")
    for column, name in enumerate(REPORT_HEADERS):
        sheet.write(0, column, name)
    sheet.write(1, 0, True)
    sheet.write(1, 3, datetime(2023, 1, 1, 1), xlwt.easyxf(num_format_str="D-MMM-YY"))
    book.save(str(tmp_path / "r.xls"))
    with pytest.raises(InputError, match="'2023-01-01 01:00:00' is not a time"):
        ids(tmp_path / "r.xls")
    rows = list(next(spreadsheets.read_sheets(str(tmp_path / "r.xls"), bool)).rows)
    assert rows[1][0] == "TRUE"
